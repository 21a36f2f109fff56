#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace spoke::bridge {

/// What to do with an order for a device that is not connected.
enum class IfOffline : std::uint8_t { fail, wait };

/// `once`: sent on one connection only, never again after it. `until`: sent again on each new
/// connection of the device while the deadline lasts.
enum class Deliver : std::uint8_t { once, until };

/// What an order of this verb is taken to mean where the request says nothing.
struct Verb {
    std::string_view name;
    std::chrono::milliseconds ttl;
    IfOffline if_offline;
    Deliver deliver;
    std::string_view lane;  // empty: none, the order waits for nobody
    bool needs_key;         // moves something: a retry must be known as one
};

/// The row of `name`; verbs the bridge does not know are taken for actuation in a lane of their
/// own, which is the cautious reading.
[[nodiscard]] Verb const& verb_of(std::string_view name) noexcept;

}  // namespace spoke::bridge
