#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "broker/core/session.hpp"

namespace spoke::broker {

/// The sessions whose home is one shard: by client id, and by slot for deliveries.
class SessionTable {
public:
    explicit SessionTable(std::uint8_t shard) noexcept : shard_(shard) {}

    [[nodiscard]] Session* find(std::string_view client_id) const noexcept;
    /// The session `ref` was made for, or nullptr if it has ended.
    [[nodiscard]] Session* find(SessionRef ref) const noexcept {
        if (ref.slot >= slots_.size()) return nullptr;
        Slot const& slot = slots_[ref.slot];
        return slot.generation == ref.generation ? slot.session.get() : nullptr;
    }
    /// There must be none of this client id.
    Session& add(std::string client_id);
    /// Destroys it; references made for it find nothing from here on.
    void remove(Session& session) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return by_client_id_.size(); }

    template <class Visit>
    void each(Visit&& visit) const {
        for (Slot const& slot : slots_) {
            if (slot.session) visit(*slot.session);
        }
    }

private:
    struct Slot {
        std::unique_ptr<Session> session{};
        std::uint16_t generation = 0;
    };

    std::uint8_t shard_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_slots_;
    boost::unordered_flat_map<std::string_view, Session*>
        by_client_id_;  // keys lie in the sessions
};

}  // namespace spoke::broker
