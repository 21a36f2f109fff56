#include <algorithm>
#include <iterator>
#include <utility>

#include "bridge/inbox/inbox_document.hpp"
#include "bridge/inbox/inboxes.hpp"

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryPause = 1s;

/// The event as far as an inbox needs it.
Event outline(EventDraft const& draft) {
    Event event;
    event.topic = draft.topic;
    event.type = draft.type;
    event.collapse = draft.collapse;
    event.expires_at = draft.expires_at;
    event.from_broker = draft.from_broker;
    return event;
}

bool is_same_message(EventDraft const& draft, Event const& earlier) {
    return draft.type == earlier.type && draft.data == earlier.data &&
           draft.collapse == earlier.collapse;
}

}  // namespace

void Inboxes::record(EventDraft draft, Need need, EventLog::Done done) {
    auto name = inbox_of(draft.topic);
    if (!draft.key.empty() && need != Need::now_or_never) {
        done = or_again(draft, need, std::move(done));
    }
    if (!name) {
        world_.log.record(std::move(draft), need, world_.clock(), std::move(done));
        return;
    }
    std::string who{*name};
    auto event = outline(draft);
    event.offset =
        world_.log.record(std::move(draft), need, world_.clock(),
                          [this, who, done = std::move(done)](EventLog::Recorded const& recorded) {
                              if (!recorded.stored && !recorded.repeated)
                                  land(who, recorded.offset, false);
                              if (done) done(recorded);
                          });
    if (event.offset != 0) depart(who, std::move(event));
}

/// One that has joined another of its key, which may fail, is recorded by itself then.
EventLog::Done Inboxes::or_again(EventDraft const& draft, Need need, EventLog::Done done) {
    return [this, draft, need, done = std::move(done)](EventLog::Recorded const& recorded) {
        if (recorded.repeated && !recorded.stored) return record(draft, need, done);
        if (done) done(recorded);
    };
}

/// Another message has the key of one of the drafts. If that one is still being written, its end
/// decides: where it is not stored, nothing was.
bool Inboxes::is_refused(std::vector<EventDraft> const& drafts, PutDone const& done) {
    for (auto const& draft : drafts) {
        auto earlier = world_.log.find(draft.topic, draft.key);
        if (!earlier || is_same_message(draft, *earlier)) continue;
        auto refuse = [done](EventLog::Recorded const& recorded) {
            using Kind = PutResult::Kind;
            done({.kind = recorded.stored ? Kind::key_reused : Kind::failed});
        };
        if (!world_.log.join(draft.topic, draft.key, refuse)) refuse({.stored = true});
        return true;
    }
    return false;
}

void Inboxes::put(std::string const& who, std::vector<InboxMessage> messages,
                  std::string const& key, PutDone done) {
    auto now = world_.clock();
    auto topic = topic_of_inbox(who);
    std::vector<EventDraft> drafts;
    auto is_single = messages.size() == 1;
    for (auto& message : messages) {
        EventDraft draft;
        draft.topic = topic;
        draft.type = std::move(message.type);
        draft.data = std::move(message.data);
        draft.collapse = std::move(message.collapse);
        if (message.ttl) draft.expires_at = now.wall + *message.ttl;
        if (!key.empty()) draft.key = is_single ? key : key + "/" + std::to_string(drafts.size());
        drafts.push_back(std::move(draft));
    }
    if (is_refused(drafts, done)) return;
    std::vector<Event> events;
    for (auto const& draft : drafts) events.push_back(outline(draft));
    auto on_recorded = [this, who,
                        done = std::move(done)](std::vector<EventLog::Recorded> const& recorded) {
        PutResult result;
        for (auto const& one : recorded) {
            if (!one.stored) result.kind = PutResult::Kind::failed;
            if (!one.stored && !one.repeated) land(who, one.offset, false);
            result.offsets.push_back(one.offset);
        }
        result.repeated = std::ranges::all_of(recorded, &EventLog::Recorded::repeated);
        if (result.kind == PutResult::Kind::stored) result.view = look(who);
        done(result);
    };
    auto offsets = world_.log.record_all(std::move(drafts), Need::now_or_never, now, on_recorded);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        events[i].offset = offsets[i];
        if (offsets[i] != 0) depart(who, std::move(events[i]));
    }
}

void Inboxes::mark_read(std::string const& who, std::uint64_t upto, ReadDone done) {
    auto& cached = open(who);
    if (!cached.is_whole) return done(std::nullopt);
    refresh(cached, world_.clock().wall);
    auto const& messages = cached.inbox.messages();
    if (messages.empty() || messages.begin()->first > upto) return done(view_of(cached));
    if (auto found = in_flight_.find(who); found != in_flight_.end()) {
        for (auto& event : found->second.events) {
            if (!event.is_notice || event.upto < upto) continue;
            event.done.push_back(std::move(done));
            return;
        }
    }
    notice(cached, kReadType, upto, std::move(done));
}

void Inboxes::depart(std::string const& who, Event event) {
    in_flight_[who].events.push_back({std::move(event)});
}

