#include "bridge/event/event_log.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

std::string key_of(std::string_view topic, std::string_view key) {
    std::string out{topic};
    out.push_back('\n');
    out.append(key);
    return out;
}

bool matches_one(std::vector<std::string> const& filters, std::string_view topic) {
    return std::ranges::any_of(filters,
                               [&](auto const& filter) { return mqtt::matches(filter, topic); });
}

bool overlaps_one(std::vector<std::string> const& filters, std::string_view other) {
    return std::ranges::any_of(filters,
                               [&](auto const& filter) { return mqtt::overlap(filter, other); });
}

}  // namespace

std::string_view name_of(CursorProblem problem) noexcept {
    switch (problem) {
        case CursorProblem::malformed:
            return "malformed";
        case CursorProblem::other_epoch:
            return "epoch";
        case CursorProblem::future:
            return "future";
        case CursorProblem::too_old:
            return "too-old";
    }
    return "malformed";
}

EventLog::EventLog(Settings settings, EventStore& store)
    : settings_(std::move(settings)),
      store_(store),
      tail_after_(store.last_offset()),
      head_(tail_after_),
      last_placed_(tail_after_),
      topics_full_(settings_.topics_max) {}

bool EventLog::records(std::string_view topic) const noexcept {
    return std::ranges::any_of(settings_.classes,
                               [&](auto const& c) { return mqtt::matches(c.filter, topic); });
}

std::uint64_t EventLog::record(EventDraft draft, Need need, Now const& now, Done done,
                               std::optional<InboxMark> mark) {
    std::string key;
    if (!draft.key.empty()) {
        key = key_of(draft.topic, draft.key);
        // The other one's end is this one's.
        if (auto found = keys_in_flight_.find(key); found != keys_in_flight_.end()) {
            ++counters_.repeated;
            joined_[found->second.offset].push_back(std::move(done));
            return 0;
        }
        if (auto earlier = store_.find_event(draft.topic, draft.key)) {
            ++counters_.repeated;
            Recorded recorded{true, true, earlier->offset};
            store_.append_events({}, std::move(mark), need,
                                 [done = std::move(done), recorded](bool stored) mutable {
                                     recorded.stored = stored;
                                     if (done) done(recorded);
                                 });
            return 0;
        }
    }
    auto event = place(std::move(draft), now);
    auto offset = event.offset;
    if (!key.empty()) keys_in_flight_.emplace(key, event);
    store_.append_events(
        {event}, std::move(mark), need,
        [this, event, key = std::move(key), done = std::move(done)](bool stored) mutable {
            auto at = event.offset;
            if (!key.empty()) keys_in_flight_.erase(key);
            std::vector<Event> events;
            events.push_back(std::move(event));
            on_written(std::move(events), stored);
            if (done) done({stored, false, at});
            settle_joined(at, stored);
        });
    return offset;
}

std::optional<Event> EventLog::find(std::string const& topic, std::string const& key) const {
    if (key.empty()) return std::nullopt;
    auto found = keys_in_flight_.find(key_of(topic, key));
    if (found != keys_in_flight_.end()) return found->second;
    return store_.find_event(topic, key);
}

bool EventLog::join(std::string const& topic, std::string const& key, Done done) {
    auto found = keys_in_flight_.find(key_of(topic, key));
    if (found == keys_in_flight_.end()) return false;
    joined_[found->second.offset].push_back(std::move(done));
    return true;
}

void EventLog::settle_joined(std::uint64_t offset, bool stored) {
    auto joined = joined_.extract(offset);
    if (joined.empty()) return;
    for (auto& other : joined.mapped()) {
        if (other) other({stored, true, offset});
    }
}

/// Drafts that are answered together.
struct EventLog::Batch {
    std::vector<Recorded> answers{};
    std::size_t open = 0;  // not answered yet
    AllDone done{};
};

void EventLog::settle(Batch& batch, std::size_t index, Recorded const& recorded) {
    batch.answers[index] = recorded;
    if (--batch.open == 0 && batch.done) batch.done(batch.answers);
}

