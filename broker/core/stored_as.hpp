#pragma once

#include <cstdint>

#include "protocol/base/strong.hpp"

namespace spoke::broker {

/// A session in the store: never given twice, so that what is left of one that has ended is never
/// taken for another's. At most 40 bits. 0: the session is not stored.
using SessionNumber = Strong<std::uint64_t, struct SessionNumberTag>;

/// A delivery in the store: rises in the order in which messages are routed. Never given twice.
/// 0: not stored.
using DeliveryNumber = Strong<std::uint64_t, struct DeliveryNumberTag>;

/// Where a delivery and its message are stored.
struct StoredAs {
    DeliveryNumber number{};
    /// The message is stored under the number this much lower, shared by all its deliveries; 0: it
    /// is this delivery's own.
    std::uint32_t message_back = 0;

    [[nodiscard]] bool is_stored() const noexcept { return number.value != 0; }
    [[nodiscard]] bool owns_message() const noexcept { return message_back == 0; }
    friend bool operator==(StoredAs const&, StoredAs const&) = default;
};

/// The next delivery of the same message.
[[nodiscard]] inline StoredAs following(StoredAs as) noexcept {
    return {DeliveryNumber{as.number.value + 1}, as.message_back + 1};
}

}  // namespace spoke::broker
