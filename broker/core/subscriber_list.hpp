#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "broker/core/reclaimer.hpp"
#include "broker/core/subscription_index.hpp"

namespace spoke::broker {

/// The subscribers of one topic filter. One writer at a time; readers on other threads get spans of
/// it meanwhile without a lock.
///
/// An entry that readers may see is never written again. A new one is put behind the others, where
/// no reader looks yet; to change or remove one replaces the block it stands in. A list of more
/// than kBlockMax is spread over blocks by session, so that neither costs more with a hundred
/// thousand subscribers than with two thousand.
///
/// It is one word: nothing; "the entry that the node itself holds" (kOwn), which is all that most
/// filters ever have; the address of a block; or that of a spread of lists with one block each.
class SubscriberList {
public:
    static constexpr std::uint32_t kBlockMax = 2048;

    enum class Put { added, replaced, unchanged };

    SubscriberList() = default;
    SubscriberList(SubscriberList const&) = delete;
    SubscriberList& operator=(SubscriberList const&) = delete;

    // Any reader. `own`: the node's own entry, looked at only if the list says that it counts.
    void append_to(std::vector<std::span<Subscriber const>>& spans, Subscriber const& own) const;
    [[nodiscard]] Subscriber const* find(SessionRef session, Subscriber const& own) const noexcept;

    // The writer.
    [[nodiscard]] bool is_own() const noexcept { return word() == kOwn; }
    [[nodiscard]] bool is_empty() const noexcept { return word() == kNone; }
    void use_own() noexcept { publish(kOwn); }
    Put put(Subscriber subscriber, Subscriber const& own, Reclaimer& reclaimer);
    /// Whether there was one.
    bool remove(SessionRef session, Subscriber const& own, Reclaimer& reclaimer);
    /// Becomes what `other` is, which is not used again.
    void take_over(SubscriberList const& other) noexcept { publish(other.word()); }
    /// Gives its memory back at once: no reader is left.
    void free() noexcept;

private:
    using Word = std::uintptr_t;
    static constexpr Word kNone = 0;
    static constexpr Word kOwn = 1;
    static constexpr Word kSpreadBit = 2;  // in the address of a spread

    struct Block;
    struct Spread;

    [[nodiscard]] Word word() const noexcept { return word_.load(std::memory_order_relaxed); }
    void publish(Word word) noexcept { word_.store(word, std::memory_order_release); }
    [[nodiscard]] static Block* block(Word word) noexcept { return reinterpret_cast<Block*>(word); }
    [[nodiscard]] static Spread* spread(Word word) noexcept;

    // These take the list as one block, or less.
    [[nodiscard]] static std::span<Subscriber const> view(Word word,
                                                          Subscriber const& own) noexcept;
    Put put_in_block(Subscriber subscriber, Subscriber const& own, Reclaimer& reclaimer);
    bool remove_from_block(SessionRef session, Subscriber const& own, Reclaimer& reclaimer);

    /// Replaces what there is by a spread over `parts` lists, or by one block if that is 1.
    void spread_over(std::uint32_t parts, Reclaimer& reclaimer);
    void retire(Word word, Reclaimer& reclaimer);

    std::atomic<Word> word_{kNone};
};

}  // namespace spoke::broker
