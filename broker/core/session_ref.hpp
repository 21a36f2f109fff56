#pragma once

#include <cstdint>

namespace spoke::broker {

/// Names a session from anywhere: its home shard and its slot in that shard's table. A slot is used
/// again for other sessions, each time with another generation, so a stale reference is seen as
/// such.
struct SessionRef {
    std::uint32_t slot = 0;
    std::uint16_t generation = 0;
    std::uint8_t shard = 0;
    friend auto operator<=>(SessionRef const&, SessionRef const&) = default;
};

}  // namespace spoke::broker
