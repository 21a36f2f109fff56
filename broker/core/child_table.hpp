#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "broker/core/level_key.hpp"
#include "broker/core/reclaimer.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// A hash table of pointers to `Node`, open addressing, one block of memory with what else belongs
/// to the owner in front (`Extra`). One writer at a time changes it in place; readers on other
/// threads search it meanwhile without a lock. An entry never moves within a table: a table that is
/// full is replaced by a larger one and retired. The nodes are not owned.
///
/// A slot holds the pointer and, in the 16 bits above it that no user-space address has, a part of
/// the hash, so that a search touches hardly any node but the one it is for.
template <class Node, class Extra>
class alignas(std::uint64_t) ChildTable {
public:
    [[nodiscard]] static ChildTable* make(std::uint32_t capacity) {
        static_assert(std::is_trivially_destructible_v<Extra>);
        void* memory = ::operator new(sizeof(ChildTable) + capacity * sizeof(Slot));
        return new (memory) ChildTable{capacity};
    }
    /// For Reclaimer::retire().
    static void free(void* table) noexcept { ::operator delete(table); }

    /// The capacity a table for `count` entries should have, with room for some more. Odd, because
    /// the block then fills what malloc hands out.
    [[nodiscard]] static constexpr std::uint32_t capacity_for(std::uint32_t count) noexcept {
        if (count <= 1) return 1;
        if (count < 7) return count | 1;
        return (count + count / 2 + count / 4) | 1;
    }

    // Any thread.

    /// The node with this hash for which `is_it(node)` holds, or nullptr.
    template <class IsIt>
    [[nodiscard, gnu::always_inline]] Node* find_if(std::uint64_t hash,
                                                    IsIt const& is_it) const noexcept {
        auto tag = tag_of(hash);
        auto at = home(hash);
        for (auto left = capacity_; left > 0; --left) {
            auto word = slots()[at].load(std::memory_order_acquire);
            if (word == kEmpty) return nullptr;
            if (word >> kPointerBits == tag) {
                auto* node = pointer(word);
                if (is_it(*node)) return node;
            }
            if (++at == capacity_) at = 0;
        }
        return nullptr;
    }
    [[nodiscard]] Node* find(LevelKey const& key) const noexcept {
        return find_if(key.hash, [&](Node const& node) { return node.is(key); });
    }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    /// The slot where the search for `hash` begins; does not fall when the hash rises.
    [[nodiscard]] std::uint32_t home(std::uint64_t hash) const noexcept {
        return static_cast<std::uint32_t>((hash >> 32) * capacity_ >> 32);
    }
    /// Whether every search that comes to this slot ends here.
    [[nodiscard]] bool ends_search(std::uint32_t at) const noexcept {
        return slots()[at].load(std::memory_order_acquire) == kEmpty;
    }
    /// The node in this slot, or nullptr.
    [[nodiscard]] Node* at(std::uint32_t at) const noexcept {
        auto word = slots()[at].load(std::memory_order_acquire);
        return word >> kPointerBits ? pointer(word) : nullptr;
    }

    // The writer.

    [[nodiscard]] std::uint32_t size() const noexcept { return live_; }
    /// A small table is searched whole, so it may be filled to the last slot; a large one needs
    /// empty slots, which end the searches.
    [[nodiscard]] bool is_full() const noexcept {
        return capacity_ < 8 ? live_ == capacity_ : used_ >= capacity_ - capacity_ / 5;
    }
    /// Far larger than its content needs.
    [[nodiscard]] bool is_sparse() const noexcept { return capacity_ > 8 && live_ < capacity_ / 4; }

