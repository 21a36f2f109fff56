#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spoke::bridge {

/// A request as the API reads it: whole, its limits checked by the server.
struct HttpRequest {
    std::string method;  // "GET"
    std::string target;  // path and query, as sent
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};

    /// The first header of that name, in whatever case; empty if there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

struct HttpResponse {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body{};
    std::vector<std::pair<std::string, std::string>> headers{};
};

/// Sends the response, exactly once, now or later. Does nothing if the peer has gone.
using Respond = std::function<void(HttpResponse)>;

}  // namespace spoke::bridge
