#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/problem_page.hpp"

namespace spoke::bridge {

void Api::healthz(Call call) {
    HttpResponse response;
    response.body = "{\"alive\":true}";
    call.respond(std::move(response));
}

void Api::readyz(Call call) {
    std::string why;
    if (!service_.broker_is_ready()) why = "the broker: " + service_.broker_problem();
    if (!service_.store_takes_writes()) why = "the store takes no writes";
    if (service_.is_draining()) why = "the bridge is stopping";
    if (!why.empty()) return call.refuse({ProblemKind::not_ready, std::move(why)});
    HttpResponse response;
    response.body = "{\"ready\":true}";
    call.respond(std::move(response));
}

void Api::show_problem(Call call) {
    auto types = problem_types();
    auto found = std::ranges::find(types, call.parts[0], &ProblemType::name);
    if (found == types.end()) return call.refuse({ProblemKind::no_such_path});
    HttpResponse response;
    response.content_type = "text/html; charset=utf-8";
    response.body = problem_page(*found);
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
