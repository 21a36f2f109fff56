#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/openapi.hpp"

namespace spoke::bridge {
namespace {

/// One value; the header of its metric stands before the first one of a name.
struct Sample {
    std::string_view type;
    std::string name;
    std::string_view help;
    std::uint64_t value = 0;
    std::string labels{};  // with their braces
};

void append(std::string& out, Sample const& sample) {
    auto to = std::back_inserter(out);
    auto type = fmt::format("# TYPE spoke_bridge_{} {}\n", sample.name, sample.type);
    if (out.find(type) == std::string::npos) {
        fmt::format_to(to, "# HELP spoke_bridge_{} {}\n{}", sample.name, sample.help, type);
    }
    fmt::format_to(to, "spoke_bridge_{}{} {}\n", sample.name, sample.labels, sample.value);
}

std::string label(std::string_view name, std::string_view value) {
    return fmt::format("{{{}=\"{}\"}}", name, value);
}

void append_presence(std::string& out, Service const& service) {
    std::array<std::uint64_t, 4> counts{};
    auto now = service.now().steady;
    service.devices().visit({}, [&](Device const& device) {
        ++counts[static_cast<std::size_t>(service.devices().presence(device, now))];
        return true;
    });
    for (std::size_t i = 0; i < counts.size(); ++i) {
        append(out, {"gauge", "devices", "Devices by presence.", counts.at(i),
                     label("presence", name_of(static_cast<Presence>(i)))});
    }
}

void append_open(std::string& out, Service const& service) {
    auto counts = service.open_by_state();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        auto state = static_cast<CommandState>(i);
        if (is_settled(state)) continue;
        append(out, {"gauge", "commands_open", "Orders that have not ended.", counts.at(i),
                     label("state", name_of(state))});
    }
}

void append_events(std::string& out, EventLog const& log) {
    auto const& counters = log.counters();
    append(out,
           {"counter", "events_recorded_total", "Events that were recorded.", counters.recorded});
    append(out, {"counter", "events_repeated_total", "Events that were there, by their key.",
                 counters.repeated});
    append(out, {"counter", "events_refused_total", "Events that the store did not take.",
                 counters.refused});
}

void append_hooks(std::string& out, Hooks const& hooks) {
    auto const& counters = hooks.counters();
    append(out, {"gauge", "hooks", "Webhooks.", hooks.size()});
    append(out, {"gauge", "hook_requests_open", "Requests to webhooks that are under way.",
                 hooks.requests()});
    append(out, {"gauge", "hook_deliveries_waiting",
                 "Deliveries to webhooks that wait for another attempt.", hooks.waiting()});
    append(out,
           {"counter", "hook_delivered_total", "Deliveries that were taken.", counters.delivered});
    append(out,
           {"counter", "hook_attempts_failed_total", "Attempts that failed.", counters.failed});
    append(out, {"counter", "hook_dead_total", "Deliveries that were given up.", counters.dead});
    append(out, {"counter", "hook_resets_total", "Gaps that hooks were told of.", counters.resets});
    append(out, {"counter", "hook_disabled_total", "Hooks that were disabled by a 410.",
                 counters.disabled});
}

void append_inboxes(std::string& out, Inboxes const& inboxes) {
    append(out,
           {"gauge", "inbox_polls", "Requests that wait for an inbox to change.", inboxes.held()});
    append(out, {"gauge", "inboxes_cached", "Inboxes whose state is in memory.", inboxes.cached()});
    append(out, {"gauge", "inbox_cache_bytes", "Memory for the state of inboxes.",
                 inboxes.cache_bytes()});
    append(out, {"counter", "inboxes_loaded_total", "Inboxes whose state was read from the log.",
                 inboxes.counters().loaded});
    append(out, {"counter", "inbox_expiries_total", "Times that messages of an inbox had expired.",
                 inboxes.counters().expired});
}

void append_tokens(std::string& out, ShortTokens const& tokens) {
    auto const& counters = tokens.counters();
    append(out, {"gauge", "tokens_open",
                 "Short-lived tokens that wait to be used; those that have "
                 "ended count until the next one is made or used.",
                 tokens.size()});
    append(out,
           {"counter", "tokens_made_total", "Short-lived tokens that were made.", counters.made});
    append(out, {"counter", "tokens_used_total", "Short-lived tokens that let somebody in.",
                 counters.used});
    append(out, {"counter", "tokens_refused_total",
                 "Short-lived tokens that were not made as too many were open.", counters.refused});
}

void append_relay(std::string& out, MqttRelay::Counters const& counters) {
    append(out,
           {"gauge", "mqtt_connections", "MQTT connections through the bridge.", counters.open});
    append(out, {"counter", "mqtt_connections_total",
                 "MQTT connections through the bridge that "
                 "were opened.",
                 counters.opened});
    append(out, {"counter", "mqtt_connections_refused_total",
                 "MQTT connections through the bridge that came to nothing, by reason.",
                 counters.refused, label("reason", "full")});
    append(out, {"counter", "mqtt_connections_refused_total", "", counters.failed,
                 label("reason", "broker")});
    append(out, {"counter", "mqtt_bytes_total", "Bytes of MQTT that were passed on, by direction.",
                 counters.to_broker_bytes, label("to", "broker")});
    append(out,
           {"counter", "mqtt_bytes_total", "", counters.from_broker_bytes, label("to", "client")});
}

}  // namespace

void Api::show_metrics(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    auto& out = response.body;
    metrics_.append_to(out);
    append(out,
           {"gauge", "requests_held", "HTTP requests that wait for a command.", service_.held()});
    append(out, {"gauge", "requests_open", "Requests to foreign devices that wait for an answer.",
                 service_.open_requests()});
    append(out, {"gauge", "broker_connected", "1 while the broker can take orders.",
                 service_.broker_is_ready() ? 1U : 0U});
    append(out, {"gauge", "broker_receipts", "1 while the broker gives delivery receipts.",
                 service_.broker_gives_receipts() ? 1U : 0U});
    append(out, {"gauge", "store_writable", "1 while the store takes records.",
                 service_.store_takes_writes() ? 1U : 0U});
    append_presence(out, service_);
    append_events(out, service_.log());
    append(out,
           {"gauge", "event_streams", "Streams and WebSockets that are open.", streams_.size()});
    append(out, {"gauge", "event_polls", "Long polls that wait.", polls_.held()});
    append(out,
           {"counter", "event_readers_given_up_total",
            "Streams and WebSockets that were closed as they did not read.", streams_.given_up()});
    append(out, {"counter", "event_readers_expired_total",
                 "Streams and WebSockets that were closed as their token had expired.",
                 streams_.expired()});
    append_inboxes(out, service_.inboxes());
    append_tokens(out, short_tokens());
    if (settings_.mqtt_relay_counters) append_relay(out, settings_.mqtt_relay_counters());
    append_hooks(out, hooks_);
    append_open(out, service_);
    for (auto const& counter : service_.counters()) {
        append(out,
               {"counter", std::string{counter.name} + "_total", counter.help, counter.value,
                counter.reason.empty() ? std::string{} : label(counter.label, counter.reason)});
    }
    call.respond(std::move(response));
}

void Api::show_openapi(Call call) {
    HttpResponse response;
    response.content_type = "application/json";
    auto is_async = call.target.segments.back() == "asyncapi.json";
    response.body = is_async ? asyncapi_document() : openapi_document();
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
