#pragma once

#include <cstddef>
#include <string>

namespace spoke::broker {

/// Bytes that nobody can guess. Any thread.
/// Errors  std::runtime_error if the system has none to give.
[[nodiscard]] std::string random_bytes(std::size_t count);

}  // namespace spoke::broker
