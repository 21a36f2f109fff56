#include "bridge/api/http_message.hpp"

#include <algorithm>

namespace spoke::bridge {
namespace {

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view find_header(std::vector<std::pair<std::string, std::string>> const& headers,
                             std::string_view name) noexcept {
    for (auto const& [key, value] : headers) {
        if (equal_ignoring_case(key, name)) return value;
    }
    return {};
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view HttpRequest::header(std::string_view name) const noexcept {
    return find_header(headers, name);
}

std::string_view HttpResponse::header(std::string_view name) const noexcept {
    return find_header(headers, name);
}

bool wants_web_socket(HttpRequest const& request) noexcept {
    return request.method == "GET" && equal_ignoring_case(request.header("Upgrade"), "websocket") &&
           !request.header("Sec-WebSocket-Key").empty();
}

bool names_subprotocol(HttpRequest const& request, std::string_view name) {
    for (auto item : list_items(request.header("Sec-WebSocket-Protocol"))) {
        if (equal_ignoring_case(item, name)) return true;
    }
    return false;
}

std::vector<std::string_view> list_items(std::string_view header) {
    std::vector<std::string_view> out;
    while (!header.empty()) {
        auto item = header.substr(0, header.find(','));
        header.remove_prefix(std::min(item.size() + 1, header.size()));
        while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
        while (item.ends_with(' ') || item.ends_with('\t')) item.remove_suffix(1);
        if (!item.empty()) out.push_back(item);
    }
    return out;
}

}  // namespace spoke::bridge
