#include <array>

#include "bridge/api/api.hpp"

namespace spoke::bridge {
namespace {

/// The next segment of a pattern, taken off its front with the '/' before it.
std::string_view take_piece(std::string_view& pattern) {
    pattern.remove_prefix(1);
    auto piece = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(piece.size());
    return piece;
}

}  // namespace

std::span<Api::Route const> Api::routes() {
    static constexpr std::array kRoutes{
        Route{"GET", "/healthz", Right::none, &Api::healthz},
        Route{"GET", "/readyz", Right::none, &Api::readyz},
        Route{"GET", "/metrics", Right::admin, &Api::show_metrics},
        Route{"GET", "/problems/{type}", Right::none, &Api::show_problem},
        Route{"GET", "/examples", Right::none, &Api::find_examples},
        Route{"GET", "/examples/{path...}", Right::none, &Api::show_example},
        Route{"GET", "/mqtt", Right::none, &Api::open_mqtt},
        Route{"GET", "/v1/openapi.json", Right::none, &Api::show_openapi},
        Route{"GET", "/v1/asyncapi.json", Right::none, &Api::show_openapi},
        Route{"GET", "/v1/events", Right::events, &Api::read_events, true},
        Route{"GET", "/v1/devices", Right::devices_read, &Api::list_devices},
        Route{"GET", "/v1/devices/{id}", Right::devices_read, &Api::show_device},
        Route{"PUT", "/v1/devices/{id}", Right::devices_write, &Api::put_device},
        Route{"PATCH", "/v1/devices/{id}", Right::devices_write, &Api::patch_device},
        Route{"DELETE", "/v1/devices/{id}", Right::devices_write, &Api::delete_device},
        Route{"GET", "/v1/devices/{id}/commands", Right::devices_read, &Api::list_commands},
        Route{"POST", "/v1/devices/{id}/commands", Right::command, &Api::post_command},
        Route{"GET", "/v1/commands/{cid}", Right::devices_read, &Api::show_command},
        Route{"DELETE", "/v1/commands/{cid}", Right::command, &Api::cancel_command},
        Route{"POST", "/v1/publish/{topic...}", Right::publish, &Api::publish},
        Route{"POST", "/v1/request/{topic...}", Right::publish, &Api::request},
        Route{"GET", "/v1/inboxes/{who}", Right::inbox, &Api::show_inbox, true},
        Route{"GET", "/v1/inboxes/{who}/messages", Right::inbox, &Api::list_inbox, true},
        Route{"POST", "/v1/inboxes/{who}/messages", Right::inbox_write, &Api::put_messages},
        Route{"POST", "/v1/inboxes/{who}/read", Right::inbox, &Api::read_inbox},
        Route{"POST", "/v1/tokens", Right::anybody, &Api::make_token},
        Route{"GET", "/v1/audit", Right::audit, &Api::audit},
        Route{"GET", "/v1/hooks", Right::admin, &Api::list_hooks},
        Route{"PUT", "/v1/hooks/{name}", Right::admin, &Api::put_hook},
        Route{"GET", "/v1/hooks/{name}", Right::admin, &Api::show_hook},
        Route{"DELETE", "/v1/hooks/{name}", Right::admin, &Api::delete_hook},
        Route{"GET", "/v1/hooks/{name}/deliveries", Right::admin, &Api::list_deliveries},
        Route{"POST", "/v1/hooks/{name}/deliveries/{id}", Right::admin, &Api::resend_delivery},
    };
    return kRoutes;
}

std::vector<Api::RouteName> Api::route_names() {
    std::vector<RouteName> out;
    for (auto const& route : routes()) {
        out.push_back({route.method, route.pattern, route.right, route.takes_token});
    }
    return out;
}

bool Api::match(std::string_view pattern, Target const& target, std::vector<std::string>& parts) {
    parts.clear();
    auto const& segments = target.segments;
    std::size_t at = 0;
    while (!pattern.empty()) {
        auto piece = take_piece(pattern);
        if (at == segments.size()) return false;
        if (piece.ends_with("...}")) {
            std::string rest = segments[at];
            while (++at < segments.size()) rest += "/" + segments[at];
            parts.push_back(std::move(rest));
            return true;
        }
        if (piece.starts_with('{')) {
            if (segments[at].empty()) return false;
            parts.push_back(segments[at]);
        } else if (piece != segments[at]) {
            return false;
        }
        ++at;
    }
    return at == segments.size();
}

}  // namespace spoke::bridge
