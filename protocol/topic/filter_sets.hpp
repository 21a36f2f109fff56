#pragma once

#include <string_view>

namespace spoke::mqtt {

/// Whether every topic that matches `inner` matches `outer` as well: "d/+/evt" lies inside "d/#".
/// In      valid topic filters (4.7.1), without $share. A topic of one empty level counts as one,
///         although no message can have it: "/+/#" does not cover "/#".
[[nodiscard]] bool covers(std::string_view outer, std::string_view inner) noexcept;

/// Whether some topic matches both: "d/b1/#" and "d/+/evt" do overlap.
/// In      valid topic filters (4.7.1), without $share.
[[nodiscard]] bool overlap(std::string_view a, std::string_view b) noexcept;

}  // namespace spoke::mqtt
