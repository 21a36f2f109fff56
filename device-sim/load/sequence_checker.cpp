#include "device-sim/load/sequence_checker.hpp"

#include <algorithm>

namespace spoke::sim::load {

std::uint32_t SequenceChecker::accept_out_of_order(std::uint32_t sequence) {
    if (sequence < next_) {
        if (fill_gap(sequence)) {
            ++received_;
            ++reordered_;
        } else {
            ++duplicated_;
        }
        return 0;
    }
    if (gaps_.size() == kGapsMax) gaps_.erase(gaps_.begin());
    gaps_.push_back(Gap{.begin = next_, .end = sequence});
    auto moved = sequence + 1 - next_;
    next_ = sequence + 1;
    ++received_;
    return moved;
}

bool SequenceChecker::fill_gap(std::uint32_t sequence) {
    auto gap = std::upper_bound(gaps_.begin(), gaps_.end(), sequence,
                                [](std::uint32_t wanted, Gap const& g) { return wanted < g.end; });
    if (gap == gaps_.end() || sequence < gap->begin) return false;
    auto behind = Gap{.begin = sequence + 1, .end = gap->end};
    gap->end = sequence;
    if (gap->begin == gap->end)
        gap = gaps_.erase(gap);
    else
        ++gap;
    if (behind.begin != behind.end) gaps_.insert(gap, behind);
    return true;
}

SequenceTotals SequenceChecker::totals(std::uint32_t sent) const noexcept {
    auto expected = std::max<std::uint64_t>(sent, received_);
    return {.received = received_,
            .lost = expected - received_,
            .duplicated = duplicated_,
            .reordered = reordered_};
}

}  // namespace spoke::sim::load
