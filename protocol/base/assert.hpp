#pragma once

namespace spoke {

/// Prints the broken condition with its place to stderr and aborts.
[[noreturn]] void assertion_failed(char const* condition, char const* file, int line) noexcept;

}  // namespace spoke

/// For our own mistakes only, never for what a peer sent. On in release builds too.
#define MQ_ASSERT(condition)               \
    (static_cast<bool>(condition) ? void() \
                                  : ::spoke::assertion_failed(#condition, __FILE__, __LINE__))
