#include "bridge/api/problem.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>

#include "bridge/command/json_text.hpp"
#include "protocol/options/units.hpp"

namespace spoke::bridge {

namespace json = boost::json;

HttpResponse to_response(Problem const& problem) {
    auto const& type = type_of(problem.kind);
    auto status = problem.status == 0 ? type.status : problem.status;
    json::object body;
    // Relative to the host that was asked, as RFC 9457 allows.
    body["type"] = "/problems/" + std::string{type.name};
    body["title"] = type.title;
    body["status"] = status;
    if (!problem.detail.empty()) body["detail"] = problem.detail;
    for (auto const& [name, value] : problem.members) body[name] = value;
    for (auto const& [name, text] : problem.json_members) body[name] = json::parse(text);
    body["sent"] = false;
    HttpResponse response;
    response.status = status;
    response.content_type = "application/problem+json";
    response.body = json_text(body);
    response.headers = problem.headers;
    return response;
}

HttpResponse to_response(RequestError const& error) {
    Problem problem{ProblemKind::invalid, error.detail};
    if (!error.member.empty()) problem.members.emplace_back("member", error.member);
    if (!error.nearest.empty()) problem.members.emplace_back("nearest", error.nearest);
    return to_response(problem);
}

std::string_view nearest_name(std::string_view name, std::vector<std::string_view> const& names) {
    std::string_view best;
    std::size_t best_distance = SIZE_MAX;
    for (auto candidate : names) {
        auto distance = options::edit_distance(name, candidate);
        auto near = std::max<std::size_t>(2, std::max(name.size(), candidate.size()) / 2);
        if (distance <= near && distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

}  // namespace spoke::bridge
