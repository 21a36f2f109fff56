#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "protocol/base/time.hpp"

namespace spoke::mqtt {

struct ReconnectOptions {
    std::chrono::milliseconds delay_min{1'000};
    std::chrono::milliseconds delay_max{300'000};
    std::chrono::milliseconds stable_after{60'000};  // a session of this age starts the count anew
};

/// How long to wait before the next connection: full jitter between delay_min and a ceiling that
/// doubles with each failure up to delay_max. A CONNACK alone resets nothing: a server that accepts
/// and then drops everybody would see the storm again at once.
class ReconnectPolicy {
public:
    /// CONNACK success came.
    void on_connected(SteadyTime now) noexcept { connected_at_ = now; }

    /// A connection, or the attempt at one, ended.
    /// In   `random`: any number, evenly spread over all 64 bits.
    /// Out  the time to wait, delay_min..delay_max.
    [[nodiscard]] std::chrono::milliseconds on_closed(ReconnectOptions const& options,
                                                      SteadyTime now,
                                                      std::uint64_t random) noexcept;

private:
    std::optional<SteadyTime> connected_at_{};
    std::uint8_t failures_ = 0;
};

}  // namespace spoke::mqtt
