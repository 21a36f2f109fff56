#include "bridge/api/cors.hpp"

#include <algorithm>

namespace spoke::bridge {

void Cors::add_headers(std::string_view origin, HttpResponse& response) const {
    if (origins_.empty()) return;
    response.headers.emplace_back("Vary", "Origin");
    auto is_any = std::ranges::find(origins_, "*") != origins_.end();
    if (origin.empty() || (!is_any && std::ranges::find(origins_, origin) == origins_.end())) {
        return;
    }
    response.headers.emplace_back("Access-Control-Allow-Origin",
                                  is_any ? std::string{"*"} : std::string{origin});
    response.headers.emplace_back(
        "Access-Control-Expose-Headers",
        "ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, "
        "RateLimit-Policy, Request-Id, Retry-After, traceparent");
}

}  // namespace spoke::bridge
