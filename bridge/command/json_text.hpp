#pragma once

#include <boost/json/fwd.hpp>
#include <string>

namespace spoke::bridge {

/// `value` as compact JSON with numbers as people and small parsers expect them: 31.2304 where
/// boost::json::serialize writes 3.12304E1.
[[nodiscard]] std::string json_text(boost::json::value const& value);

}  // namespace spoke::bridge
