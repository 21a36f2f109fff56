#include "bridge/api/api.hpp"

#include <algorithm>
#include <utility>

#include "bridge/api/problem.hpp"

namespace spoke::bridge {
namespace {

std::vector<std::string_view> split(std::string_view pattern) {
    std::vector<std::string_view> out;
    pattern.remove_prefix(1);
    for (;;) {
        auto slash = pattern.find('/');
        out.push_back(pattern.substr(0, slash));
        if (slash == std::string_view::npos) return out;
        pattern.remove_prefix(slash + 1);
    }
}

}  // namespace

Api::Api(Service& service) : service_(service) {}

std::vector<Api::Route> const& Api::routes() {
    static std::vector<Route> const kRoutes{
        {"GET", "/healthz", &Api::healthz},
        {"GET", "/readyz", &Api::readyz},
        {"GET", "/v1/devices", &Api::list_devices},
        {"GET", "/v1/devices/{}", &Api::show_device},
        {"POST", "/v1/devices/{}/commands", &Api::post_command},
        {"GET", "/v1/commands/{}", &Api::show_command},
        {"POST", "/v1/publish/{...}", &Api::publish},
    };
    return kRoutes;
}

bool Api::match(std::string_view pattern, Target const& target, std::vector<std::string>& parts) {
    parts.clear();
    auto const& segments = target.segments;
    std::size_t at = 0;
    for (auto piece : split(pattern)) {
        if (at == segments.size()) return false;
        if (piece == "{...}") {
            std::string rest = segments[at];
            while (++at < segments.size()) rest += "/" + segments[at];
            parts.push_back(std::move(rest));
            return true;
        }
        if (piece == "{}" && !segments[at].empty()) {
            parts.push_back(segments[at]);
        } else if (piece != segments[at]) {
            return false;
        }
        ++at;
    }
    return at == segments.size();
}

void Api::handle(HttpRequest const& request, Respond respond) {
    auto target = parse_target(request.target);
    if (!target) return respond(to_response(RequestError{"the request target cannot be read"}));
    std::string allowed;
    std::vector<std::string> parts;
    auto method = request.method == "HEAD" ? std::string_view{"GET"} : request.method;
    for (auto const& route : routes()) {
        if (!match(route.pattern, *target, parts)) continue;
        if (route.method == method) {
            (this->*route.handler)({request, *target, std::move(parts), std::move(respond)});
            return;
        }
        if (!allowed.empty()) allowed += ", ";
        allowed += route.method == "GET" ? "GET, HEAD" : route.method;
    }
    if (allowed.empty()) {
        return respond(to_response(Problem{404, "no-such-path", "There is nothing at this path"}));
    }
    Problem problem{405, "method", "This path does not take this method"};
    problem.headers.emplace_back("Allow", allowed);
    respond(to_response(problem));
}

}  // namespace spoke::bridge
