#pragma once

#include <string>
#include <string_view>

namespace spoke::broker {

/// Appends `text`, which is UTF-8, as a string of JSON (RFC 8259, 7), quotes included.
void append_json_text(std::string_view text, std::string& out);

}  // namespace spoke::broker