/// An event in flight is committed, or is not and never will be.
void Inboxes::land(std::string_view who, std::uint64_t offset, bool stored) {
    auto found = in_flight_.find(who);
    if (found == in_flight_.end()) return;
    auto& topic = found->second;
    auto at = std::ranges::find_if(
        topic.events, [offset](InFlight const& e) { return e.event.offset == offset; });
    if (at == topic.events.end()) return;
    auto is_wrong = !stored && at->is_correction;
    at = topic.events.erase(at);
    auto is_assumed =
        std::any_of(at, topic.events.end(), [](auto const& e) { return e.is_notice; });
    if (is_wrong || (!stored && is_assumed)) {
        topic.needs_notice = true;
        tend_soon(who);
    }
    if (topic.events.empty() && !topic.needs_notice) in_flight_.erase(found);
}

bool Inboxes::has_notice_in_flight(std::string_view who) const {
    auto found = in_flight_.find(who);
    return found != in_flight_.end() &&
           std::ranges::any_of(found->second.events, &InFlight::is_notice);
}

void Inboxes::on_noticed(std::string const& who, EventLog::Recorded const& recorded) {
    std::vector<ReadDone> done;
    for (auto& event : in_flight_[who].events) {
        if (event.event.offset == recorded.offset) done = std::move(event.done);
    }
    if (!recorded.stored) retry_at_ = world_.clock().steady + kRetryPause;
    land(who, recorded.offset, recorded.stored);
    if (!recorded.stored) tend_soon(who);
    std::optional<InboxView> view;
    if (recorded.stored) view = look(who);
    for (auto const& told : done) told(view);
}

/// Records the state of the inbox as it is once this event is committed: what was placed before it
/// counts, although it is on its way.
void Inboxes::notice(Cached& cached, std::string_view type, std::uint64_t upto, ReadDone done) {
    auto now = world_.clock();
    auto who = cached.who;
    auto& topic = in_flight_[who];
    auto is_correction = std::exchange(topic.needs_notice, false);
    auto then = cached.inbox;
    for (auto& ahead : topic.events) {
        ahead.event.n = then.last_n() + 1;
        then.add(ahead.event);
        if (ahead.is_notice) then.read_upto(ahead.upto);
    }
    then.read_upto(upto);
    then.expire(now.wall);
    EventDraft draft;
    draft.topic = cached.topic;
    draft.type = type;
    draft.data = notice_data(then, cursor_text(then.mark()));
    // A clock that went back must not make it say that what has expired has not.
    now.wall = std::max(now.wall, then.last_expired());
    auto event = outline(draft);
    event.at = now.wall;
    std::optional<InboxMark> mark;
    if (upto > 0) mark = InboxMark{who, upto};
    event.offset = world_.log.record(
        std::move(draft), Need::now_or_never, now,
        [this, who](EventLog::Recorded const& recorded) { on_noticed(who, recorded); },
        std::move(mark));
    topic.events.push_back({std::move(event), upto, true, is_correction});
    if (done) topic.events.back().done.push_back(std::move(done));
}

Inboxes::Page Inboxes::messages(std::string_view who, Query const& query) {
    constexpr std::size_t kPageSize = 1'000;
    auto& cached = open(who);
    auto now = world_.clock().wall;
    refresh(cached, now);
    if (!cached.is_whole) return {.has_more = true, .is_stuck = true};
    auto topic = cached.topic;
    auto mark = cached.inbox.mark();
    auto const& unread = cached.inbox.messages();
    Page out;
    std::optional<std::map<std::string, std::uint64_t>> newest;
    auto stands = [&](Event const& event) {
        if (is_notice(event)) return false;
        if (query.unread_only || event.offset > mark) return unread.contains(event.offset);
        if (event.expires_at && *event.expires_at <= now) return false;
        if (event.collapse.empty()) return true;
        if (!newest) newest = newest_by_collapse(topic, event.offset - 1, out.is_stuck);
        auto found = newest->find(event.collapse);
        return found == newest->end() || found->second <= event.offset;
    };
    out.position = query.unread_only ? std::max(query.after, mark) : query.after;
    for (std::size_t looked_at = 0; looked_at < kLookedAtMax;) {
        auto page = world_.log.read(out.position, {topic}, kPageSize);
        looked_at += page.events.size();
        for (auto& event : page.events) {
            if (!stands(event->event())) continue;
            if (out.messages.size() == query.limit) {
                out.position = out.messages.back()->offset();
                out.has_more = true;
                return out;
            }
            out.messages.push_back(std::move(event));
        }
        out.position = page.position;
        out.is_stuck = out.is_stuck || page.is_stuck;
        if (out.is_stuck) break;
        if (page.is_end) return out;
    }
    out.has_more = true;
    return out;
}

std::map<std::string, std::uint64_t> Inboxes::newest_by_collapse(std::string const& topic,
                                                                 std::uint64_t after,
                                                                 bool& is_stuck) const {
    constexpr std::size_t kPageSize = 1'000;
    std::map<std::string, std::uint64_t> out;
    std::size_t looked_at = 0;
    for (auto goes_on = true; goes_on && looked_at < kLookedAtMax;) {
        auto page = world_.log.read(after, {topic}, kPageSize);
        looked_at += page.events.size();
        for (auto const& shared : page.events) {
            auto const& event = shared->event();
            if (!event.collapse.empty()) out[event.collapse] = event.offset;
        }
        after = page.position;
        goes_on = page.goes_on();
        is_stuck = is_stuck || page.is_stuck;
    }
    return out;
}

}  // namespace spoke::bridge
