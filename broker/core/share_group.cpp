#include "broker/core/share_group.hpp"

#include <new>

#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

void give_back(void* memory) noexcept {
    ::operator delete(memory);
}

std::uint64_t hash_session(SessionRef session) noexcept {
    auto number = std::uint64_t{session.slot} | std::uint64_t{session.shard} << 32 |
                  std::uint64_t{session.generation} << 40;
    return level_bits::mix(number ^ level_bits::kSecond, level_bits::kFirst);
}

}  // namespace

/// Replaced as a whole when its options change.
struct ShareGroup::Member {
    Subscriber subscriber;
    std::uint32_t place;  // in the roster; writer only

    [[nodiscard]] static std::uint64_t hash_of(Member const& member) noexcept {
        return hash_session(member.subscriber.session());
    }
    static void free(void* member) noexcept { delete static_cast<Member*>(member); }
};

struct alignas(void*) ShareGroup::Roster {
    std::uint32_t capacity;
    std::atomic<std::uint32_t> size{0};
    std::atomic<std::uint32_t> connected{0};  // those in front

    // Places behind the end may hold members that are gone: a reader gets there only if it read the
    // size before they went, and for that reader they have not been freed.
    [[nodiscard]] std::atomic<Member*>& operator[](std::uint32_t place) noexcept {
        return reinterpret_cast<std::atomic<Member*>*>(this + 1)[place];
    }
    [[nodiscard]] static Roster* make(std::uint32_t capacity) {
        auto* memory = ::operator new(sizeof(Roster) + capacity * sizeof(std::atomic<Member*>));
        auto* roster = new (memory) Roster{.capacity = capacity};
        for (std::uint32_t i = 0; i < capacity; ++i) new (&(*roster)[i]) std::atomic<Member*>{};
        return roster;
    }
    [[nodiscard]] Roster* enlarged() {
        auto* roster = make(capacity * 2);
        auto count = size.load(std::memory_order_relaxed);
        for (std::uint32_t i = 0; i < count; ++i) {
            (*roster)[i].store((*this)[i].load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
        }
        roster->size.store(count, std::memory_order_relaxed);
        roster->connected.store(connected.load(std::memory_order_relaxed),
                                std::memory_order_relaxed);
        return roster;
    }
    void set(std::uint32_t place, Member* member) noexcept {
        member->place = place;
        (*this)[place].store(member, std::memory_order_release);
    }
    void swap(std::uint32_t a, std::uint32_t b) noexcept {
        if (a == b) return;
        auto* at_a = (*this)[a].load(std::memory_order_relaxed);
        auto* at_b = (*this)[b].load(std::memory_order_relaxed);
        set(a, at_b);
        set(b, at_a);
    }
    void set_connected(Member* member, bool is_connected) noexcept {
        auto border = connected.load(std::memory_order_relaxed);
        if ((member->place < border) == is_connected) return;
        if (is_connected) {
            swap(member->place, border);
            connected.store(border + 1, std::memory_order_release);
        } else {
            swap(member->place, border - 1);
            connected.store(border - 1, std::memory_order_release);
        }
    }
};

Subscriber const* ShareGroup::choose() const noexcept {
    auto* roster = roster_.load(std::memory_order_acquire);
    if (!roster) return nullptr;
    auto count = roster->connected.load(std::memory_order_acquire);
    if (count == 0) count = roster->size.load(std::memory_order_acquire);
    if (count == 0) return nullptr;
    auto place = turn_.fetch_add(1, std::memory_order_relaxed) % count;
    return &(*roster)[place].load(std::memory_order_acquire)->subscriber;
}

Subscriber const* ShareGroup::find(SessionRef session) const noexcept {
    auto const* found = member(session);
    return found ? &found->subscriber : nullptr;
}

ShareGroup::Member* ShareGroup::member(SessionRef session) const noexcept {
    return sessions_.view().find_if(hash_session(session), [&](Member const& it) {
        return it.subscriber.session() == session;
    });
}

bool ShareGroup::is_empty() const noexcept {
    auto* roster = roster_.load(std::memory_order_relaxed);
    return !roster || roster->size.load(std::memory_order_relaxed) == 0;
}

bool ShareGroup::put(Subscriber subscriber, Reclaimer& reclaimer) {
    auto* made = new Member{subscriber, 0};
    auto* old = member(subscriber.session());
    if (old) {
        sessions_.exchange(old, made, Member::hash_of);
        roster_.load(std::memory_order_relaxed)->set(old->place, made);
        reclaimer.retire(old, Member::free);
    } else {
        add(made, reclaimer);
    }
    roster_.load(std::memory_order_relaxed)->set_connected(made, true);
    return !old;
}

void ShareGroup::add(Member* made, Reclaimer& reclaimer) {
    sessions_.insert(made, *this, Member::hash_of, reclaimer);
    auto* roster = roster_.load(std::memory_order_relaxed);
    auto size = roster ? roster->size.load(std::memory_order_relaxed) : 0;
    if (!roster || size == roster->capacity) {
        auto* larger = roster ? roster->enlarged() : Roster::make(2);
        roster_.store(larger, std::memory_order_release);
        if (roster) reclaimer.retire(roster, give_back);
        roster = larger;
    }
    roster->set(size, made);
    roster->size.store(size + 1, std::memory_order_release);
}

bool ShareGroup::remove(SessionRef session, Reclaimer& reclaimer) {
    auto* gone = member(session);
    if (!gone) return false;
    auto* roster = roster_.load(std::memory_order_relaxed);
    roster->set_connected(gone, false);
    auto last = roster->size.load(std::memory_order_relaxed) - 1;
    roster->swap(gone->place, last);
    roster->size.store(last, std::memory_order_release);
    sessions_.erase(gone, *this, Member::hash_of, reclaimer);
    reclaimer.retire(gone, Member::free);
    return true;
}

void ShareGroup::set_connected(SessionRef session, bool connected) noexcept {
    if (auto* found = member(session)) {
        roster_.load(std::memory_order_relaxed)->set_connected(found, connected);
    }
}

void ShareGroup::free() noexcept {
    sessions_.view().each([](Member& it) { Member::free(&it); });
    sessions_.free();
    give_back(roster_.load(std::memory_order_relaxed));
}

}  // namespace spoke::broker
