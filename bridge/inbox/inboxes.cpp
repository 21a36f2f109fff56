#include "bridge/inbox/inboxes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "bridge/inbox/inbox_document.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;

constexpr auto kAllInboxes = "u/+/in";
constexpr auto kPosition = "inboxes";            // of the oldest message that will expire
constexpr std::uint64_t kPositionStep = 10'000;  // events between two writes of it
constexpr auto kPositionPause = 10s;
constexpr auto kRetentionPause = 1s;
constexpr auto kRetryPause = 1s;
constexpr int kTendedAtOnce = 100;

/// An inbox that nobody asks for is looked at this often, so that its mark follows.
constexpr std::uint64_t kLookEvery = 1'000;

}  // namespace

Inboxes::Inboxes(Settings settings, World world)
    : settings_(settings),
      world_(std::move(world)),
      filters_{kAllInboxes},
      expiries_(settings.expiries_max) {
    world_.log.follow(filters_, *this);
}

Inboxes::~Inboxes() {
    world_.log.unfollow(filters_, *this);
}

void Inboxes::restore() {
    position_ = world_.log.store().position(kPosition).value_or(0);
    scanned_to_ = position_;
    scan_end_ = world_.log.head_offset();
    world_.wake_at(world_.clock().steady);
}

bool Inboxes::has(std::string_view who) const {
    return world_.log.records(topic_of_inbox(who));
}

// The state of one.

Inboxes::Cached& Inboxes::open(std::string_view who) {
    if (auto found = cached_.find(who); found != cached_.end()) {
        list_.splice(list_.begin(), list_, found->second);
        if (!list_.front().is_whole) load(list_.front());
        return list_.front();
    }
    list_.push_front({std::string{who}, topic_of_inbox(who), {}, {settings_.limits, 0}});
    auto& cached = list_.front();
    cached_.emplace(cached.who, list_.begin());
    auto const& classes = world_.log.classes();
    auto found = std::ranges::find_if(
        classes, [&](auto const& c) { return mqtt::matches(c.filter, cached.topic); });
    if (found != classes.end()) {
        cached.event_class = static_cast<std::size_t>(found - classes.begin());
    }
    load(cached);
    return cached;
}

/// What was committed and told; the rest comes to on_event().
void Inboxes::load(Cached& cached) {
    constexpr std::size_t kPageSize = 1'000;
    ++counters_.loaded;
    cached.inbox = {settings_.limits, world_.log.store().inbox_mark(cached.who)};
    EventQuery query{cached.inbox.mark(), {cached.topic}, kPageSize};
    auto head = world_.log.head_offset();
    while (query.after < head) {
        auto page = world_.log.store().events(query);
        for (auto const& event : page.events) {
            if (event.offset <= head) cached.inbox.add(event);
        }
        if (page.scanned_to <= query.after) break;  // it cannot be read
        query.after = page.scanned_to;
    }
    cached.is_whole = query.after >= head;
    account(cached);
}

/// Makes room for it: those that were not asked for the longest go.
void Inboxes::account(Cached& cached) {
    auto bytes = cached.inbox.bytes() + 2 * cached.topic.size();
    cache_bytes_ += bytes - cached.bytes;
    cached.bytes = bytes;
    while (cache_bytes_ > settings_.cache_bytes_max && list_.size() > 1) {
        auto const& oldest = list_.back();
        cache_bytes_ -= oldest.bytes;
        cached_.erase(oldest.who);
        list_.pop_back();
    }
}

std::uint64_t Inboxes::removed_upto(std::optional<std::size_t> event_class) const {
    return event_class ? world_.log.store().removed_upto(*event_class) : 0;
}

void Inboxes::refresh(Cached& cached, WallTime now) {
    auto& inbox = cached.inbox;
    inbox.remove_upto(removed_upto(cached.event_class));
    inbox.expire(now);
    if (inbox.has_untold() && !has_notice_in_flight(cached.who)) tend_soon(cached.who);
}

std::string Inboxes::cursor_text(std::uint64_t offset) const {
    return Cursor{world_.log.epoch(), offset}.text();
}

