#include "bridge/api/target.hpp"

#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_unreserved(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            if (i + 2 >= text.size()) return std::nullopt;
            auto high = hex_value(text[i + 1]);
            auto low = hex_value(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    if (!mqtt::is_valid_utf8(out)) return std::nullopt;
    return out;
}

/// The text up to `separator`; `rest` loses it and the separator.
std::string_view take_until(std::string_view& rest, char separator) {
    auto at = rest.find(separator);
    auto part = rest.substr(0, at);
    rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
    return part;
}

}  // namespace

std::optional<std::string_view> Target::parameter(std::string_view name) const noexcept {
    for (auto const& [key, value] : query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::optional<Target> parse_target(std::string_view target) {
    if (!target.starts_with('/')) return std::nullopt;
    auto path = take_until(target, '?');
    path.remove_prefix(1);
    Target out;
    for (auto more = true; more;) {
        more = path.find('/') != std::string_view::npos;
        auto segment = decode(take_until(path, '/'), false);
        if (!segment) return std::nullopt;
        out.segments.push_back(std::move(*segment));
    }
    while (!target.empty()) {
        auto pair = take_until(target, '&');
        if (pair.empty()) continue;
        auto name = decode(take_until(pair, '='), true);
        auto value = decode(pair, true);
        if (!name || !value) return std::nullopt;
        out.query.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        if (is_unreserved(c)) {
            out += c;
        } else {
            auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        }
    }
    return out;
}

}  // namespace spoke::bridge
