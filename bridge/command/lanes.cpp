#include "bridge/command/lanes.hpp"

#include <algorithm>

namespace spoke::bridge {
namespace {

template <class Map>
auto& find_or_add(Map& map, std::string_view key) {
    auto found = map.find(key);
    return found != map.end() ? found->second : map[std::string{key}];
}

}  // namespace

void Lanes::push(std::string_view device, std::string_view lane, CommandId const& id) {
    find_or_add(find_or_add(devices_, device), lane).push_back(id);
}

bool Lanes::remove(std::string_view device, std::string_view lane, CommandId const& id) {
    auto lanes = devices_.find(device);
    if (lanes == devices_.end()) return false;
    auto queue = lanes->second.find(lane);
    if (queue == lanes->second.end()) return false;
    auto at = std::ranges::find(queue->second, id);
    if (at == queue->second.end()) return false;
    auto was_front = at == queue->second.begin();
    queue->second.erase(at);
    if (queue->second.empty()) lanes->second.erase(queue);
    if (lanes->second.empty()) devices_.erase(lanes);
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
    auto lanes = devices_.find(device);
    if (lanes == devices_.end()) return nullptr;
    auto queue = lanes->second.find(lane);
    return queue == lanes->second.end() ? nullptr : &queue->second;
}

}  // namespace spoke::bridge