    /// There must be room and no such node yet.
    void insert(std::uint64_t hash, Node* node) noexcept {
        MQ_ASSERT(live_ < capacity_);
        auto at = home(hash);
        while (slots()[at].load(std::memory_order_relaxed) >> kPointerBits) {
            if (++at == capacity_) at = 0;
        }
        if (slots()[at].load(std::memory_order_relaxed) == kEmpty) ++used_;
        ++live_;
        slots()[at].store(pack(hash, node), std::memory_order_release);
        extra.note(*node);
    }
    void erase(std::uint64_t hash, Node const* node) noexcept {
        auto at = slot_of(hash, node);
        --live_;
        extra.forget(*node);
        slots()[at].store(kErased, std::memory_order_release);
        if (slots()[at + 1 == capacity_ ? 0 : at + 1].load(std::memory_order_relaxed) != kEmpty)
            return;
        // No search goes on behind here, so the erased slots in a row need not lead it on.
        while (slots()[at].load(std::memory_order_relaxed) == kErased) {
            slots()[at].store(kEmpty, std::memory_order_release);
            --used_;
            at = (at == 0 ? capacity_ : at) - 1;
        }
    }
    /// `with` takes the place of `node`; of the same hash.
    void replace(std::uint64_t hash, Node const* node, Node const* with) noexcept {
        slots()[slot_of(hash, node)].store(pack(hash, with), std::memory_order_release);
    }
    template <class Visit>
    void each(Visit&& visit) const {
        for (std::uint32_t i = 0; i < capacity_; ++i) {
            if (auto* node = at(i)) visit(*node);
        }
    }
    /// A copy with another capacity; takes over what the extra part owns. `hash_of(node)` gives the
    /// hash each was put in with.
    template <class HashOf>
    [[nodiscard]] ChildTable* resized(std::uint32_t capacity, HashOf const& hash_of) const {
        auto* table = make(capacity);
        each([&](Node& node) { table->insert(hash_of(node), &node); });
        table->extra.take_over(extra);
        return table;
    }

    [[no_unique_address]] Extra extra{};

private:
    using Slot = std::atomic<std::uint64_t>;
    static constexpr std::uint64_t kEmpty = 0;
    static constexpr std::uint64_t kErased = 1;
    static constexpr int kPointerBits = 48;

    explicit ChildTable(std::uint32_t capacity) noexcept : capacity_(capacity) {
        for (std::uint32_t i = 0; i < capacity; ++i) new (slots() + i) Slot{kEmpty};
    }
    /// Never 0, which is the tag of slots without a node.
    [[nodiscard]] static std::uint64_t tag_of(std::uint64_t hash) noexcept {
        return (hash & 0xFFFF) | 0x8000;
    }
    [[nodiscard]] static std::uint64_t pack(std::uint64_t hash, Node const* node) noexcept {
        auto address = reinterpret_cast<std::uint64_t>(node);
        MQ_ASSERT(address >> kPointerBits == 0);
        return tag_of(hash) << kPointerBits | address;
    }
    [[nodiscard]] static Node* pointer(std::uint64_t word) noexcept {
        return reinterpret_cast<Node*>(word & ((std::uint64_t{1} << kPointerBits) - 1));
    }
    [[nodiscard]] std::uint32_t slot_of(std::uint64_t hash, Node const* node) const noexcept {
        auto at = home(hash);
        while (slots()[at].load(std::memory_order_relaxed) != pack(hash, node)) {
            if (++at == capacity_) at = 0;
        }
        return at;
    }
    [[nodiscard]] Slot* slots() noexcept { return reinterpret_cast<Slot*>(this + 1); }
    [[nodiscard]] Slot const* slots() const noexcept {
        return reinterpret_cast<Slot const*>(this + 1);
    }

    std::uint32_t capacity_;
    std::uint32_t live_ = 0;  // writer only, as is used_: entries and erased slots
    std::uint32_t used_ = 0;
};

/// What an `Extra` does; this one has nothing to do.
struct NoExtra {
    template <class Node>
    void note(Node const&) noexcept {}  // an entry has come
    template <class Node>
    void forget(Node const&) noexcept {}  // an entry goes
    void take_over(NoExtra const&) noexcept {}
    /// Begins as what the owner has without a table.
    template <class Owner>
    void start(Owner const&) noexcept {}
    /// Whether it says no more than the owner would without a table.
    template <class Owner>
    [[nodiscard]] bool is_idle(Owner const&) const noexcept {
        return true;
    }
};

/// The children of one node of a trie: none, one, or a table, in one word. One child alone needs no
/// table, and every node of `d/17/cmd` but the first is like that.
template <class Node, class Extra = NoExtra>
class Children {
public:
    using Table = ChildTable<Node, Extra>;

    /// What there was at one moment.
    class View {
    public:
        [[nodiscard]] bool is_none() const noexcept { return word_ == 0; }
        [[nodiscard]] Node* sole() const noexcept {
            return word_ & kSole ? reinterpret_cast<Node*>(word_ & ~kSole) : nullptr;
        }
        [[nodiscard]] Table* table() const noexcept {
            return word_ & kSole ? nullptr : reinterpret_cast<Table*>(word_);
        }
        [[nodiscard]] std::uint32_t size() const noexcept {  // the writer
            return is_none() ? 0 : sole() ? 1 : table()->size();
        }
        template <class IsIt>
        [[nodiscard]] Node* find_if(std::uint64_t hash, IsIt const& is_it) const noexcept {
            if (auto* node = sole()) return is_it(*node) ? node : nullptr;
            return is_none() ? nullptr : table()->find_if(hash, is_it);
        }
        [[nodiscard]] Node* find(LevelKey const& key) const noexcept {
            return find_if(key.hash, [&](Node const& node) { return node.is(key); });
        }
        template <class Visit>
        void each(Visit&& visit) const {
            if (auto* node = sole()) {
                visit(*node);
            } else if (!is_none()) {
                table()->each(visit);
            }
        }

