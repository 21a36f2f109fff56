#pragma once

#include <atomic>
#include <cstdint>

#include "broker/core/child_table.hpp"
#include "broker/core/reclaimer.hpp"
#include "broker/core/subscription_index.hpp"

namespace spoke::broker {

/// The members of one shared subscription (MQTT 5, 4.8.2). One writer at a time; choose() and
/// find() run on other threads meanwhile without a lock.
///
/// The roster is an array of pointers with the connected members in front. Whoever joins, leaves,
/// connects or disconnects changes places with a member at the border: two stores, whatever the
/// size. A reader that looks in between finds a member twice or misses one, which for a choice of
/// one does not matter.
class ShareGroup {
public:
    ShareGroup() = default;
    ShareGroup(ShareGroup const&) = delete;
    ShareGroup& operator=(ShareGroup const&) = delete;

    // Any reader.

    /// The member whose turn it is: of those connected, or of all if none is. nullptr if empty.
    /// Each group counts its own turns, or a publisher who serves several in a fixed order would
    /// always meet the same members.
    [[nodiscard]] Subscriber const* choose() const noexcept;
    [[nodiscard]] Subscriber const* find(SessionRef session) const noexcept;

    // The writer.

    [[nodiscard]] bool is_empty() const noexcept;
    /// Connects the member; whether it is new.
    bool put(Subscriber subscriber, Reclaimer& reclaimer);
    /// Whether there was one.
    bool remove(SessionRef session, Reclaimer& reclaimer);
    void set_connected(SessionRef session, bool connected) noexcept;
    /// Gives its memory back at once: no reader is left.
    void free() noexcept;

private:
    struct Member;
    struct Roster;

    [[nodiscard]] Member* member(SessionRef session) const noexcept;
    void add(Member* member, Reclaimer& reclaimer);

    std::atomic<Roster*> roster_{nullptr};
    mutable std::atomic<std::uint32_t> turn_{0};
    Children<Member> sessions_;  // finds the member of a session
};

}  // namespace spoke::broker
