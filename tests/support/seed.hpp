#pragma once

#include <cstdint>
#include <cstdlib>

namespace spoke::test {

/// The seed of a test with random input: SPOKE_SEED from the environment, so that a failure can be
/// run again, else `usual`. A test that uses it prints it with INFO.
[[nodiscard]] inline std::uint64_t seed_or(std::uint64_t usual) {
    auto const* given = std::getenv("SPOKE_SEED");
    return given ? std::strtoull(given, nullptr, 10) : usual;
}

}  // namespace spoke::test
