#pragma once

#include <cstdint>

namespace spoke::bridge {

/// What becomes of a write while the store takes none.
enum class Need : std::uint8_t {
    now_or_never,  // it fails: whoever asked is told, and nothing has happened
    certain,       // it is kept in memory and written once the store takes writes again
    certain_soon,  // the same, and it needs no commit of its own: it goes with the next, or after
                   // some 20 ms
};

}  // namespace spoke::bridge
