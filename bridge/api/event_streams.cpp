#include "bridge/api/event_streams.hpp"

#include <fmt/format.h>

#include <memory>

#include "bridge/api/event_wish.hpp"

namespace spoke::bridge {

EventStreams::EventStreams(Service& service, Limits limits) : service_(service), limits_(limits) {}

EventStreams::~EventStreams() {
    if (is_ticking_) service_.call_off(alarm_);
}

void EventStreams::join(EventStream& stream, std::optional<WallTime> ends) {
    ++size_;
    stream.ends_ = ends;
    if (ends) by_end_.emplace(*ends, &stream);
    turns_[next_place_].push_back(stream);
    next_place_ = (next_place_ + 1) % kTurns;
    if (is_ticking_) return;
    is_ticking_ = true;
    alarm_ = service_.call_at(service_.now().steady + kTick, [this] { tick(); });
}

void EventStreams::leave(EventStream& stream) {
    --size_;
    if (stream.ends_) by_end_.erase({*stream.ends_, &stream});
    stream.in_turn_.unlink();
    unblock(stream);
}

void EventStreams::block(EventStream& stream) {
    if (stream.in_blocked_.is_linked()) return;
    stream.blocked_since_ = service_.now().steady;
    blocked_.push_back(stream);
}

void EventStreams::unblock(EventStream& stream) {
    if (stream.in_blocked_.is_linked()) stream.in_blocked_.unlink();
}

void EventStreams::tick() {
    is_ticking_ = size_ > 0;
    if (!is_ticking_) return;
    auto [now, wall] = service_.now();
    alarm_ = service_.call_at(now + kTick, [this] { tick(); });
    while (!blocked_.empty() && blocked_.front().blocked_since_ + limits_.slow_timeout <= now) {
        auto& stream = blocked_.front();
        blocked_.pop_front();
        ++given_up_;
        stream.give_up();
    }
    end_expired(wall);
    // None leaves out of keep_alive(): the end of a connection is told later.
    for (auto& stream : turns_[turn_]) {
        if (!stream.in_blocked_.is_linked()) stream.keep_alive();
    }
    turn_ = (turn_ + 1) % kTurns;
}

void EventStreams::end_expired(WallTime now) {
    while (!by_end_.empty() && by_end_.begin()->first <= now) {
        auto& stream = *by_end_.begin()->second;
        by_end_.erase(by_end_.begin());
        ++expired_;
        stream.expire();
    }
}

SharedBytes const& EventStreams::head_line() {
    make_head();
    return head_line_;
}

SharedBytes const& EventStreams::head_message() {
    make_head();
    return head_message_;
}

void EventStreams::make_head() {
    if (head_ == log().head_offset()) return;
    head_ = log().head_offset();
    auto id = log().head().text();
    // An id without data moves Last-Event-ID and is no event.
    head_line_ = std::make_shared<std::string const>(fmt::format(":\nid: {}\n\n", id));
    head_message_ =
        std::make_shared<std::string const>(fmt::format(R"({{"op":"cursor","id":"{}"}})", id));
}

std::string hello_members(bool has_cursor, bool is_lost, Cursor const& from) {
    return fmt::format(R"("resumed":{},"from":"{}","lost":{})", has_cursor && !is_lost, from.text(),
                       is_lost ? "null" : "0");
}

std::string reset_members(CursorProblem reason, Cursor const& head, std::string_view filter) {
    return fmt::format(R"("reason":"{}","cursor":"{}","snapshot":"{}")", name_of(reason),
                       head.text(), snapshot_of(filter));
}

}  // namespace spoke::bridge