InboxView Inboxes::look(std::string_view who) {
    auto& cached = open(who);
    refresh(cached, world_.clock().wall);
    return view_of(cached);
}

/// Empty if it cannot be read.
std::string Inboxes::document_at(std::uint64_t offset, Cached const& cached) const {
    EventLog::Page page;
    page.position = offset - 1;
    while (page.events.empty() && page.goes_on()) {
        page = world_.log.read(page.position, {cached.topic}, 1);
    }
    return page.events.empty() ? std::string{} : *page.events.front()->document();
}

InboxView const& Inboxes::view_of(Cached& cached) {
    auto const& inbox = cached.inbox;
    auto const& messages = inbox.messages();
    // Whoever goes on from there must not be told that it is too old.
    auto cursor = std::max(inbox.cursor(), removed_upto(cached.event_class));
    auto& view = cached.view;
    auto is_same = view.document && cached.view_cursor == cursor && view.unread == messages.size();
    if (is_same) return view;
    auto latest = messages.empty() ? std::string{} : document_at(messages.rbegin()->first, cached);
    if (!cached.is_whole || (latest.empty() && !messages.empty())) return view = {};
    cached.view_cursor = cursor;
    view.unread = messages.size();
    view.etag = fmt::format("\"{}-{}\"", cursor_text(cursor), view.unread);
    view.document =
        std::make_shared<std::string const>(inbox_document(inbox, latest, cursor_text(cursor)));
    return view;
}

void Inboxes::on_event(SharedEvent const& shared) {
    auto const& event = shared->event();
    auto name = inbox_of(event.topic);
    if (!name) return;
    std::string who{*name};
    auto is_word = is_notice(event);
    if (!is_word) land(who, event.offset, true);
    if (auto found = cached_.find(who); found != cached_.end()) {
        auto& cached = *found->second;
        cached.inbox.add(event);
        // It was committed together with the notice.
        if (is_word) cached.inbox.read_upto(world_.log.store().inbox_mark(who));
        auto is_to_tend = is_word || cached.inbox.wished_mark();
        account(cached);  // it may be the one that goes
        if (is_to_tend) tend_soon(who);
    } else if (event.n % kLookEvery == 0) {
        tend_soon(who);
    }
    if (event.expires_at && !is_word) {
        expiries_.add(who, *event.expires_at, event.offset);
        if (auto next = next_deadline()) world_.wake_at(*next);
    }
    wake(who);
}

// Those who wait.

std::optional<InboxWaits::Ticket> Inboxes::hold(InboxWait wait) {
    auto who = wait.who;
    auto ticket = waits_.add(std::move(wait));
    auto view = look(who);
    if (draining_) {
        if (auto ended = waits_.take(ticket)) ended->done(view);
        return std::nullopt;
    }
    for (auto& satisfied : waits_.take_satisfied(who, view)) satisfied.done(view);
    if (auto next = next_deadline()) world_.wake_at(*next);
    if (!waits_.has(ticket)) return std::nullopt;
    return ticket;
}

void Inboxes::let_go(InboxWaits::Ticket const& ticket) {
    if (auto wait = waits_.take(ticket)) wait->done(look(wait->who));
}

void Inboxes::wake(std::string const& who) {
    if (!waits_.has(who)) return;
    auto view = look(who);
    for (auto& wait : waits_.take_satisfied(who, view)) wait.done(view);
}

void Inboxes::drain() {
    draining_ = true;
    for (auto& wait : waits_.take_overdue(SteadyTime::max())) wait.done(look(wait.who));
    position_due_ = {};
    note_position();
}

// What is done later, and not in the middle of an event.

void Inboxes::tend_soon(std::string_view who) {
    if (to_tend_.contains(who)) return;
    to_tend_.emplace(who);
    world_.wake_at(retry_at_.value_or(world_.clock().steady));
}

