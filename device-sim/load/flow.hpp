#pragma once

#include <cstdint>
#include <vector>

#include "protocol/packet/basics.hpp"

namespace spoke::sim::load {

/// Which messages of a flow have not reached all receivers: sequence numbers [base, next). At most
/// `size`.
class FlowWindow {
public:
    FlowWindow(std::uint32_t size, std::uint32_t receivers);

    [[nodiscard]] bool has_room() const noexcept { return next_ - base_ < size_; }
    [[nodiscard]] bool is_empty() const noexcept { return next_ == base_; }
    [[nodiscard]] std::uint32_t next() const noexcept { return next_; }

    /// Takes the next sequence number. Precondition: has_room().
    std::uint32_t take() noexcept;

    /// One receiver's progress moved by `count` and now stands before `upto`.
    void advance(std::uint32_t upto, std::uint32_t count) noexcept;

    /// Gives up what is on the way. What comes of it later does not count.
    void write_off() noexcept;

private:
    std::uint32_t size_;
    std::uint32_t receivers_;
    std::uint32_t base_ = 0;
    std::uint32_t next_ = 0;
    std::vector<std::uint32_t>
        waiting_;  // receivers still to come, by sequence % size; empty for one
};

/// Packet ids 1..size of one publisher, each in use from PUBLISH to its last acknowledgement.
class PacketIds {
public:
    explicit PacketIds(std::uint32_t size);

    [[nodiscard]] bool has_free() const noexcept { return !free_.empty(); }
    [[nodiscard]] bool all_free() const noexcept { return free_.size() == in_use_.size(); }

    /// Precondition: has_free().
    mqtt::PacketId take() noexcept;

    /// Out     false if `id` was not in use: an acknowledgement nobody waits for.
    [[nodiscard]] bool release(mqtt::PacketId id) noexcept;

private:
    std::vector<std::uint16_t> free_;
    std::vector<bool> in_use_;  // by id - 1
};

}  // namespace spoke::sim::load
