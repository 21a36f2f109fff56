#include "bridge/api/api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spoke::bridge {
namespace {

/// The address without its port.
std::string_view host_of(std::string_view address) {
    return address.substr(0, address.rfind(':'));
}

std::string_view scope_name(Right right) {
    switch (right) {
        case Right::none:
            return "";
        case Right::devices_read:
            return "devices:read";
        case Right::devices_write:
            return "devices:write";
        case Right::command:
            return "command:*";
        case Right::events:
            return "events:<filter>";
        case Right::publish:
            return "publish:#";
        case Right::inbox:
            return "inbox:*";
        case Right::inbox_write:
            return "inbox:write";
        case Right::anybody:
            return "";
        case Right::audit:
            return "audit";
        case Right::admin:
            return "admin";
    }
    return "";
}

/// Takes the token out of the query, so that no handler has to know of it.
std::optional<std::string> take_token(Target& target) {
    auto found =
        std::ranges::find(target.query, "token", &std::pair<std::string, std::string>::first);
    if (found == target.query.end()) return std::nullopt;
    auto token = std::move(found->second);
    target.query.erase(found);
    return token;
}

void add_rate_headers(HttpResponse& response, RatePolicy policy,
                      RateLimiter::Verdict const& verdict) {
    response.headers.emplace_back(
        "RateLimit-Policy",
        fmt::format("\"default\";q={};w={}", policy.burst,
                    (policy.burst + policy.per_second - 1) / policy.per_second));
    response.headers.emplace_back(
        "RateLimit",
        fmt::format("\"default\";r={};t={}", verdict.remaining, verdict.full_in.count()));
}

Problem too_often(RateLimiter::Verdict const& verdict) {
    Problem problem{ProblemKind::rate, "the rate of this caller is used up"};
    problem.headers.emplace_back("Retry-After", std::to_string(verdict.retry_in.count()));
    return problem;
}

}  // namespace

Problem scope_problem(std::string needs) {
    Problem problem{ProblemKind::scope, "the token or key has not the scope " + needs};
    problem.members.emplace_back("needs", std::move(needs));
    return problem;
}

Problem other_device_problem(std::string device) {
    Problem problem{ProblemKind::scope, "the token is for other devices (claim \"dev\")"};
    problem.members.emplace_back("device", std::move(device));
    return problem;
}

Api::Api(Service& service, Access& access, Hooks& hooks, Settings settings)
    : service_(service),
      access_(access),
      hooks_(hooks),
      settings_(settings),
      short_tokens_(settings.tokens_max, [&service] { return service.random(); }),
      limiter_({settings.buckets_max}),
      streams_(service, settings.events),
      polls_(streams_) {}

void Api::handle(HttpRequest const& request, Respond respond) {
    route(request, std::move(respond), &Api::admit, {});
}

void Api::handle_as(Identity const& who, HttpRequest const& request, Respond respond) {
    route(request, std::move(respond), &Api::admit_caller, who);
}

void Api::route(HttpRequest const& request, Respond respond,
                void (Api::*admission)(Route const& route, Call call), Identity const& who) {
    respond = measured(std::move(respond));
    auto target = parse_target(request.target);
    if (!target) {
        return respond(to_response(RequestError{"the request target cannot be read"}));
    }
    std::vector<std::string_view> methods;
    std::vector<std::string> parts;
    auto method = request.method == "HEAD" ? std::string_view{"GET"} : request.method;
    for (auto const& route : routes()) {
        if (!match(route.pattern, *target, parts)) continue;
        if (route.method == method) {
            auto token = route.takes_token ? take_token(*target) : std::nullopt;
            return (this->*admission)(route, {request, *target, std::move(parts), who,
                                              std::move(respond), std::move(token)});
        }
        methods.push_back(route.method);
    }
    no_route(methods, request, respond);
}

/// The same, counting what comes and how long it took.
Respond Api::measured(Respond respond) {
    return
        [this, begin = service_.now().steady, respond = std::move(respond)](HttpResponse response) {
            metrics_.add(response.status, service_.now().steady - begin);
            respond(std::move(response));
        };
}

/// The path has no such method, or there is no such path. OPTIONS is answered for every path there
/// is; what a browser's preflight asks is in it, and the server adds who may ask.
void Api::no_route(std::vector<std::string_view> const& methods, HttpRequest const& request,
                   Respond const& respond) const {
    if (methods.empty()) return respond(to_response(Problem{ProblemKind::no_such_path}));
    std::string allowed;
    for (auto method : methods) {
        if (method == "GET") allowed += "GET, HEAD, ";
        if (method != "GET") allowed += std::string{method} + ", ";
    }
    allowed += "OPTIONS";
    if (request.method != "OPTIONS") {
        Problem problem{ProblemKind::method};
        problem.headers.emplace_back("Allow", allowed);
        return respond(to_response(problem));
    }
    HttpResponse response;
    response.status = 204;
    response.headers.emplace_back("Allow", allowed);
    if (!request.header("Access-Control-Request-Method").empty()) {
        response.headers.emplace_back("Access-Control-Allow-Methods", allowed);
        response.headers.emplace_back("Access-Control-Allow-Headers",
                                      "Accept, Authorization, Cache-Control, Content-Type, "
                                      "Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
                                      "Prefer, Request-Id, traceparent");
        response.headers.emplace_back("Access-Control-Max-Age", "600");
    }
    respond(std::move(response));
}