std::vector<std::uint64_t> EventLog::record_all(std::vector<EventDraft> drafts, Need need,
                                                Now const& now, AllDone done) {
    auto batch = std::make_shared<Batch>();
    batch->answers.resize(drafts.size());
    batch->open = drafts.size() + 1;  // one for the write, so that it is not done before
    batch->answers.emplace_back();
    batch->done = [done = std::move(done)](std::vector<Recorded> const& answers) {
        if (done) done({answers.begin(), answers.end() - 1});
    };
    std::vector<std::uint64_t> places(drafts.size());
    std::vector<Event> events;
    std::vector<std::size_t> indexes;
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < drafts.size(); ++i) {
        auto key = drafts[i].key.empty() ? std::string{} : key_of(drafts[i].topic, drafts[i].key);
        if (auto found = keys_in_flight_.find(key);
            !key.empty() && found != keys_in_flight_.end()) {
            ++counters_.repeated;
            joined_[found->second.offset].push_back(
                [batch, i](Recorded const& recorded) { settle(*batch, i, recorded); });
            continue;
        }
        auto earlier =
            key.empty() ? std::nullopt : store_.find_event(drafts[i].topic, drafts[i].key);
        if (earlier) {
            ++counters_.repeated;
            settle(*batch, i, {true, true, earlier->offset});
            continue;
        }
        events.push_back(place(std::move(drafts[i]), now));
        indexes.push_back(i);
        places[i] = events.back().offset;
        if (!key.empty()) keys_in_flight_.emplace(key, events.back());
        keys.push_back(std::move(key));
    }
    auto copies = events;
    store_.append_events(std::move(copies), {}, need,
                         [this, batch, events = std::move(events), indexes = std::move(indexes),
                          keys = std::move(keys)](bool stored) mutable {
                             std::vector<std::uint64_t> offsets;
                             for (auto const& event : events) offsets.push_back(event.offset);
                             for (auto const& key : keys) keys_in_flight_.erase(key);
                             on_written(std::move(events), stored);
                             for (std::size_t i = 0; i < offsets.size(); ++i) {
                                 settle(*batch, indexes[i], {stored, false, offsets[i]});
                             }
                             settle(*batch, batch->answers.size() - 1, {stored, false, 0});
                             for (auto offset : offsets) settle_joined(offset, stored);
                         });
    return places;
}

Event EventLog::place(EventDraft draft, Now const& now) {
    Event event;
    static_cast<EventDraft&>(event) = std::move(draft);
    event.offset = ++last_placed_;
    event.n = next_n(event.topic);
    event.at = now.wall;
    return event;
}

std::uint64_t EventLog::next_n(std::string const& topic) {
    auto found = last_n_.find(std::string_view{topic});
    if (found == last_n_.end()) {
        if (last_n_.size() >= topics_full_) forget_topics();
        found = last_n_.emplace(topic, Number{store_.last_n(topic)}).first;
    }
    ++found->second.in_flight;
    return ++found->second.last;
}

/// What the store knows as well; what is in flight it does not.
void EventLog::forget_topics() {
    std::erase_if(last_n_, [](auto const& item) { return item.second.in_flight == 0; });
    topics_full_ = std::max(settings_.topics_max, 2 * last_n_.size());
}

void EventLog::on_written(std::vector<Event> events, bool stored) {
    for (auto& event : events) {
        auto number = last_n_.find(std::string_view{event.topic});
        auto is_last = --number->second.in_flight == 0;
        if (stored) {
            publish(std::move(event));
            continue;
        }
        ++counters_.refused;
        // Its number is free again, unless a later one is on its way.
        if (is_last) last_n_.erase(number);
    }
    trim();
}

void EventLog::publish(Event event) {
    ++counters_.recorded;
    head_ = event.offset;
    auto shared = std::make_shared<LoggedEvent const>(std::move(event), store_.epoch());
    tail_.push_back(shared);
    tail_bytes_ += shared->bytes();
    matched_.clear();
    index_.match(shared->event().topic, matched_);
    std::ranges::sort(matched_);
    matched_.erase(std::ranges::unique(matched_).begin(), matched_.end());
    // Whoever unfollows meanwhile is taken out by unfollow().
    for (std::size_t i = 0; i < matched_.size(); ++i) {
        if (matched_[i] != nullptr) matched_[i]->on_event(shared);
    }
    matched_.clear();
}

