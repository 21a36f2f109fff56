#include <boost/json.hpp>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/hook_request.hpp"
#include "bridge/command/json_text.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

std::string hook_document(Hooks const& hooks, HookRun const& run, std::string const& secret,
                          EventLog const& log, WallTime now) {
    auto const& hook = run.hook;
    json::object out;
    out["name"] = hook.name;
    out["url"] = hook.url;
    out["topics"] = json::value_from(hook.topics);
    out["format"] = name_of(hook.format);
    out["state"] = name_of(hook.state);
    if (!hook.why.empty()) out["why"] = hook.why;
    if (!secret.empty()) out["secret"] = secret;
    if (!hook.old_secret.empty() && hook.old_secret_until > now) {
        out["old_secret_until"] = rfc3339(hook.old_secret_until);
    }
    out["cursor"] = Cursor{log.epoch(), run.place()}.text();
    out["behind"] = hooks.behind(run);
    out["waiting"] = run.waiting();
    out["dead"] = run.dead();
    out["delivered"] = run.delivered;
    out["failed"] = run.failed;
    if (!run.last_problem.empty()) out["problem"] = run.last_problem;
    return json_text(out);
}

std::string delivery_document(HookReport const& report) {
    json::object out;
    out["id"] = report.id;
    if (!report.topic.empty()) out["topic"] = report.topic;
    out["state"] = report.state;
    out["attempts"] = report.attempts;
    out["at"] = rfc3339(report.made_at);
    if (report.due_at) out["next"] = rfc3339(*report.due_at);
    if (!report.outcome.empty()) out["outcome"] = report.outcome;
    return json_text(out);
}

Problem no_such_hook(std::string const& name) {
    return {ProblemKind::no_such_hook, {}, {{"hook", name}}};
}

Problem try_again(ProblemKind kind, std::string detail, std::string seconds) {
    return {kind, std::move(detail), {}, {{"Retry-After", std::move(seconds)}}};
}

/// The problem of a change that was not made.
Problem problem_of(Hooks::Change change, std::string const& name) {
    switch (change) {
        case Hooks::Change::too_many:
            return try_again(ProblemKind::rate,
                             "there are as many hooks as there may be (hooks.hooks_max)", "60");
        case Hooks::Change::busy:
            return try_again(ProblemKind::rate, "another change of this hook is being stored", "1");
        case Hooks::Change::store_failed:
            return try_again(ProblemKind::log_full,
                             "the store of the bridge takes no records; nothing has changed", "10");
        case Hooks::Change::no_such_hook:
            return no_such_hook(name);
        case Hooks::Change::made:
        case Hooks::Change::changed:
        case Hooks::Change::removed:
            break;
    }
    return Problem{ProblemKind::internal};
}

HttpResponse json_response(std::string body, unsigned status = 200) {
    HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

}  // namespace

void Api::list_hooks(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    std::vector<std::string> documents;
    for (auto const* run : hooks_.list()) {
        documents.push_back(hook_document(hooks_, *run, {}, service_.log(), service_.now().wall));
    }
    auto response = list_response(call.request, "hooks", documents);
    response.headers.emplace_back("Cache-Control", "no-store");
    call.respond(std::move(response));
}

void Api::show_hook(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    auto const* run = hooks_.find(call.parts[0]);
    if (run == nullptr) return call.refuse(no_such_hook(call.parts[0]));
    call.respond(
        json_response(hook_document(hooks_, *run, {}, service_.log(), service_.now().wall)));
}

void Api::put_hook(Call call) {
    auto error = check_parameters(call.target, {});
    if (!error && !is_hook_name(call.parts[0])) {
        error = RequestError{"a hook's name has 1 to 64 letters, digits, '-', '_' and '.'", "name"};
    }
    if (auto problem = check_json(call.request)) return call.refuse(*problem);
    HookWish wish;
    if (!error) {
        error = parse_hook(call.request.body, settings_.hooks, service_.log().classes(), wish);
    }
    if (error) return call.respond(to_response(*error));
    auto name = call.parts[0];
    hooks_.put(name, std::move(wish), call.caller(),
               [this, name, respond = call.respond](Hooks::Change change, auto const& secret) {
                   auto const* run = hooks_.find(name);
                   auto is_stored =
                       change == Hooks::Change::made || change == Hooks::Change::changed;
                   if (!is_stored || run == nullptr) {
                       return respond(to_response(problem_of(change, name)));
                   }
                   respond(json_response(
                       hook_document(hooks_, *run, secret, service_.log(), service_.now().wall),
                       change == Hooks::Change::made ? 201 : 200));
               });
}

void Api::delete_hook(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    auto name = call.parts[0];
    hooks_.erase(name, call.caller(),
                 [name, respond = call.respond](Hooks::Change change, auto const&) {
                     HttpResponse response;
                     response.status = 204;
                     auto is_gone = change == Hooks::Change::removed;
                     respond(is_gone ? std::move(response) : to_response(problem_of(change, name)));
                 });
}

void Api::list_deliveries(Call call) {
    auto error = check_parameters(call.target, {"limit"});
    std::size_t limit = 100;
    if (!error) error = parse_limit(call.target, limit);
    if (error) return call.respond(to_response(*error));
    if (hooks_.find(call.parts[0]) == nullptr) return call.refuse(no_such_hook(call.parts[0]));
    std::vector<std::string> documents;
    for (auto const& report : hooks_.deliveries(call.parts[0], limit)) {
        documents.push_back(delivery_document(report));
    }
    auto response = list_response(call.request, "deliveries", documents);
    response.headers.emplace_back("Cache-Control", "no-store");
    call.respond(std::move(response));
}

void Api::resend_delivery(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    auto const& name = call.parts[0];
    auto const& id = call.parts[1];
    if (hooks_.find(name) == nullptr) return call.refuse(no_such_hook(name));
    switch (hooks_.resend(name, id)) {
        case Hooks::Resend::asked:
        case Hooks::Resend::under_way:
            return call.respond(json_response(json_text(json::object{{"id", id}}), 202));
        case Hooks::Resend::no_such_delivery:
            return call.refuse({ProblemKind::no_such_delivery, {}, {{"hook", name}, {"id", id}}});
        case Hooks::Resend::queue_full:
            return call.refuse(
                try_again(ProblemKind::rate, "the queue of this hook is full", "60"));
    }
}

}  // namespace spoke::bridge