/// Who asks; then the rest.
void Api::admit(Route const& route, Call call) {
    if (route.right == Right::none) return (this->*route.handler)(std::move(call));
    auto result = identify(call);
    if (auto const* error = std::get_if<AccessError>(&result)) return unauthorized(*error, call);
    call.who = std::get<Identity>(std::move(result));
    admit_caller(route, std::move(call));
}

/// How often, and whether he may.
void Api::admit_caller(Route const& route, Call call) {
    auto policy = settings_.per_caller;
    if (call.who.is_limited && !policy.is_off()) {
        auto verdict = limiter_.take(call.who.by, policy, service_.now().steady);
        call.respond = [policy, verdict, respond = std::move(call.respond)](HttpResponse response) {
            add_rate_headers(response, policy, verdict);
            respond(std::move(response));
        };
        if (!verdict.is_allowed) return call.refuse(too_often(verdict));
    }
    if (auto problem = check_right(route, call)) return call.refuse(*problem);
    (this->*route.handler)(std::move(call));
}

/// By the header; where there is none, by a token that is used up with this.
std::variant<Identity, AccessError> Api::identify(Call const& call) {
    auto authorization = call.request.header("Authorization");
    auto now = service_.now().wall;
    if (!authorization.empty() || !call.token) return access_.identify(authorization, now);
    if (auto who = short_tokens().use(*call.token, now)) return std::move(*who);
    return AccessError::unknown_token;
}

SteadyTime Api::held_until(Call const& call, WaitWish const& wish) const {
    auto now = service_.now();
    std::chrono::milliseconds wait{wish.wait};
    if (call.who.ends) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(*call.who.ends - now.wall);
        wait = std::clamp(left, std::chrono::milliseconds{0}, wait);
    }
    return now.steady + wait;
}

/// Those whose makers would still be let in.
ShortTokens& Api::short_tokens() {
    auto generation = access_.generation();
    if (std::exchange(keys_generation_, generation) != generation) short_tokens_.clear();
    return short_tokens_;
}

/// 401, or 429 for an address that keeps trying.
void Api::unauthorized(AccessError error, Call const& call) {
    metrics_.count_unauthorized();
    auto policy = settings_.per_address;
    auto name = fmt::format("address:{}", host_of(call.request.address));
    auto verdict = limiter_.take(name, policy, service_.now().steady);
    if (!verdict.is_allowed) return call.refuse(too_often(verdict));
    Problem problem{ProblemKind::unauthorized, std::string{describe(error)}};
    auto challenge = std::string{"Bearer realm=\"spoke\""};
    if (error != AccessError::none_given) {
        challenge +=
            fmt::format(", error=\"invalid_token\", error_description=\"{}\"",
                        error == AccessError::bad_claims ? "a claim is missing or has a wrong form"
                                                         : describe(error));
    }
    problem.headers.emplace_back("WWW-Authenticate", std::move(challenge));
    call.refuse(problem);
}

std::optional<Problem> Api::check_right(Route const& route, Call const& call) {
    auto const& scopes = call.who.scopes;
    auto is_covered = [&] {
        switch (route.right) {
            case Right::none:
                return true;
            case Right::devices_read:
                return scopes.devices_read;
            case Right::devices_write:
                return scopes.devices_write;
            case Right::command:  // which verb is for the handler to judge
                return scopes.is_everything || !scopes.verbs.empty();
            case Right::events:  // which topics is for the handler to judge
                return scopes.is_everything || !scopes.events.empty();
            case Right::publish:
                return scopes.may_publish(call.parts[0]);
            case Right::inbox:
                return scopes.may_read_inbox(call.parts[0]);
            case Right::inbox_write:
                return scopes.inbox_write;
            case Right::anybody:
                return true;
            case Right::audit:
                return scopes.audit;
            case Right::admin:
                return scopes.admin;
        }
        return false;
    };
    if (!is_covered()) {
        auto needs = std::string{scope_name(route.right)};
        if (route.right == Right::publish) needs = "publish:" + call.parts[0];
        if (auto topic = call.target.parameter("topic"); topic && route.right == Right::events) {
            needs = "events:" + std::string{*topic};
        }
        if (route.right == Right::inbox) needs = "inbox:" + call.parts[0];
        return scope_problem(std::move(needs));
    }
    if (route.pattern.starts_with("/v1/devices/{id}") && !call.who.may_see(call.parts[0])) {
        return other_device_problem(call.parts[0]);
    }
    return std::nullopt;
}

std::optional<Problem> not_sending(Service const& service) {
    if (service.is_draining()) {
        return Problem{ProblemKind::draining, {}, {}, {{"Retry-After", "5"}}};
    }
    if (service.broker_is_ready()) return std::nullopt;
    return Problem{ProblemKind::broker_down, service.broker_problem(), {}, {{"Retry-After", "2"}}};
}

}  // namespace spoke::bridge
