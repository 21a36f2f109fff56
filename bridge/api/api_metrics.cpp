#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/openapi.hpp"

namespace spoke::bridge {
namespace {

void append_metric(std::string& out, std::string_view type, std::string_view name,
                   std::string_view help, std::uint64_t value) {
    fmt::format_to(std::back_inserter(out),
                   "# HELP spoke_bridge_{1} {2}\n# TYPE spoke_bridge_{1} {0}\nspoke_bridge_{1} "
                   "{3}\n",
                   type, name, help, value);
}

void append_presence(std::string& out, Service const& service) {
    std::array<std::uint64_t, 4> counts{};
    auto now = service.now().steady;
    service.devices().visit({}, [&](Device const& device) {
        ++counts[static_cast<std::size_t>(service.devices().presence(device, now))];
        return true;
    });
    out += "# HELP spoke_bridge_devices Devices by presence.\n# TYPE spoke_bridge_devices gauge\n";
    for (std::size_t i = 0; i < counts.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "spoke_bridge_devices{{presence=\"{}\"}} {}\n",
                       name_of(static_cast<Presence>(i)), counts[i]);
    }
}

}  // namespace

void Api::show_metrics(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    auto& out = response.body;
    metrics_.append_to(out);
    append_metric(out, "gauge", "requests_held", "Requests that wait for a command.",
                  service_.held());
    append_metric(out, "gauge", "broker_connected", "1 while the broker can take orders.",
                  service_.broker_is_ready() ? 1 : 0);
    append_metric(out, "gauge", "store_writable", "1 while the store takes records.",
                  service_.store_takes_writes() ? 1 : 0);
    append_presence(out, service_);
    for (auto const& counter : service_.counters()) {
        append_metric(out, "counter", std::string{counter.name} + "_total", counter.help,
                      counter.value);
    }
    call.respond(std::move(response));
}

void Api::show_openapi(Call call) {
    HttpResponse response;
    response.content_type = "application/json";
    response.body = openapi_document();
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
