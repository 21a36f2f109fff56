#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// One block of memory per shard which is handed out from front to back and taken back whole. What
/// a loop turn reads and encodes lives here until the flush at its end: packets of one turn lie
/// side by side, so that they go out in few pieces, and the same cache lines serve every turn.
class Arena {
public:
    explicit Arena(std::size_t size)
        : block_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t room() const noexcept { return size_ - used_; }
    /// The free part, to read into; keep() then says how much of it is taken.
    [[nodiscard]] std::span<std::byte> free_space() noexcept {
        return {block_.get() + used_, room()};
    }
    std::byte* keep(std::size_t n) noexcept {
        MQ_ASSERT(n <= room());
        std::byte* place = block_.get() + used_;
        used_ += n;
        return place;
    }
    /// Everything handed out before is void. The round tells borrowers of an earlier one apart.
    void reset() noexcept {
        used_ = 0;
        ++round_;
    }
    [[nodiscard]] std::uint64_t round() const noexcept { return round_; }

private:
    std::unique_ptr<std::byte[]> block_;
    std::size_t size_;
    std::size_t used_ = 0;
    std::uint64_t round_ = 0;
};

}  // namespace spoke::broker
