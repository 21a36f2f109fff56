#pragma once

#include <cstdint>
#include <vector>

namespace spoke::sim::load {

/// What a receiver saw of a flow, added up over flows.
struct SequenceTotals {
    std::uint64_t received = 0;  // each message once
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;  // came after a later one

    SequenceTotals& operator+=(SequenceTotals const& other) noexcept {
        received += other.received;
        lost += other.lost;
        duplicated += other.duplicated;
        reordered += other.reordered;
        return *this;
    }
};

/// Follows the sequence numbers 0, 1, 2, ... of one flow at one receiver: what is missing, came
/// twice or came late. A flow has at most 2^32 - 1 messages. Remembers `kGapsMax` gaps; a late
/// message from an older gap then counts as duplicated, and the gap as lost.
class SequenceChecker {
public:
    static constexpr std::size_t kGapsMax = 1024;

    /// Takes the next message.
    /// Out     how far `next()` moved: 1 in order, 0 for a late or second one, more over a gap.
    std::uint32_t accept(std::uint32_t sequence) {
        if (sequence == next_) [[likely]] {
            ++next_;
            ++received_;
            return 1;
        }
        return accept_out_of_order(sequence);
    }

    /// One past the highest number seen.
    [[nodiscard]] std::uint32_t next() const noexcept { return next_; }

    /// The account after `sent` messages went out and no more will come: whatever has not come is
    /// lost.
    [[nodiscard]] SequenceTotals totals(std::uint32_t sent) const noexcept;

private:
    struct Gap {
        std::uint32_t begin;
        std::uint32_t end;  // one past
    };

    std::uint32_t accept_out_of_order(std::uint32_t sequence);
    bool fill_gap(std::uint32_t sequence);

    std::uint32_t next_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t duplicated_ = 0;
    std::uint64_t reordered_ = 0;
    std::vector<Gap> gaps_;  // ascending, apart
};

}  // namespace spoke::sim::load
