#pragma once

#include <cstdint>

namespace spoke {

/// `info` is one line per event of a connection's or the program's life; nothing per message is
/// above `debug`.
enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };

}  // namespace spoke
