#pragma once

#include <cstddef>
#include <cstdint>

#include "broker/core/stored_as.hpp"
#include "broker/storage/flat_map.hpp"

namespace spoke::broker {

/// Which deliveries are stored, how many share a message, and how much their messages weigh. Small:
/// a bit per delivery and 24 bytes per 64 numbers in use, since numbers are given one after the
/// other, and 16 bytes per shared message.
///
/// The weight of a shared message is exact. That of a message of one receiver is exact for each 64
/// numbers together until one of them goes, which takes their average with it.
class LiveDeliveries {
public:
    /// No effect if it is there.
    void add(StoredAs as, std::uint32_t message_size);
    [[nodiscard]] bool has(DeliveryNumber number) const noexcept;

    enum class Removed : std::uint8_t {
        nothing,       // it was not there
        delivery,      // others share its message
        with_message,  // nobody has its message any more
    };
    Removed remove(StoredAs as) noexcept;

    [[nodiscard]] std::uint64_t deliveries() const noexcept { return deliveries_; }
    [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
    [[nodiscard]] std::uint64_t message_bytes() const noexcept { return message_bytes_; }

private:
    struct Block {
        std::uint64_t present = 0;  // a bit per number
        std::uint64_t own_count : 8 = 0;
        std::uint64_t own_bytes : 56 = 0;
    };
    struct Shared {
        std::uint32_t deliveries = 0;
        std::uint32_t bytes = 0;
    };

    FlatMap<Block> blocks_{};   // by number / 64 + 1
    FlatMap<Shared> shared_{};  // by the number of the message
    std::uint64_t deliveries_ = 0;
    std::uint64_t messages_ = 0;
    std::uint64_t message_bytes_ = 0;
};

}  // namespace spoke::broker
