#include "bridge/api/event_socket.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

std::string quoted(std::string const& text) {
    return boost::json::serialize(boost::json::value(text));
}

}  // namespace

EventSocket::EventSocket(EventStreams& streams, Identity who, std::string address, Handle handle)
    : streams_(streams),
      who_(std::move(who)),
      address_(std::move(address)),
      handle_(std::move(handle)),
      safe_(streams.log().head_offset()) {
    streams_.join(*this, who_.ends);
}

EventSocket::~EventSocket() {
    streams_.leave(*this);
}

void EventSocket::begin(EventsWish const& wish) {
    auto& log = streams_.log();
    std::variant<std::uint64_t, CursorProblem> place = log.head_offset();
    if (!wish.since.empty()) place = log.locate(wish.since, wish.filters);
    auto const* problem = std::get_if<CursorProblem>(&place);
    auto after = problem == nullptr ? std::get<std::uint64_t>(place) : log.head_offset();
    greetings_.push_back(
        fmt::format(R"({{"op":"hello",{}}})",
                    hello_members(!wish.since.empty(), problem != nullptr, {log.epoch(), after})));
    for (auto const& filter : wish.filters) {
        filters_.push_back({filter, after, after});
        if (problem == nullptr) continue;
        greetings_.push_back(fmt::format(R"({{"op":"reset",{},"topic":{}}})",
                                         reset_members(*problem, log.head(), filter),
                                         quoted(filter)));
    }
    safe_ = after;
    restart_reader(after);
}

void EventSocket::on_open(WebSocketSink& sink) {
    sink_ = &sink;
    has_room_ = true;
    for (auto& greeting : std::exchange(greetings_, {})) say(std::move(greeting));
    pump();
}

void EventSocket::restart_reader(std::uint64_t after) {
    reader_.reset();
    if (filters_.empty()) return;
    std::vector<std::string> texts;
    for (auto const& filter : filters_) texts.push_back(filter.text);
    reader_ = std::make_unique<LogReader>(streams_.log(), std::move(texts), after, [this] {
        if (sink_ != nullptr && has_room_) sink_->call_soon();
    });
}

/// An event that the peer was given under a filter it has had for longer is not sent again.
bool EventSocket::is_wanted(Event const& event) const {
    auto is_new = false;
    for (auto const& filter : filters_) {
        if (event.offset <= filter.from || !mqtt::matches(filter.text, event.topic)) continue;
        if (event.offset <= filter.had) return false;
        is_new = true;
    }
    return is_new;
}

void EventSocket::pump() {
    constexpr int kPiecesMax = 8;  // then others have their turn
    if (sink_ == nullptr || std::exchange(is_pumping_, true)) return;
    auto is_end = reader_ == nullptr;
    for (int i = 0; i < kPiecesMax && has_room_ && !is_end; ++i) {
        if (sink_->waiting_bytes() == 0) safe_ = reader_->position();
        auto before = reader_->position();
        auto taken = reader_->take(kPiece);
        if (taken.has_lost) say_loss(before, taken.begin(*reader_));
        for (auto const& event : taken.events) {
            if (is_wanted(event->event())) send(event->document());
        }
        is_end = taken.is_end || taken.is_stuck;
    }
    is_pumping_ = false;
    if (has_room_ && !is_end) sink_->call_soon();
}

/// Under each filter that may have matched something which was removed before it was given.
void EventSocket::say_loss(std::uint64_t before, std::uint64_t from) {
    auto const& log = streams_.log();
    Cursor cursor{log.epoch(), from};
    for (auto const& filter : filters_) {
        auto had = std::max({before, filter.from, filter.had});
        if (log.removed_upto({filter.text}) <= had) continue;
        say(fmt::format(R"({{"op":"reset",{},"topic":{}}})",
                        reset_members(CursorProblem::too_old, cursor, filter.text),
                        quoted(filter.text)));
    }
}

void EventSocket::send(SharedBytes message) {
    was_active_ = true;
    has_room_ = sink_->send(std::move(message), WebSocketSink::Kind::text);
    if (!has_room_) streams_.block(*this);
}

void EventSocket::say(std::string message) {
    if (sink_ != nullptr) send(std::make_shared<std::string const>(std::move(message)));
}

void EventSocket::on_room() {
    if (sink_ == nullptr) return;
    if (!std::exchange(has_room_, true)) streams_.unblock(*this);
    mind_reading();
    pump();
}

/// A peer that does not take its answers is asked nothing more.
void EventSocket::mind_reading() {
    if (sink_ == nullptr) return;
    if (!has_room_ || operations_.size() >= kOperationsMax) return sink_->pause_reading();
    sink_->resume_reading();
}

void EventSocket::on_message(std::string_view message, WebSocketSink::Kind kind) {
    if (kind == WebSocketSink::Kind::binary) return sink_->cut(1003, "operations are text");
    auto parsed = parse_event_operation(message);
    if (auto const* error = std::get_if<RequestError>(&parsed.operation)) {
        say(operation_answer(parsed.q, {}, to_response(*error)));
    } else {
        run(parsed.q, std::get<EventOperation>(std::move(parsed.operation)));
    }
    mind_reading();
}

