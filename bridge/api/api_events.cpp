#include <fmt/format.h>

#include <utility>
#include <variant>

#include "bridge/api/api.hpp"
#include "bridge/api/event_socket.hpp"
#include "bridge/api/event_wish.hpp"
#include "bridge/api/sse_stream.hpp"

namespace spoke::bridge {
namespace {

Problem too_many_readers() {
    return {ProblemKind::too_many_readers, {}, {}, {{"Retry-After", "5"}}};
}

/// The first frames: how soon to come again, and from where this goes on.
std::string sse_hello(Service& service, EventsWish const& wish,
                      std::variant<std::uint64_t, CursorProblem> const& place) {
    constexpr std::uint64_t kRetryMin = 2'000;
    constexpr std::uint64_t kRetrySpread = 3'001;
    auto const& log = service.log();
    auto const* problem = std::get_if<CursorProblem>(&place);
    auto from =
        problem == nullptr ? Cursor{log.epoch(), std::get<std::uint64_t>(place)} : log.head();
    auto out = fmt::format("retry: {}\nid: {}\nevent: hello\ndata: {{{}}}\n\n",
                           kRetryMin + service.random() % kRetrySpread, from.text(),
                           hello_members(!wish.since.empty(), problem != nullptr, from));
    if (problem == nullptr) return out;
    return out + fmt::format("event: reset\ndata: {{{}}}\n\n",
                             reset_members(*problem, from, wish.filters[0]));
}

}  // namespace

void Api::read_events(Call call) {
    EventsWish wish;
    if (auto error = parse_events(call.request, call.target, settings_.events.filters_max, wish)) {
        return call.respond(to_response(*error));
    }
    for (auto const& filter : wish.filters) {
        if (auto problem = check_reader(call.who, filter)) return call.refuse(*problem);
    }
    auto& log = service_.log();
    std::variant<std::uint64_t, CursorProblem> place = log.head_offset();
    if (!wish.since.empty()) place = log.locate(wish.since, wish.filters);
    if (wish.form == EventsWish::Form::stream) return open_stream(call, std::move(wish), place);
    if (wish.form == EventsWish::Form::web_socket) return open_socket(call, wish);
    if (auto const* reason = std::get_if<CursorProblem>(&place)) {
        return call.refuse(cursor_problem(*reason, log.head(), wish.filters[0]));
    }
    auto after = std::get<std::uint64_t>(place);
    if (wish.wait.wait.count() == 0 || service_.is_draining()) {
        return polls_.answer(wish, after, call.request.header("If-None-Match"), call.respond);
    }
    if (polls_.is_full()) return call.refuse(too_many_readers());
    auto until = held_until(call, wish.wait);
    polls_.hold(std::move(wish), after, until, call.request, std::move(call.respond));
}

void Api::open_stream(Call const& call, EventsWish wish,
                      std::variant<std::uint64_t, CursorProblem> const& place) {
    if (streams_.is_full()) return call.refuse(too_many_readers());
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.body = sse_hello(service_, wish, place);
    auto const* after = std::get_if<std::uint64_t>(&place);
    response.stream.body = std::make_shared<SseStream>(
        streams_, std::move(wish.filters), after == nullptr ? service_.log().head_offset() : *after,
        call.who.ends);
    response.stream.kernel_bytes_max = settings_.events.stream_bytes_max;
    call.respond(std::move(response));
}

void Api::open_socket(Call const& call, EventsWish const& wish) {
    if (streams_.is_full()) return call.refuse(too_many_readers());
    auto handle = [this, who = call.who](HttpRequest const& request, Respond respond) {
        handle_as(who, request, std::move(respond));
    };
    auto socket =
        std::make_shared<EventSocket>(streams_, call.who, call.request.address, std::move(handle));
    socket->begin(wish);
    HttpResponse response;
    response.status = 101;
    auto& offer = response.web_socket;
    offer.end = std::move(socket);
    offer.message_bytes_max = settings_.events.message_bytes_max;
    offer.room_bytes = settings_.events.stream_bytes_max;
    offer.kernel_bytes_max = settings_.events.stream_bytes_max;
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
