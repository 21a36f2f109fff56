#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/api/http_stream.hpp"

namespace spoke::bridge {

/// A request as the API reads it: whole, its limits checked by the server.
struct HttpRequest {
    std::string method;  // "GET"
    std::string target;  // path and query, as sent
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};
    std::string address{};  // of the peer: "127.0.0.1:40312", "[::1]:40312"
    std::string trace{};    // traceparent: the peer's, or one made here

    /// Has a function called, at most once, if the peer goes away before the response. It may be
    /// empty. Valid for the call.
    std::function<void(std::function<void()>)> when_gone{};

    /// The first header of that name, in whatever case; empty if there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

struct HttpResponse {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body{};
    std::vector<std::pair<std::string, std::string>> headers{};
    StreamOffer stream{};         // a body that comes over time, behind `body`
    WebSocketOffer web_socket{};  // in place of a response

    /// The first header of that name; empty if there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// Sends the response, exactly once, now or later. Does nothing if the peer has gone.
using Respond = std::function<void(HttpResponse)>;

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// The items of a comma-separated header, without the blanks around them.
[[nodiscard]] std::vector<std::string_view> list_items(std::string_view header);

}  // namespace spoke::bridge
