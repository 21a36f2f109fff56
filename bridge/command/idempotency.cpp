#include "bridge/command/idempotency.hpp"

namespace spoke::bridge {

std::optional<CommandId> IdempotencyIndex::find(CommandRequest const& request,
                                                std::string_view key) const {
    if (!key.empty()) {
        auto found = by_key_.find(std::string{key});
        if (found != by_key_.end()) return found->second;
    }
    if (!request.ref.empty()) {
        auto found = by_ref_.find(natural_key(request));
        if (found != by_ref_.end()) return found->second;
    }
    return std::nullopt;
}

void IdempotencyIndex::add(CommandRequest const& request, std::string_view key,
                           CommandId const& id) {
    if (!key.empty()) by_key_.emplace(key, id);
    if (!request.ref.empty()) by_ref_.emplace(natural_key(request), id);
}

void IdempotencyIndex::release_ref(CommandRequest const& request, CommandId const& id) {
    if (request.ref.empty()) return;
    auto found = by_ref_.find(natural_key(request));
    if (found != by_ref_.end() && found->second == id) by_ref_.erase(found);
}

void IdempotencyIndex::release_key(std::string_view key, CommandId const& id) {
    auto found = by_key_.find(std::string{key});
    if (found != by_key_.end() && found->second == id) by_key_.erase(found);
}

std::string IdempotencyIndex::natural_key(CommandRequest const& request) {
    // No member holds U+0000: the request parser refuses it.
    std::string out = request.device;
    out += '\0';
    out += request.verb;
    out += '\0';
    out += request.ref;
    return out;
}

}  // namespace spoke::bridge
