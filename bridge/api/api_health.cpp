#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/problem.hpp"

namespace spoke::bridge {

void Api::healthz(Call call) {
    HttpResponse response;
    response.body = "{\"alive\":true}";
    call.respond(std::move(response));
}

void Api::readyz(Call call) {
    if (service_.broker_is_ready() && !service_.is_draining()) {
        HttpResponse response;
        response.body = "{\"ready\":true}";
        return call.respond(std::move(response));
    }
    auto why = service_.is_draining() ? "the bridge is stopping" : service_.broker_problem();
    call.respond(
        to_response(Problem{503, "not-ready", "The bridge cannot take orders", std::move(why)}));
}

}  // namespace spoke::bridge
