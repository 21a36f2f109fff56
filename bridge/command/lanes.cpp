#include "bridge/command/lanes.hpp"

#include <algorithm>

namespace spoke::bridge {
namespace {

std::string key_of(std::string_view device, std::string_view lane) {
    // Neither holds U+0000: the request parser refuses it.
    std::string out;
    out.reserve(device.size() + 1 + lane.size());
    out += device;
    out += '\0';
    out += lane;
    return out;
}

}  // namespace

void Lanes::push(std::string_view device, std::string_view lane, CommandId const& id) {
    lanes_[key_of(device, lane)].push_back(id);
}

bool Lanes::remove(std::string_view device, std::string_view lane, CommandId const& id) {
    auto found = lanes_.find(key_of(device, lane));
    if (found == lanes_.end()) return false;
    auto& queue = found->second;
    auto at = std::ranges::find(queue, id);
    if (at == queue.end()) return false;
    auto was_front = at == queue.begin();
    queue.erase(at);
    if (queue.empty()) lanes_.erase(found);
    return was_front;
}

std::optional<CommandId> Lanes::front(std::string_view device, std::string_view lane) const {
    auto const* queue = find(device, lane);
    if (queue == nullptr) return std::nullopt;
    return queue->front();
}

std::size_t Lanes::size(std::string_view device, std::string_view lane) const {
    auto const* queue = find(device, lane);
    return queue == nullptr ? 0 : queue->size();
}

std::vector<CommandId> Lanes::all(std::string_view device, std::string_view lane) const {
    auto const* queue = find(device, lane);
    if (queue == nullptr) return {};
    return *queue;
}

std::vector<CommandId> const* Lanes::find(std::string_view device, std::string_view lane) const {
    auto found = lanes_.find(key_of(device, lane));
    return found == lanes_.end() ? nullptr : &found->second;
}

}  // namespace spoke::bridge
