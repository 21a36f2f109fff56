#pragma once

#include <string_view>
#include <vector>

#include "protocol/base/bytes.hpp"

namespace spoke::fuzz {

/// Sound inputs and near misses for a function of entry.hpp, named without its "check_": what
/// libFuzzer and the replay test begin with.
[[nodiscard]] std::vector<Buffer> samples_for(std::string_view check);
/// The same for those of the broker's store; none for others.
[[nodiscard]] std::vector<Buffer> storage_samples_for(std::string_view check);

}  // namespace spoke::fuzz
