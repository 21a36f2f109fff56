#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/api/http_message.hpp"
#include "bridge/api/problem_kind.hpp"

namespace spoke::bridge {

/// An RFC 9457 problem. Every one of them says that the request has sent nothing.
struct Problem {
    ProblemKind kind;
    std::string detail{};
    std::vector<std::pair<std::string_view, std::string>> members{};  // more of them, as strings
    std::vector<std::pair<std::string, std::string>> headers{};
    std::vector<std::pair<std::string_view, std::string>> json_members{};  // and as JSON text
    unsigned status = 0;                                                   // 0: that of the kind
};

/// What is wrong with a request, in words, and with which part of it.
struct RequestError {
    std::string detail;
    std::string member{};   // of the body, or a query parameter or header
    std::string nearest{};  // the known name that is most like it
};

[[nodiscard]] HttpResponse to_response(Problem const& problem);
[[nodiscard]] HttpResponse to_response(RequestError const& error);

/// The one of `names` that is most like `name`; empty if none is near.
[[nodiscard]] std::string_view nearest_name(std::string_view name,
                                            std::vector<std::string_view> const& names);

}  // namespace spoke::bridge
