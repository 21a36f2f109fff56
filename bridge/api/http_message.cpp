#include "bridge/api/http_message.hpp"

#include <algorithm>

namespace spoke::bridge {
namespace {

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const noexcept {
    for (auto const& [key, value] : headers) {
        if (equal_ignoring_case(key, name)) return value;
    }
    return {};
}

}  // namespace spoke::bridge
