#include "broker/core/session_table.hpp"

#include "protocol/base/assert.hpp"

namespace spoke::broker {

Session* SessionTable::find(std::string_view client_id) const noexcept {
    auto found = by_client_id_.find(client_id);
    return found == by_client_id_.end() ? nullptr : found->second;
}

Session& SessionTable::add(std::string client_id) {
    std::uint32_t index = 0;
    if (free_slots_.empty()) {
        index = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        index = free_slots_.back();
        free_slots_.pop_back();
    }
    Slot& slot = slots_[index];
    slot.session = std::make_unique<Session>(std::move(client_id));
    Session& session = *slot.session;
    session.ref_ = {index, slot.generation, shard_};
    bool added = by_client_id_.emplace(session.client_id(), &session).second;
    MQ_ASSERT(added);
    return session;
}

void SessionTable::remove(Session& session) noexcept {
    SessionRef ref = session.ref();
    MQ_ASSERT(find(ref) == &session);
    by_client_id_.erase(session.client_id());
    Slot& slot = slots_[ref.slot];
    ++slot.generation;
    slot.session.reset();
    free_slots_.push_back(ref.slot);
}

}  // namespace spoke::broker
