#include "bridge/event/cursor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace spoke::bridge {
namespace {

constexpr std::size_t kEpochBytesMax = 16;

bool is_epoch(std::string_view text) {
    auto is_fine = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); };
    return !text.empty() && text.size() <= kEpochBytesMax && std::ranges::all_of(text, is_fine);
}

}  // namespace

std::string Cursor::text() const {
    return fmt::format("{}.{}", epoch, offset);
}

std::optional<Cursor> Cursor::parse(std::string_view text) {
    auto dot = text.find('.');
    if (dot == std::string_view::npos || !is_epoch(text.substr(0, dot))) return std::nullopt;
    Cursor out{std::string{text.substr(0, dot)}};
    auto digits = text.substr(dot + 1);
    auto is_canonical = !digits.empty() && (digits.size() == 1 || digits[0] != '0');
    auto const* end = digits.data() + digits.size();
    auto [last, error] = std::from_chars(digits.data(), end, out.offset);
    if (!is_canonical || error != std::errc{} || last != end) return std::nullopt;
    return out;
}

}  // namespace spoke::bridge
