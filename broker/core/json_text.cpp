#include "broker/core/json_text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace spoke::broker {

void append_json_text(std::string_view text, std::string& out) {
    out += '"';
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace spoke::broker