void EventLog::trim() {
    while (tail_.size() > settings_.tail_events_max || tail_bytes_ > settings_.tail_bytes_max) {
        tail_bytes_ -= tail_.front()->bytes();
        tail_after_ = tail_.front()->offset();
        tail_.pop_front();
    }
}

bool EventLog::tail_reaches(std::uint64_t after) const noexcept {
    return after >= tail_after_;
}

std::variant<std::uint64_t, CursorProblem> EventLog::locate(
    std::string_view text, std::vector<std::string> const& filters) const {
    // Behind the tail's begin nothing is missing either. What is older of one topic than that which
    // is missing of another would lead to places that nobody can go on from.
    if (text == "oldest") return std::min(removed_upto(filters), tail_after_);
    auto cursor = Cursor::parse(text);
    if (!cursor) return CursorProblem::malformed;
    if (cursor->epoch != store_.epoch()) return CursorProblem::other_epoch;
    if (cursor->offset > head_) return CursorProblem::future;
    if (tail_reaches(cursor->offset)) return cursor->offset;
    if (removed_upto(filters) > cursor->offset) return CursorProblem::too_old;
    return cursor->offset;
}

std::uint64_t EventLog::removed_upto(std::vector<std::string> const& filters) const {
    auto const& classes = settings_.classes;
    std::uint64_t out = 0;
    for (std::size_t i = 0; i <= classes.size(); ++i) {
        // Behind the last: events of no class, which may be of any topic.
        auto is_wanted = i == classes.size() || overlaps_one(filters, classes[i].filter);
        if (is_wanted) out = std::max(out, store_.removed_upto(i));
    }
    return out;
}

EventLog::Page EventLog::read(std::uint64_t after, std::vector<std::string> const& filters,
                              std::size_t limit) const {
    Page page;
    if (!tail_reaches(after)) {
        auto found = store_.events({after, filters, limit});
        page.events.reserve(found.events.size());
        for (auto& event : found.events) {
            // Committed, but its turn to be told has not come: it will be.
            if (event.offset > head_) break;
            page.events.push_back(
                std::make_shared<LoggedEvent const>(std::move(event), store_.epoch()));
        }
        page.position = std::min(std::max(found.scanned_to, after), head_);
        page.is_end = page.position == head_;
        page.is_stuck = page.position == after;
        page.removed_upto = removed_upto(filters);  // behind the read: what it missed is in it
        return page;
    }
    auto at = std::ranges::upper_bound(tail_, after, {}, &LoggedEvent::offset);
    constexpr std::size_t kScanMax = 4'000;
    std::size_t scanned = 0;
    page.position = after;
    for (; at != tail_.end() && page.events.size() < limit && scanned < kScanMax; ++at, ++scanned) {
        page.position = (*at)->offset();
        if (matches_one(filters, (*at)->event().topic)) page.events.push_back(*at);
    }
    page.is_end = at == tail_.end();
    if (page.is_end) page.position = head_;
    return page;
}

std::uint64_t EventLog::last_matching(std::vector<std::string> const& filters) const {
    constexpr std::size_t kScanMax = 4'000;
    std::size_t scanned = 0;
    for (auto at = tail_.rbegin(); at != tail_.rend() && scanned < kScanMax; ++at, ++scanned) {
        if (matches_one(filters, (*at)->event().topic)) return (*at)->offset();
    }
    return scanned == 0 ? head_ : tail_[tail_.size() - scanned]->offset() - 1;
}

void EventLog::follow(std::vector<std::string> const& filters, EventFollower& follower) {
    for (auto const& filter : filters) index_.add(filter, &follower);
}

void EventLog::unfollow(std::vector<std::string> const& filters, EventFollower& follower) {
    for (auto const& filter : filters) index_.remove(filter, &follower);
    std::ranges::replace(matched_, &follower, static_cast<EventFollower*>(nullptr));
}

}  // namespace spoke::bridge
