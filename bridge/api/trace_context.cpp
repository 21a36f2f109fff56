#include "bridge/api/trace_context.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spoke::bridge {

bool is_traceparent(std::string_view text) noexcept {
    constexpr std::string_view kForm = "00-00000000000000000000000000000000-0000000000000000-00";
    if (text.size() != kForm.size() || text.starts_with("ff")) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto is_hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (kForm[i] == '0' ? !is_hex : text[i] != '-') return false;
    }
    // An id of zeros is none.
    return text.substr(3, 32) != kForm.substr(3, 32) && text.substr(36, 16) != kForm.substr(36, 16);
}

std::string make_traceparent(std::function<std::uint64_t()> const& random) {
    auto high = random();
    auto low = random();
    auto span = random();
    return fmt::format("00-{:016x}{:016x}-{:016x}-01", high, low | 1, span | 1);
}

bool is_request_id(std::string_view text) noexcept {
    auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"-_.:/+="}.find(c) != std::string_view::npos;
    };
    return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, is_fine);
}

}  // namespace spoke::bridge