void Inboxes::on_timer() {
    auto now = world_.clock();
    for (auto& wait : waits_.take_overdue(now.steady)) wait.done(look(wait.who));
    if (retry_at_ && *retry_at_ <= now.steady) retry_at_.reset();
    for (int i = 0; i < kTendedAtOnce && !to_tend_.empty() && !retry_at_; ++i) {
        tend(to_tend_.extract(to_tend_.begin()).value());
    }
    for (int i = 0; i < kTendedAtOnce; ++i) {
        auto who = expiries_.take_due(now.wall);
        if (!who) break;
        tend(*who);
    }
    if (scanned_to_ && scan_at_ <= now.steady) scan();
    note_position();
    if (waits_.size() == 0 || now.steady < retention_due_) return;
    retention_due_ = now.steady + kRetentionPause;
    for (auto const& who : waits_.names()) {
        auto found = cached_.find(who);
        if (found == cached_.end()) continue;
        auto& cached = *found->second;
        if (cached.inbox.remove_upto(removed_upto(cached.event_class))) wake(who);
    }
}

std::optional<SteadyTime> Inboxes::next_deadline() const {
    auto now = world_.clock();
    auto next = waits_.next_deadline();
    auto add = [&](SteadyTime when) { next = std::min(next.value_or(when), when); };
    if (!to_tend_.empty()) add(retry_at_.value_or(now.steady));
    if (scanned_to_) add(std::max(scan_at_, now.steady));
    if (waits_.size() > 0) add(std::max(retention_due_, now.steady));
    if (auto when = expiries_.next()) add(now.steady + std::max(*when - now.wall, 0ms));
    if (!scanned_to_ && world_.log.head_offset() >= position_ + kPositionStep) {
        add(std::max(position_due_, now.steady));
    }
    return next;
}

/// Its notices and its mark, and when it is to be looked at again.
void Inboxes::tend(std::string const& who) {
    auto& cached = open(who);
    if (!cached.is_whole) {
        retry_at_ = world_.clock().steady + kRetryPause;
        return tend_soon(who);
    }
    auto& inbox = cached.inbox;
    inbox.remove_upto(removed_upto(cached.event_class));
    inbox.expire(world_.clock().wall);
    if (auto mark = inbox.wished_mark()) {
        world_.log.store().append_events({}, InboxMark{who, *mark}, Need::now_or_never,
                                         [](bool) {});
        inbox.note_mark_kept();
    }
    auto in_flight = in_flight_.find(who);
    auto is_wrong = in_flight != in_flight_.end() && in_flight->second.needs_notice;
    if ((inbox.has_untold() || is_wrong) && !has_notice_in_flight(who)) {
        if (inbox.has_untold()) ++counters_.expired;
        notice(cached, inbox.has_untold() ? kExpiredType : kReadType, inbox.mark(), {});
    }
    auto const& messages = inbox.messages();
    expiries_.set(who, inbox.next_expiry(), messages.empty() ? 0 : messages.begin()->first);
    account(cached);
    wake(who);
}

/// Goes on with the search for messages that will expire.
void Inboxes::scan() {
    constexpr std::size_t kPageSize = 1'000;
    auto page = world_.log.read(*scanned_to_, filters_, kPageSize);
    for (auto const& shared : page.events) {
        auto const& event = shared->event();
        auto who = inbox_of(event.topic);
        if (!who || !event.expires_at || is_notice(event)) continue;
        expiries_.add(*who, *event.expires_at, event.offset);
    }
    scanned_to_ = page.position;
    scan_at_ = page.is_stuck ? world_.clock().steady + kRetryPause : SteadyTime{};
    if (page.is_end || page.position >= scan_end_) scanned_to_.reset();
}

/// Where the search begins after the next start.
void Inboxes::note_position() {
    auto now = world_.clock().steady;
    if (scanned_to_ || now < position_due_) return;
    position_due_ = now + kPositionPause;
    auto oldest = expiries_.oldest();
    auto position =
        oldest ? *oldest - std::min<std::uint64_t>(*oldest, 1) : world_.log.head_offset();
    if (position == position_) return;
    position_ = position;
    world_.log.store().put_position(kPosition, position);
}

}  // namespace spoke::bridge
