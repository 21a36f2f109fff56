#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/http_message.hpp"
#include "bridge/api/target.hpp"
#include "bridge/service/service.hpp"

namespace spoke::bridge {

/// The HTTP API without HTTP: whole requests in, whole responses out, now or when what they wait
/// for has happened. The service outlives it. Errors  as responses: problems, all of which mean
/// that nothing was sent.  Thread  the service's.
class Api {
public:
    explicit Api(Service& service);

    void handle(HttpRequest const& request, Respond respond);

private:
    /// A request on its way to a handler: the variable parts of its path in order.
    struct Call {
        HttpRequest const& request;
        Target const& target;
        std::vector<std::string> parts{};
        Respond respond;
    };

    struct Route {
        std::string_view method;
        std::string_view pattern;  // "{}" stands for one segment, "{...}" for all that follow
        void (Api::*handler)(Call call);
    };

    static std::vector<Route> const& routes();
    static bool match(std::string_view pattern, Target const& target,
                      std::vector<std::string>& parts);

    void healthz(Call call);
    void readyz(Call call);
    void list_devices(Call call);
    void show_device(Call call);
    void post_command(Call call);
    void show_command(Call call);
    void publish(Call call);

    void hold_order(Call const& call, CommandTracker::Accepted accepted, std::chrono::seconds wait,
                    bool preferred);
    HttpResponse refuse(Refusal refusal, CommandRequest const& request) const;
    HttpResponse refuse_offline(std::string const& device) const;
    HttpResponse refuse_precondition(std::string const& device) const;

    Service& service_;  // outlives the API
};

}  // namespace spoke::bridge
