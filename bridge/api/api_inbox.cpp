#include <fmt/format.h>

#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/event_wish.hpp"
#include "bridge/api/inbox_request.hpp"

namespace spoke::bridge {
namespace {

HttpResponse show(InboxView const& view) {
    if (!view.document) return to_response(unreadable_log());
    HttpResponse response;
    response.body = *view.document;
    response.headers.emplace_back("ETag", view.etag);
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
}

std::optional<Problem> check_inbox(Inboxes const& inboxes, std::string const& who) {
    if (!is_inbox_name(who)) {
        return Problem{ProblemKind::no_such_path,
                       "the name of an inbox has 1 to 128 bytes, without '/', '+', '#' and "
                       "control characters"};
    }
    if (inboxes.has(who)) return std::nullopt;
    return Problem{ProblemKind::no_such_path,
                   "no [[record]] filter of the bridge covers " + topic_of_inbox(who)};
}

Problem not_stored() {
    return {ProblemKind::log_full,
            "the store of the bridge takes no records; nothing was changed",
            {},
            {{"Retry-After", "10"}}};
}

}  // namespace

/// Where a reader of this inbox goes on; the problem if nobody can go on from there.
std::optional<Problem> Api::locate(std::string_view cursor, std::string const& who,
                                   std::uint64_t& out) {
    auto place = service_.log().locate(cursor, {topic_of_inbox(who)});
    if (auto const* offset = std::get_if<std::uint64_t>(&place)) {
        out = *offset;
        return std::nullopt;
    }
    return cursor_problem(std::get<CursorProblem>(place), service_.log().head(),
                          topic_of_inbox(who));
}

/// The state as a whole, held until it is another one than the caller knows.
void Api::show_inbox(Call call) {
    WaitWish wish;
    auto error = check_parameters(call.target, {"wait"});
    if (!error) error = parse_wait(call.request, call.target, wish);
    if (error) return call.respond(to_response(*error));
    auto const& who = call.parts[0];
    if (auto problem = check_inbox(service_.inboxes(), who)) return call.refuse(*problem);
    std::string known{call.request.header("If-None-Match")};
    auto done = [respond = call.respond, known, wish](InboxView const& view) {
        auto response = show(view);
        if (view.document && names_etag(known, view.etag)) {
            response.status = 304;
            response.body.clear();
        }
        wish.note_in(response);
        respond(std::move(response));
    };
    if (wish.wait.count() == 0) return done(service_.inboxes().look(who));
    auto is_known = [known](InboxView const& view) {
        return view.document && names_etag(known, view.etag);
    };
    auto ticket = service_.inboxes().hold({who, is_known, held_until(call, wish), done});
    if (!ticket || !call.request.when_gone) return;
    call.request.when_gone([this, ticket = *ticket] { service_.inboxes().let_go(ticket); });
}

void Api::list_inbox(Call call) {
    Inboxes::Query query;
    auto error = check_parameters(call.target, {"unread", "since", "limit"});
    if (!error) error = parse_flag(call.target, "unread", query.unread_only);
    if (!error) error = parse_limit(call.target, query.limit);
    if (error) return call.respond(to_response(*error));
    auto const& who = call.parts[0];
    auto problem = check_inbox(service_.inboxes(), who);
    auto since = call.target.parameter("since");
    if (!problem && since) problem = locate(*since, who, query.after);
    if (problem) return call.refuse(*problem);
    auto page = service_.inboxes().messages(who, query);
    if (page.is_stuck) return call.refuse(unreadable_log());
    std::vector<std::string> documents;
    for (auto const& message : page.messages) documents.push_back(*message->document());
    auto next = Cursor{service_.log().epoch(), page.position}.text();
    HttpResponse response;
    if (wants_lines(call.request)) {
        response = list_response(call.request, "messages", documents);
    } else {
        response.body = fmt::format(R"({{"messages":[{}],"next":"{}","more":{}}})",
                                    fmt::join(documents, ","), next, page.has_more);
    }
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("Event-Cursor", next);
    if (page.has_more) {
        response.headers.emplace_back(
            "Link", fmt::format("</v1/inboxes/{}/messages?since={}&limit={}{}>; rel=\"next\"",
                                percent_encoded(who), next, query.limit,
                                query.unread_only ? "&unread=1" : ""));
    }
    call.respond(std::move(response));
}

void Api::put_messages(Call call) {
    if (auto problem = check_json(call.request)) return call.refuse(*problem);
    std::vector<InboxMessage> messages;
    std::string key;
    auto error = check_parameters(call.target, {});
    if (!error) error = parse_idempotency_key(call.request.header("Idempotency-Key"), key);
    if (!error) error = parse_inbox_messages(call.request.body, messages);
    if (error) return call.respond(to_response(*error));
    auto const& who = call.parts[0];
    if (auto problem = check_inbox(service_.inboxes(), who)) return call.refuse(*problem);
    if (service_.is_draining()) {
        return call.refuse({ProblemKind::draining, {}, {}, {{"Retry-After", "5"}}});
    }
    auto done = [respond = call.respond,
                 epoch = service_.log().epoch()](Inboxes::PutResult const& result) {
        using Kind = Inboxes::PutResult::Kind;
        if (result.kind == Kind::failed) return respond(to_response(not_stored()));
        if (result.kind == Kind::key_reused) {
            return respond(to_response(
                Problem{ProblemKind::key_reused,
                        "a message of this inbox has the same key and is another one"}));
        }
        std::vector<std::string> ids;
        for (auto offset : result.offsets) {
            ids.push_back(fmt::format("\"{}\"", Cursor{epoch, offset}.text()));
        }
        HttpResponse response;
        response.status = result.repeated ? 200 : 201;
        response.body =
            fmt::format(R"({{"ids":[{}],"unread":{}}})", fmt::join(ids, ","), result.view.unread);
        if (result.repeated) response.headers.emplace_back("Idempotent-Replayed", "true");
        respond(std::move(response));
    };
    service_.put_messages(who, std::move(messages), key, call.caller(), std::move(done));
}

void Api::read_inbox(Call call) {
    if (auto problem = check_json(call.request)) return call.refuse(*problem);
    std::string cursor;
    auto error = check_parameters(call.target, {});
    if (!error) error = parse_read_upto(call.request.body, cursor);
    if (error) return call.respond(to_response(*error));
    auto const& who = call.parts[0];
    if (auto problem = check_inbox(service_.inboxes(), who)) return call.refuse(*problem);
    read_upto(who, cursor, call.respond);
}

void Api::read_upto(std::string const& who, std::string_view cursor, Respond respond) {
    std::uint64_t upto = 0;
    // What was removed is no longer unread: an old place is as good as any.
    auto parsed = Cursor::parse(cursor);
    if (auto problem = locate(cursor, who, upto)) {
        auto place = service_.log().locate(cursor, {});
        auto const* old = std::get_if<std::uint64_t>(&place);
        if (!parsed || old == nullptr) return respond(to_response(*problem));
        upto = *old;
    } else if (!parsed) {  // "oldest"
        return respond(to_response(RequestError{"\"upto\" must be a cursor", "upto"}));
    }
    service_.inboxes().mark_read(
        who, upto, [respond = std::move(respond)](std::optional<InboxView> const& view) {
            respond(view ? show(*view) : to_response(not_stored()));
        });
}

}  // namespace spoke::bridge