void EventSocket::run(std::string const& q, EventOperation operation) {
    using Kind = EventOperation::Kind;
    switch (operation.kind) {
        case Kind::subscribe:
            return subscribe(q, operation);
        case Kind::unsubscribe:
            return unsubscribe(q, operation);
        case Kind::request:
            return request(q, std::move(operation));
    }
}

EventSocket::Added EventSocket::add_filter(std::string const& text, std::string_view since) {
    auto& log = streams_.log();
    Added out{log.head_offset()};
    if (!since.empty()) {
        auto place = log.locate(since, {text});
        if (auto const* problem = std::get_if<CursorProblem>(&place)) {
            out.problem = *problem;
        } else {
            out.from = std::get<std::uint64_t>(place);
        }
    }
    // Where all the others are; of those that lag behind a later start, that one.
    auto position = reader_ ? reader_->position() : log.head_offset();
    for (auto& filter : filters_) filter.had = std::max(filter.had, position);
    std::erase_if(filters_, [&](auto const& filter) { return filter.text == text; });
    filters_.push_back({text, out.from, out.from});
    restart_reader(std::min(out.from, position));
    safe_ = std::min(safe_, out.from);
    return out;
}

void EventSocket::subscribe(std::string const& q, EventOperation const& operation) {
    auto refuse = [&](HttpResponse const& response) { say(operation_answer(q, {}, response)); };
    if (auto problem = check_reader(who_, operation.topic)) return refuse(to_response(*problem));
    auto is_known = std::ranges::any_of(
        filters_, [&](auto const& filter) { return filter.text == operation.topic; });
    if (!is_known && filters_.size() >= streams_.limits().filters_max) {
        return refuse(to_response(RequestError{
            fmt::format("at most {} topics", streams_.limits().filters_max), "topic"}));
    }
    auto added = add_filter(operation.topic, operation.since);
    if (added.problem) {
        say(fmt::format(R"({{"op":"reset",{},"topic":{}}})",
                        reset_members(*added.problem, streams_.log().head(), operation.topic),
                        quoted(operation.topic)));
    }
    HttpResponse response;
    response.body =
        fmt::format("{{{}}}", hello_members(!operation.since.empty(), added.problem.has_value(),
                                            {streams_.log().epoch(), added.from}));
    say(operation_answer(q, {}, response));
    if (sink_ != nullptr) sink_->call_soon();
}

void EventSocket::unsubscribe(std::string const& q, EventOperation const& operation) {
    auto position = reader_ ? reader_->position() : 0;
    auto erased =
        std::erase_if(filters_, [&](auto const& filter) { return filter.text == operation.topic; });
    if (erased == 0) {
        RequestError error{"there is no subscription to this topic", "topic"};
        return say(operation_answer(q, {}, to_response(error)));
    }
    restart_reader(position);
    say(operation_answer(q, {}, HttpResponse{}));
    if (sink_ != nullptr) sink_->call_soon();
}

void EventSocket::request(std::string q, EventOperation operation) {
    auto number = operations_begun_++;
    operations_.emplace(number, std::function<void()>{});
    operation.request.address = address_;
    operation.request.when_gone = [this, number](std::function<void()> gone) {
        if (auto found = operations_.find(number); found != operations_.end()) {
            found->second = std::move(gone);
        }
    };
    auto member = operation.member;
    handle_(operation.request,
            [weak = weak_from_this(), number, q = std::move(q), member](HttpResponse response) {
                if (auto self = weak.lock()) self->answer(number, q, member, response);
            });
}

void EventSocket::answer(std::uint64_t number, std::string_view q, std::string_view member,
                         HttpResponse const& response) {
    if (operations_.erase(number) == 0) return;
    say(operation_answer(q, member, response));
    mind_reading();
}

/// Where the peer goes on who gets nothing of what waits.
std::string EventSocket::safe_cursor() const {
    auto has_all = reader_ && sink_->waiting_bytes() == 0;
    return Cursor{streams_.log().epoch(), has_all ? reader_->position() : safe_}.text();
}

void EventSocket::on_stop() {
    if (sink_ == nullptr) return;
    sink_->cut(1001, fmt::format("the bridge stops; go on from {}", safe_cursor()));
}

void EventSocket::on_gone() {
    sink_ = nullptr;
    has_room_ = false;
    reader_.reset();
    streams_.unblock(*this);
    for (auto& [number, gone] : std::exchange(operations_, {})) {
        if (gone) gone();
    }
}

void EventSocket::keep_alive() {
    if (std::exchange(was_active_, false) || sink_ == nullptr || !has_room_) return;
    auto is_at_end = !reader_ || reader_->position() == streams_.log().head_offset();
    if (!is_at_end) return sink_->call_soon();  // perhaps the log could not be read
    send(streams_.head_message());
    was_active_ = false;
}

void EventSocket::give_up() {
    if (sink_ == nullptr) return;
    sink_->cut(1013, fmt::format("slow; go on from {}", safe_cursor()));
}

void EventSocket::expire() {
    if (sink_ == nullptr) return;
    sink_->cut(1008, fmt::format("token expired; go on from {}", safe_cursor()));
}

}  // namespace spoke::bridge
