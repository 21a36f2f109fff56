#pragma once

#include <string>

#include "bridge/api/problem_kind.hpp"

namespace spoke::bridge {

/// The page that explains a problem type to people.
[[nodiscard]] std::string problem_page(ProblemType const& type);

}  // namespace spoke::bridge
