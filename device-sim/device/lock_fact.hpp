#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "device-sim/device/order.hpp"
#include "device-sim/device/result.hpp"

namespace spoke::sim {

/// Something that truly happened to a lock, whatever its messages say and whoever hears them. For
/// the judge. The views live for the call which hands it over.
struct LockFact {
    enum class Kind : std::uint8_t {
        began,    // an order is carried out from now on; its receipt is written
        ended,    // with `result`, for good
        refused,  // with `result`; nothing was done
        opened,   // the bolt is open, moved there by this order or found there
        closed,   // by this order, or by hand (then `order` is empty)
    };

    Kind kind = Kind::began;
    std::string_view order{};  // its id
    std::uint64_t n = 0;
    Lane lane = Lane::none;
    std::string_view ride{};
    bool opens = false;                        // it is an `unlock`
    bool moved = false;                        // opened, closed: the bolt was elsewhere before
    std::optional<std::int64_t> expires_at{};  // began: Unix ms, as the order had it
    Result result{};
    LockState lock = LockState::locked;  // now
};

}  // namespace spoke::sim