    private:
        friend Children;
        explicit View(std::uintptr_t word) noexcept : word_(word) {}
        std::uintptr_t word_;
    };

    /// Any thread.
    [[nodiscard]] View view() const noexcept { return View{word_.load(std::memory_order_acquire)}; }

    // The writer. `hash_of(node)` gives the hash of a node, always the same.

    template <class Owner, class HashOf>
    void insert(Node* node, Owner const& owner, HashOf const& hash_of, Reclaimer& reclaimer) {
        auto now = view();
        if (now.is_none()) {
            publish(reinterpret_cast<std::uintptr_t>(node) | kSole);
        } else if (auto* table = now.table(); table && !table->is_full()) {
            table->insert(hash_of(*node), node);
        } else {
            auto* larger = resized_from(now, Table::capacity_for(now.size() + 1), owner, hash_of);
            larger->insert(hash_of(*node), node);
            replace(now, larger, reclaimer);
        }
    }
    template <class Owner, class HashOf>
    void erase(Node const* node, Owner const& owner, HashOf const& hash_of, Reclaimer& reclaimer) {
        auto now = view();
        if (now.sole()) {
            MQ_ASSERT(now.sole() == node);
            return publish(0);
        }
        auto* table = now.table();
        table->erase(hash_of(*node), node);
        if (table->is_sparse()) {
            auto capacity = Table::capacity_for(table->size());
            replace(now, resized_from(now, capacity, owner, hash_of), reclaimer);
        }
        simplify(owner, reclaimer);
    }
    /// `with` takes the place of `node`, which has the same hash.
    template <class HashOf>
    void exchange(Node const* node, Node* with, HashOf const& hash_of) noexcept {
        if (view().sole()) {
            publish(reinterpret_cast<std::uintptr_t>(with) | kSole);
        } else {
            view().table()->replace(hash_of(*with), node, with);
        }
    }
    /// The extra part, for which a table is made if there is none.
    template <class Owner, class HashOf>
    [[nodiscard]] Extra& extra(Owner const& owner, HashOf const& hash_of) {
        auto now = view();
        if (auto* table = now.table()) return table->extra;
        auto* made = resized_from(now, now.size(), owner, hash_of);
        publish(reinterpret_cast<std::uintptr_t>(made));
        return made->extra;
    }
    /// Does without a table if that says the same.
    template <class Owner>
    void simplify(Owner const& owner, Reclaimer& reclaimer) {
        auto* table = view().table();
        if (!table || table->size() > 1 || !table->extra.is_idle(owner)) return;
        std::uintptr_t word = 0;
        table->each([&](Node& node) { word = reinterpret_cast<std::uintptr_t>(&node) | kSole; });
        publish(word);
        reclaimer.retire(table, Table::free);
    }
    /// Gives the table's memory back at once: no reader is left.
    void free() noexcept { Table::free(view().table()); }
    /// Becomes what `other` is, which is not used again.
    void take_over(Children const& other) noexcept { publish(other.view().word_); }

private:
    static constexpr std::uintptr_t kSole = 1;  // in the address of the only child

    template <class Owner, class HashOf>
    [[nodiscard]] static Table* resized_from(View now, std::uint32_t capacity, Owner const& owner,
                                             HashOf const& hash_of) {
        if (auto* table = now.table()) return table->resized(capacity, hash_of);
        auto* made = Table::make(capacity);
        made->extra.start(owner);
        if (auto* node = now.sole()) made->insert(hash_of(*node), node);
        return made;
    }
    void replace(View old, Table* table, Reclaimer& reclaimer) {
        publish(reinterpret_cast<std::uintptr_t>(table));
        if (old.table()) reclaimer.retire(old.table(), Table::free);
    }
    void publish(std::uintptr_t word) noexcept { word_.store(word, std::memory_order_release); }

    std::atomic<std::uintptr_t> word_{0};
};

}  // namespace spoke::broker
