#pragma once

#include <string_view>
#include <vector>

#include "protocol/base/bytes.hpp"

namespace spoke::fuzz {

/// The samples of a check of the bridge; none for any other.
[[nodiscard]] std::vector<Buffer> bridge_samples_for(std::string_view check);

}  // namespace spoke::fuzz
