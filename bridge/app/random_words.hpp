#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace spoke::bridge {

/// Numbers that nobody can guess, from the kernel, fetched many at a time: the processor's own
/// source, which std::random_device asks, takes microseconds for each in a virtual machine.
/// Thread  one.
class RandomWords {
public:
    /// Errors  throws std::system_error if the kernel has none.
    [[nodiscard]] std::uint64_t operator()();

private:
    std::array<std::uint64_t, 256> words_{};
    std::size_t used_ = words_.size();
};

}  // namespace spoke::bridge
