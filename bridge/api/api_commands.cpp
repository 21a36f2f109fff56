#include <fmt/format.h>

#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/parameters.hpp"

namespace spoke::bridge {
namespace {

/// The end as far as a caller waits for it: `unknown` may last for a day.
bool is_told(Command const& command) {
    return is_settled(command.state) || command.state == CommandState::unknown;
}

std::string etag_of(Command const& command) {
    return fmt::format("\"{}\"", command.version);
}

/// Who looks at a command. Who gave it is told to himself, and to those who may read devices.
struct Viewer {
    explicit Viewer(Identity const& who) : by(who.by), sees_others(who.scopes.devices_read) {}

    std::string by;
    bool sees_others;
};

std::string document_for(Viewer const& viewer, Command const& command) {
    if (viewer.sees_others || command.caller.by == viewer.by) return command_document(command);
    auto shown = command;
    for (auto& entry : shown.timeline) {
        if (entry.by == command.caller.by) entry.by = "somebody";
    }
    shown.caller.by = "somebody";
    return command_document(shown);
}

HttpResponse show(Command const& command, Viewer const& viewer) {
    HttpResponse response;
    response.body = document_for(viewer, command);
    response.headers.emplace_back("ETag", etag_of(command));
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
}

/// The answer to a POST: 200 once there is an end to show, 202 before.
HttpResponse show_order(Command const& command, Viewer const& viewer) {
    auto response = show(command, viewer);
    if (is_told(command)) return response;
    response.status = 202;
    response.headers.emplace_back("Location", "/v1/commands/" + command.id.text());
    response.headers.emplace_back("Retry-After", "1");
    return response;
}

Problem no_such_command() {
    return {ProblemKind::no_such_command,
            "it never was, or it was settled too long ago to be kept"};
}

Problem store_failed() {
    return {ProblemKind::log_full,
            "the store of the bridge takes no records; nothing was sent",
            {},
            {{"Retry-After", "10"}}};
}

/// Answers a request that has waited for its command with the command as it is.
std::function<void(Command const*)> shower(Respond respond, WaitWish wish, Viewer viewer) {
    return [respond = std::move(respond), wish = std::move(wish),
            viewer = std::move(viewer)](Command const* command) {
        if (command == nullptr) return respond(to_response(store_failed()));
        auto response = show_order(*command, viewer);
        wish.note_in(response);
        respond(std::move(response));
    };
}

/// A key is the caller's own: nobody else can meet it by chance or on purpose.
std::string key_of(Identity const& who, std::string const& key) {
    return key.empty() ? key : who.by + "\n" + key;
}

}  // namespace

void Api::post_command(Call call) {
    auto const& request = call.request;
    if (auto problem = check_json(request)) return call.refuse(*problem);
    CommandRequest order;
    std::string key;
    WaitWish wish;
    auto error = check_parameters(call.target, {"wait"});
    if (!error) error = parse_wait(request, call.target, wish);
    if (!error) error = parse_idempotency_key(request.header("Idempotency-Key"), key);
    if (!error) error = parse_command_request(request.body, call.parts[0], order);
    if (error) return call.respond(to_response(*error));
    if (!call.who.scopes.may_command(order.verb)) {
        return call.refuse(scope_problem("command:" + order.verb));
    }
    if (key.empty() && order.ref.empty() && verb_of(order.verb).needs_key) {
        return call.refuse(
            {ProblemKind::key_required,
             "give \"ref\" or the header Idempotency-Key, so that a retry is not a second order"});
    }
    if (service_.is_draining()) return call.refuse(*not_sending(service_));
    auto result = service_.submit(order, call.caller(), key_of(call.who, key));
    if (auto const* refusal = std::get_if<Refusal>(&result)) {
        return call.respond(refuse(*refusal, order));
    }
    hold_order(call, std::get<CommandTracker::Accepted>(result), wish);
}

/// Holds the request; a peer that goes away meanwhile frees it.
void Api::hold(Call const& call, CommandWait wait) {
    auto ticket = service_.hold(std::move(wait));
    if (!ticket || !call.request.when_gone) return;
    call.request.when_gone([this, ticket = *ticket] { service_.let_go(ticket); });
}

/// Answers when the record is stored and, with a wait, when there is an end or the time is up.
void Api::hold_order(Call const& call, CommandTracker::Accepted accepted, WaitWish const& wish) {
    auto is_enough = [wish](Command const& command) {
        return wish.wait.count() == 0 || is_told(command);
    };
    auto respond = call.respond;
    if (accepted.replayed) {
        respond = [told = call.respond](HttpResponse response) {
            if (response.status < 300) response.headers.emplace_back("Idempotent-Replayed", "true");
            told(std::move(response));
        };
    }
    CommandWait wait{accepted.id, is_enough, service_.now().steady + wish.wait,
                     shower(std::move(respond), wish, Viewer{call.who})};
    // What joins an order may have brought a key of its own, which has to be stored as well.
    if (accepted.replayed) wait.not_before = service_.saves_asked();
    hold(call, std::move(wait));
}

void Api::show_command(Call call) {
    WaitWish wish;
    auto error = check_parameters(call.target, {"wait"});
    if (!error) error = parse_wait(call.request, call.target, wish);
    if (error) return call.respond(to_response(*error));
    auto id = CommandId::parse(call.parts[0]);
    auto command = id ? service_.find_command(*id) : std::nullopt;
    if (!command) return call.refuse(no_such_command());
    if (!call.who.may_see(command->request.device)) {
        return call.refuse(other_device_problem(command->request.device));
    }
    // With a known version: until there is another. Without: until there is more of an end than
    // now.
    std::string known{call.request.header("If-None-Match")};
    auto was_told = is_told(*command);
    auto is_enough = [known, was_told](Command const& now) {
        if (!known.empty()) return !names_etag(known, etag_of(now));
        return is_settled(now.state) || (!was_told && is_told(now));
    };
    auto done = [respond = call.respond, known, wish,
                 viewer = Viewer{call.who}](Command const* now) {
        if (now == nullptr) return respond(to_response(store_failed()));
        auto response = show(*now, viewer);
        if (names_etag(known, etag_of(*now))) {
            response.status = 304;
            response.body.clear();
        }
        wish.note_in(response);
        respond(std::move(response));
    };
    if (wish.wait.count() == 0) return done(&*command);
    hold(call, {*id, is_enough, held_until(call, wish), done});
}

/// What was not handed over ends here; of what was, the device is asked, and the record tells which
/// of the two was first.
void Api::cancel_command(Call call) {
    WaitWish wish;
    auto error = check_parameters(call.target, {"wait"});
    if (!error) error = parse_wait(call.request, call.target, wish);
    if (error) return call.respond(to_response(*error));
    auto id = CommandId::parse(call.parts[0]);
    auto command = id ? service_.find_command(*id) : std::nullopt;
    if (!command) return call.refuse(no_such_command());
    auto const& order = command->request;
    if (!call.who.may_see(order.device)) return call.refuse(other_device_problem(order.device));
    if (!call.who.scopes.may_command(order.verb)) {
        return call.refuse(scope_problem("command:" + order.verb));
    }
    if (command->state == CommandState::cancelled)
        return call.respond(show(*command, Viewer{call.who}));
    auto outcome = service_.cancel(*id, call.caller());
    finish_cancel(call, *command, outcome, wish);
}

void Api::finish_cancel(Call const& call, Command const& command, CancelOutcome const& outcome,
                        WaitWish const& wish) {
    using Kind = CancelOutcome::Kind;
    switch (outcome.kind) {
        case Kind::no_such_command:
            return call.refuse(no_such_command());
        case Kind::settled:
            return call.refuse({ProblemKind::too_late,
                                "it was settled before it could be cancelled",
                                {{"state", std::string{name_of(command.state)}}}});
        case Kind::refused: {
            CommandRequest request;
            request.device = command.request.device;
            request.verb = "cancel";
            return call.respond(refuse(*outcome.refusal, request));
        }
        case Kind::cancelled:  // told once it is stored
            return hold(call, {command.id, [](Command const& c) { return is_settled(c.state); },
                               service_.now().steady + kWaitMax,
                               shower(call.respond, wish, Viewer{call.who})});
        case Kind::asked:
            return hold(
                call,
                {command.id,
                 [wish](Command const& c) { return wish.wait.count() == 0 || is_told(c); },
                 service_.now().steady + wish.wait, shower(call.respond, wish, Viewer{call.who})});
    }
}

}  // namespace spoke::bridge
