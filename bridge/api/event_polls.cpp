#include "bridge/api/event_polls.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;

/// Pages without a match are gone through at once, up to a point: each would be a round trip.
constexpr int kPagesMax = 16;
constexpr std::size_t kAnswerBytesMax = 1 << 20;  // of documents; an event more, if it is the first

std::string key_of(std::vector<std::string> const& filters) {
    std::string out;
    for (auto const& filter : filters) {
        out += filter;
        out += '\n';
    }
    return out;
}

/// How soon it makes sense to ask again: the longer nothing has happened, the later.
unsigned polite_interval(std::chrono::milliseconds idle) {
    unsigned seconds = 1;
    while (seconds < 30 && 2 * seconds * 1s <= idle) seconds *= 2;
    return std::min(seconds, 30U);
}

}  // namespace

/// A request that waits. The first event starts its batch.
struct EventPolls::Held {
    Held(EventLog& log, std::vector<std::string> filters, std::uint64_t after,
         std::function<void()> wake)
        : reader(log, std::move(filters), after, std::move(wake)) {}

    LogReader reader;
    std::size_t limit = 0;
    Respond respond{};
    Alarms::Ticket alarm{};
    bool is_batching = false;
    std::list<std::unique_ptr<Held>>::iterator place{};
};

EventPolls::Watch::Watch(EventLog& log, std::vector<std::string> filters, WallTime now)
    : log_(log), filters_(std::move(filters)), last_(log.last_matching(filters_)), at_(now) {
    log_.follow(filters_, *this);
}

EventPolls::Watch::~Watch() {
    log_.unfollow(filters_, *this);
}

void EventPolls::Watch::on_event(SharedEvent const& event) {
    last_ = event->offset();
    at_ = event->event().at;
    etag_.clear();
}

std::string const& EventPolls::Watch::etag() {
    if (etag_.empty()) etag_ = fmt::format("\"{}.{}\"", log_.epoch(), last_);
    return etag_;
}

EventPolls::EventPolls(EventStreams& streams) : streams_(streams) {}

EventPolls::~EventPolls() {
    for (auto& held : held_) streams_.service().call_off(held->alarm);
}

EventPolls::Watch& EventPolls::watch(std::vector<std::string> const& filters) {
    auto key = key_of(filters);
    if (auto found = by_key_.find(key); found != by_key_.end()) {
        watches_.splice(watches_.begin(), watches_, found->second);
        return found->second->watch;
    }
    if (watches_.size() >= kWatchesMax) {
        by_key_.erase(watches_.back().key);
        watches_.pop_back();
    }
    watches_.emplace_front(std::move(key), streams_.log(), filters, streams_.service().now().wall);
    by_key_.emplace(watches_.front().key, watches_.begin());
    return watches_.front().watch;
}

void EventPolls::answer(EventsWish const& wish, std::uint64_t after, std::string_view known,
                        Respond const& respond) {
    auto& newest = watch(wish.filters);
    auto& log = streams_.log();
    if (newest.last() <= after) {
        auto is_known = !known.empty() && names_etag(known, newest.etag());
        return respond(is_known ? unchanged(log.head_offset(), newest)
                                : page({{}, log.head_offset(), true}, newest));
    }
    EventLog::Page found;
    found.position = after;
    for (int i = 0; i < kPagesMax && found.events.empty() && found.goes_on(); ++i) {
        auto before = found.position;
        found = log.read(before, wish.filters, wish.limit);
        // What was removed since the cursor was looked at.
        if (found.removed_upto > before) {
            Cursor cursor{log.epoch(), found.removed_upto};
            return respond(
                to_response(cursor_problem(CursorProblem::too_old, cursor, wish.filters.front())));
        }
    }
    if (found.is_stuck) return respond(to_response(unreadable_log()));
    respond(page(found, newest));
}

void EventPolls::hold(EventsWish wish, std::uint64_t after, SteadyTime until,
                      HttpRequest const& request, Respond respond) {
    auto place = held_.emplace(held_.end());
    // It follows before it looks, so that nothing comes between.
    *place = std::make_unique<Held>(streams_.log(), std::move(wish.filters), after,
                                    [this, place] { wake(**place); });
    auto& held = **place;
    held.place = place;
    held.limit = wish.limit;
    held.respond = std::move(respond);
    if (request.when_gone) {
        request.when_gone([this, place] {
            streams_.service().call_off((*place)->alarm);
            held_.erase(place);
        });
    }
    if (collect(held)) return;
    held.alarm = streams_.service().call_at(until, [this, &held] { end(held); });
}

void EventPolls::wake(Held& held) {
    if (std::exchange(held.is_batching, true)) return;
    auto& service = streams_.service();
    service.call_off(held.alarm);
    held.alarm = service.call_at(service.now().steady + kBatch, [this, &held] {
        if (!collect(held)) end(held);
    });
}

void EventPolls::end(Held& held) {
    finish(held, unchanged(held.reader.position(), watch(held.reader.filters())));
}

/// Answers with what there is, or with nothing if it is a long way to what there may be.
/// Out     whether it has answered.
bool EventPolls::collect(Held& held) {
    EventLog::Page found;
    for (int i = 0; i < kPagesMax && found.events.empty() && found.goes_on(); ++i) {
        auto taken = held.reader.take(held.limit);
        if (taken.has_lost) {
            Cursor cursor{streams_.log().epoch(), taken.usable(held.reader)};
            auto const& filter = held.reader.filters().front();
            finish(held, to_response(cursor_problem(CursorProblem::too_old, cursor, filter)));
            return true;
        }
        found = {std::move(taken.events), held.reader.position(), taken.is_end, taken.is_stuck};
    }
    if (found.is_stuck) {
        finish(held, to_response(unreadable_log()));
        return true;
    }
    if (found.events.empty() && found.is_end) return false;
    finish(held, page(found, watch(held.reader.filters())));
    return true;
}

void EventPolls::finish(Held& held, HttpResponse response) {
    streams_.service().call_off(held.alarm);
    auto respond = std::move(held.respond);
    held_.erase(held.place);
    respond(std::move(response));
}

void EventPolls::drain() {
    while (!held_.empty()) end(*held_.front());
}

HttpResponse EventPolls::unchanged(std::uint64_t position, Watch& newest) const {
    HttpResponse response;
    response.status = 304;
    auto idle = streams_.service().now().wall - newest.at();
    response.headers.emplace_back("ETag", newest.etag());
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("Event-Cursor", Cursor{streams_.log().epoch(), position}.text());
    response.headers.emplace_back("Retry-After", std::to_string(polite_interval(idle)));
    return response;
}

/// Documents up to kAnswerBytesMax. Where more may follow the tag is one that no later answer has.
HttpResponse EventPolls::page(EventLog::Page const& found, Watch& newest) const {
    HttpResponse response;
    auto const& events = found.events;
    auto position = found.position;
    auto& body = response.body;
    body = R"({"events":[)";
    std::size_t count = 0;
    for (auto const& event : events) {
        auto const& document = *event->document();
        if (count > 0 && body.size() + document.size() > kAnswerBytesMax) break;
        if (count++ > 0) body += ',';
        body += document;
    }
    auto is_cut = count < events.size();
    if (is_cut) position = events[count - 1]->offset();
    auto next = Cursor{streams_.log().epoch(), position}.text();
    body += fmt::format(R"(],"next":"{}"}})", next);
    auto is_whole = found.is_end && !is_cut;
    response.headers.emplace_back("ETag",
                                  is_whole ? newest.etag() : fmt::format("\"{}-more\"", next));
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("Event-Cursor", next);
    return response;
}

}  // namespace spoke::bridge
