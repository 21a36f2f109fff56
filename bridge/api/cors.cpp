#include "bridge/api/cors.hpp"

#include <algorithm>

namespace spoke::bridge {

bool Cors::allows(std::string_view origin) const {
    return std::ranges::any_of(origins_,
                               [&](auto const& known) { return known == "*" || known == origin; });
}

void Cors::add_headers(std::string_view origin, HttpResponse& response) const {
    if (origins_.empty()) return;
    response.headers.emplace_back("Vary", "Origin");
    if (origin.empty() || !allows(origin)) return;
    auto is_any = std::ranges::find(origins_, "*") != origins_.end();
    response.headers.emplace_back("Access-Control-Allow-Origin",
                                  is_any ? std::string{"*"} : std::string{origin});
    response.headers.emplace_back(
        "Access-Control-Expose-Headers",
        "ETag, Event-Cursor, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, "
        "RateLimit-Policy, Request-Id, Retry-After, traceparent");
}

}  // namespace spoke::bridge
