#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/entry.hpp"

namespace spoke::fuzz {

[[nodiscard]] inline Bytes input_of(std::uint8_t const* data, std::size_t size) noexcept {
    return {reinterpret_cast<std::byte const*>(data), size};
}

/// Ends the process at a finding, so that libFuzzer keeps the input.
inline void stop_at(Finding const& finding) noexcept {
    if (!finding) return;
    std::fprintf(stderr, "finding: %s\n", finding->c_str());
    std::abort();
}

}  // namespace spoke::fuzz
