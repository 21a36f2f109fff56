#include "device-sim/watch/watch_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;
using boost::system::error_code;

constexpr Millis kAgainMin{20};
constexpr Millis kAgainMax{1'500};
constexpr Millis kSlowMin{1'000};
constexpr Millis kSlowMax{15'000};
constexpr std::size_t kHalfOpenMax = 3;
constexpr std::uint64_t kFlawEvery = 50;
constexpr std::uint32_t kDoublingsMax = 6;

}  // namespace

WatchReader::WatchReader(boost::asio::io_context& context, mqtt::LinkHub& hub,
                         ReadingOptions const& options, WatchFaultPlan const& faults,
                         WatchJudge& judge, ReaderTally& tally, ReaderRole role)
    : context_(context),
      hub_(hub),
      options_(options),
      faults_(faults),
      judge_(judge),
      tally_(tally),
      role_(std::move(role)),
      reader_(judge.add_reader(role_.name, role_.filters, role_.start)),
      dice_(role_.seed),
      cursor_(role_.start.text()),
      read_timer_(context),
      fault_timer_(context),
      slow_timer_(context) {}

void WatchReader::start() {
    read();
}

void WatchReader::read() {
    auto wish = next_wish();
    judge_.on_begin(reader_, wanted_reset(wish));
    reading_ = make_reading(role_.way, context_, hub_, options_, std::move(wish), *this);
    reading_->start();
}

ReadingWish WatchReader::next_wish() {
    ReadingWish wish;
    wish.filters = role_.filters;
    wish.since = bad_ ? bad_cursor_ : cursor_;
    wish.client_id = fmt::format("{}{}-{}", options_.client_prefix, role_.name, ++connection_);
    wish.asks_by_header = dice_.chance(0.5);
    wish.seed = dice_.next();
    wish.subscribes = !is_calm_ && dice_.chance(0.5);
    if (bad_ != BadCursor::too_old) return wish;
    // What it is too old for is this topic, in which nothing comes any more.
    wish.filters.push_back(role_.forgotten->topic());
    wish.subscribes = false;
    return wish;
}

/// Over a WebSocket it is told for each topic by itself.
std::optional<WantedReset> WatchReader::wanted_reset(ReadingWish const& wish) const {
    if (!bad_) return std::nullopt;
    WantedReset wanted{std::string{to_text(*bad_)}};
    if (role_.way == Way::websocket) wanted.topics = {wish.filters.begin(), wish.filters.end()};
    return wanted;
}

void WatchReader::take_bad_cursor() {
    auto is_old = role_.forgotten != nullptr && role_.forgotten->is_old();
    bad_ = kBadCursors[dice_.next() % (kBadCursors.size() - (is_old ? 0 : 1))];
    bad_cursor_ = make_bad_cursor(*bad_, role_.start, dice_);
}

void WatchReader::read_after(Millis delay) {
    read_timer_.expires_after(delay);
    read_timer_.async_wait([this](error_code error) {
        if (!error && !is_stopped_) read();
    });
}

void WatchReader::count_reading(bool begins) {
    if (std::exchange(is_connected_, begins) == begins) return;
    auto& count = tally_.reading[static_cast<std::size_t>(role_.way)];
    begins ? ++count : --count;
}

void WatchReader::leave(Leave how) {
    slow_timer_.cancel();
    if (!reading_) return;
    count_reading(false);
    reading_->leave(how);
    auto left = std::exchange(reading_, nullptr);
    if (how != Leave::silent) return;
    half_open_.push_back(std::move(left));
    if (half_open_.size() > kHalfOpenMax) half_open_.pop_front();
}

void WatchReader::stop() {
    is_stopped_ = true;
    read_timer_.cancel();
    fault_timer_.cancel();
    leave(Leave::fin);
    half_open_.clear();
}

// ---- what it is told ----

void WatchReader::on_connected() {
    ++tally_.connections;
    count_reading(true);
    judge_.on_connected(reader_);
}

void WatchReader::on_event(SeenEvent const& event) {
    failures_ = 0;
    bad_.reset();
    ++tally_.told[static_cast<std::size_t>(role_.way)];
    // What comes again, as MQTT may bring it, must not lead back.
    auto last = Place::parse(cursor_);
    if (!last || event.place.offset > last->offset) cursor_ = event.place.text();
    bool may_be_struck = role_.flaw != ReaderFlaw::none && role_.flaw != ReaderFlaw::hides;
    bool is_struck = may_be_struck && ++events_ % kFlawEvery == 0;
    if (role_.flaw == ReaderFlaw::swaps && !kept_back_.topic.empty()) {
        tell(event);
        return tell(std::exchange(kept_back_, {}));
    }
    if (!is_struck) return tell(event);
    if (role_.flaw == ReaderFlaw::swaps) kept_back_ = event;
    if (role_.flaw != ReaderFlaw::doubles) return;
    tell(event);
    tell(event);
}

void WatchReader::tell(SeenEvent const& event) {
    auto repeats =
        role_.way == Way::mqtt ? WatchJudge::Repeats::after_failures : WatchJudge::Repeats::never;
    judge_.on_event(reader_, event, repeats, read_clocks().wall);
}

void WatchReader::on_cursor(std::string const& cursor) {
    failures_ = 0;
    bad_.reset();
    cursor_ = cursor;
    judge_.on_cursor(reader_);
}

void WatchReader::on_hello(HelloNote const& note) {
    judge_.on_hello(reader_, note);
}

void WatchReader::on_reset(ResetNote const& note) {
    if (std::exchange(bad_, std::nullopt)) {
        ++tally_.resets[static_cast<std::size_t>(role_.way)];
        ++tally_.reset_why[note.reason];
    }
    cursor_ = note.cursor;
    if (role_.flaw == ReaderFlaw::hides) return;
    judge_.on_reset(reader_, note, read_clocks().wall);
}

void WatchReader::on_over(std::string const& why, Millis wait) {
    count_reading(false);
    slow_timer_.cancel();
    // Its own shared pointer is held by whatever calls this.
    reading_.reset();
    ++tally_.over;
    auto key = fmt::format("{}: {}", to_text(role_.way), why);
    if (tally_.why.size() < ReaderTally::kWhyMax || tally_.why.contains(key)) ++tally_.why[key];
    failures_ = std::min(failures_ + 1, kDoublingsMax);
    auto longest = std::min(kAgainMax, kAgainMin * (1 << failures_));
    read_after(std::max(dice_.between(kAgainMin, longest), std::min(wait, kAgainMax)));
}

// ---- faults ----

void WatchReader::begin_faults() {
    wait_for_fault();
}

void WatchReader::wait_for_fault() {
    auto blow = faults_.draw(dice_);
    if (!blow) return;
    fault_timer_.expires_after(blow->after);
    fault_timer_.async_wait([this, fault = blow->fault](error_code error) {
        if (error || is_stopped_) return;
        strike(fault);
        wait_for_fault();
    });
}

void WatchReader::strike(WatchFault fault) {
    if (!reading_) return;
    tally_.faults.add(fault);
    switch (fault) {
        case WatchFault::cut:
            leave(Leave::fin);
            break;
        case WatchFault::rst:
            leave(Leave::rst);
            break;
        case WatchFault::vanish:
            leave(Leave::silent);
            break;
        case WatchFault::slow:
            reading_->hold(true);
            slow_timer_.expires_after(dice_.between(kSlowMin, kSlowMax));
            slow_timer_.async_wait([this](error_code error) {
                if (!error && reading_) reading_->hold(false);
            });
            return;
        case WatchFault::change: {
            leave(Leave::fin);
            auto others = kWays.size() - 1;
            auto step = 1 + static_cast<std::size_t>(dice_.next() % others);
            role_.way = kWays[(static_cast<std::size_t>(role_.way) + step) % kWays.size()];
            break;
        }
        case WatchFault::cursor:
            leave(Leave::fin);
            take_bad_cursor();
            break;
    }
    read_after(dice_.between(kAgainMin, kAgainMax));
}

void WatchReader::calm() {
    fault_timer_.cancel();
    slow_timer_.cancel();
    is_calm_ = true;
    if (!reading_) return;
    reading_->hold(false);
    if (role_.way != Way::websocket) return;
    // What it keeps back while a topic is missing it would keep until something new comes.
    leave(Leave::fin);
    read_after(kAgainMin);
}

}  // namespace spoke::sim
