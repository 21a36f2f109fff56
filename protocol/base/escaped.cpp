#include "protocol/base/escaped.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "protocol/base/utf8_character.hpp"

namespace spoke {
namespace {

bool upsets_a_line(std::uint32_t code) noexcept {
    auto within = [code](std::uint32_t first, std::uint32_t last) {
        return code >= first && code <= last;
    };
    return code < 0x20 || within(0x7F, 0x9F) ||                   // C0, DEL, C1
           within(0x2028, 0x202E) || within(0x2066, 0x2069) ||    // separators, directions
           code == 0x061C || code == 0x200E || code == 0x200F ||  // marks of direction
           code == 0xFEFF || within(0xFFF9, 0xFFFB) || within(0xE'0000, 0xE'007F);
}

void append(std::string& out, std::string_view text, Utf8Character character) {
    auto to = std::back_inserter(out);
    if (character.size == 0) {
        fmt::format_to(to, "\\x{:02X}", static_cast<unsigned char>(text.front()));
    } else if (character.code == '\n') {
        out += "\\n";
    } else if (character.code == '\r') {
        out += "\\r";
    } else if (character.code == '\t') {
        out += "\\t";
    } else if (character.code == '\\') {
        out += "\\\\";
    } else if (!upsets_a_line(character.code)) {
        out += text.substr(0, character.size);
    } else if (character.code < 0x80) {
        fmt::format_to(to, "\\x{:02X}", character.code);
    } else {
        fmt::format_to(to, "\\u{{{:04X}}}", character.code);
    }
}

}  // namespace

std::string escaped(std::string_view text, std::size_t bytes_max) {
    std::string out;
    out.reserve(std::min(text.size(), bytes_max));
    for (auto rest = text; !rest.empty();) {
        auto character = first_character(rest);
        auto size = std::max<std::size_t>(character.size, 1);
        if (text.size() - rest.size() + size > bytes_max) {
            fmt::format_to(std::back_inserter(out), "... ({} bytes)", text.size());
            break;
        }
        append(out, rest, character);
        rest.remove_prefix(size);
    }
    return out;
}

}  // namespace spoke
