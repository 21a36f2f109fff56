#pragma once

#include <cstdint>

namespace spoke::sim {

/// Raises this process's limit of open files to at least `wanted`, beyond the hard limit if it may.
/// Out     the limit as it is then, perhaps lower.
[[nodiscard]] std::uint64_t raise_open_files(std::uint64_t wanted) noexcept;

}  // namespace spoke::sim
