#include "protocol/options/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <vector>

namespace spoke::options {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

// Smallest first: the text forms search from the end.
constexpr std::array kByteUnits{Unit{"B", 1}, Unit{"KiB", 1 << 10}, Unit{"MiB", 1 << 20},
                                Unit{"GiB", 1 << 30}};
constexpr std::array kTimeUnits{Unit{"us", 1},           Unit{"ms", 1'000},
                                Unit{"s", 1'000'000},    Unit{"min", 60'000'000},
                                Unit{"h", 3600'000'000}, Unit{"d", 24 * 3600'000'000}};

std::optional<std::int64_t> parse(std::string_view text, std::span<Unit const> units) {
    std::int64_t count = 0;
    auto const* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{} || count < 0) return std::nullopt;
    while (rest != end && *rest == ' ') ++rest;
    std::string_view name{rest, static_cast<std::size_t>(end - rest)};
    auto unit = std::ranges::find(units, name, &Unit::name);
    if (unit == units.end()) return std::nullopt;
    if (count > std::numeric_limits<std::int64_t>::max() / unit->factor) return std::nullopt;
    return count * unit->factor;
}

std::string shortest(std::int64_t value, std::span<Unit const> units) {
    auto fits = [value](Unit const& unit) { return value % unit.factor == 0; };
    auto unit = std::find_if(units.rbegin(), units.rend(), fits);
    return fmt::format("{} {}", value / unit->factor, unit->name);
}

}  // namespace

std::optional<std::int64_t> parse_bytes(std::string_view text) {
    return parse(text, kByteUnits);
}

std::optional<std::int64_t> parse_time_us(std::string_view text) {
    return parse(text, kTimeUnits);
}

std::string bytes_text(std::int64_t bytes) {
    return bytes == 0 ? "0 B" : shortest(bytes, kByteUnits);
}

std::string time_text(std::int64_t us) {
    return us == 0 ? "0 s" : shortest(us, kTimeUnits);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

std::string toml_quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (auto code = static_cast<unsigned char>(c); code < 0x20 || code == 0x7F) {
            out += fmt::format("\\u{:04X}", code);
        } else {
            out += c;
        }
    }
    return out += '"';
}

}  // namespace spoke::options
