#include "bridge/service/feed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bridge/event/event_time.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::bridge {
namespace {

constexpr std::string_view kPosition = "feed";
constexpr std::chrono::seconds kAskEvery{1};

/// Whether the same message would be refused again whatever happens to the connection.
bool is_for_good(mqtt::NotSent cause) {
    return cause == mqtt::NotSent::too_large || cause == mqtt::NotSent::topic_invalid ||
           cause == mqtt::NotSent::property_invalid;
}

bool is_copied_to_its_topic(Event const& event) {
    return !event.from_broker && event.type != "command";
}

}  // namespace

mqtt::Publish message_of(LoggedEvent const& logged, std::string topic) {
    auto const& event = logged.event();
    mqtt::Publish out;
    out.topic = std::move(topic);
    out.payload = to_buffer(payload_of(event));
    out.qos = mqtt::Qos::at_least_once;
    auto& properties = out.properties.user_properties;
    properties.push_back({"id", logged.id()});
    properties.push_back({"n", std::to_string(event.n)});
    if (!event.type.empty()) properties.push_back({"type", event.type});
    properties.push_back({"at", event_time(event.at)});
    return out;
}

Feed::Feed(Settings settings, World world)
    : settings_(std::move(settings)), world_(std::move(world)) {
    auto& store = world_.log.store();
    auto known = store.position(kPosition);
    position_ = std::min(known.value_or(world_.log.head_offset()), world_.log.head_offset());
    if (settings_.prefix.empty()) {
        // Whoever switches it on again does not get all that was recorded meanwhile.
        store.erase_position(kPosition);
    } else if (!known) {
        store.put_position(std::string{kPosition}, position_);
    }
}

void Feed::on_broker(bool ready) {
    if (settings_.prefix.empty()) return;
    ++run_;
    reader_.reset();
    sent_.clear();
    taken_.clear();
    firsts_.clear();
    asked_.clear();
    skip_.clear();
    ask_at_.reset();
    is_idle_ = false;
    nobody_ = 0;
    is_telling_loss_ = false;
    if (!ready) return;
    auto removed = world_.log.removed_upto({"#"});
    if (position_ != 0 && removed > position_) loss_ = removed;
    begin(position_);
}

void Feed::begin(std::uint64_t after) {
    taken_.clear();
    reader_ = std::make_unique<LogReader>(world_.log, std::vector<std::string>{"#"}, after,
                                          [this] { pump(); });
    pump();
}

void Feed::pump() {
    constexpr std::size_t kRounds = 4;  // of reading; then others have their turn
    tell_loss();
    for (std::size_t round = 0; reader_ && round < kRounds;) {
        while (!taken_.empty() && sent_.size() < settings_.window) {
            auto event = taken_.front();
            if (skip_.erase(event->offset()) == 0) {
                if (is_idle_ && !is_copied_to_its_topic(event->event())) {
                    keep_back(event);
                    if (!is_idle_) return;  // and everything begins anew
                } else if (send(event, false)) {
                    if (is_idle_ && kept_from_ != 0) skip_.insert(event->offset());
                } else {
                    return;
                }
            }
            taken_.pop_front();
        }
        if (!taken_.empty()) return;
        auto taken = reader_->take(settings_.window);
        if (taken.has_lost) loss_ = taken.begin(*reader_);
        std::ranges::move(taken.events, std::back_inserter(taken_));
        if (taken_.empty() && taken.is_end) return note_position();
        if (++round == kRounds) world_.wake_at(world_.clock().steady);
    }
}

void Feed::tell_loss() {
    if (!loss_ || is_telling_loss_) return;
    Cursor cursor{world_.log.epoch(), *loss_};
    mqtt::Publish message;
    message.topic = settings_.prefix + "/$reset";
    message.payload = to_buffer(fmt::format(R"({{"reason":"{}","cursor":"{}"}})",
                                            name_of(CursorProblem::too_old), cursor.text()));
    message.qos = mqtt::Qos::at_least_once;
    message.properties.user_properties.push_back({"reset", cursor.text()});
    auto done = [this, told = *loss_, run = run_](mqtt::PublishOutcome const& outcome) {
        if (run != run_) return;
        is_telling_loss_ = false;
        if (outcome.status == mqtt::PublishStatus::acknowledged && loss_ == told) loss_.reset();
    };
    auto cause = world_.uplink.publish(message, std::nullopt, std::move(done));
    is_telling_loss_ = cause == mqtt::NotSent::none;
}

/// False: the broker takes no more for now.
bool Feed::send(SharedEvent const& event, bool is_probe) {
    auto offset = event->offset();
    sent_.push_back({offset, 0, is_probe});
    auto const& topic = event->event().topic;
    if (!publish(event, fmt::format("{}/{}", settings_.prefix, topic), true)) {
        sent_.pop_back();
        return false;
    }
    if (!is_probe && is_copied_to_its_topic(event->event())) {
        // If there is no room for this one, it comes with the event's second turn.
        if (!publish(event, topic, false)) {
            sent_.pop_back();
            return false;
        }
    }
    ++counters_.published;
    if (sent_.back().open == 0) sent_.pop_back();  // neither can ever be sent
    return true;
}

bool Feed::publish(SharedEvent const& event, std::string topic, bool is_feed) {
    auto offset = event->offset();
    auto done = [this, offset, is_feed, run = run_](mqtt::PublishOutcome const& outcome) {
        if (run == run_) on_answer(offset, is_feed, outcome);
    };
    auto cause =
        world_.uplink.publish(message_of(*event, std::move(topic)), std::nullopt, std::move(done));
    if (cause == mqtt::NotSent::none) ++sent_.back().open;
    return cause == mqtt::NotSent::none || is_for_good(cause);
}

void Feed::on_answer(std::uint64_t offset, bool is_feed, mqtt::PublishOutcome const& outcome) {
    auto is_answered = outcome.status == mqtt::PublishStatus::acknowledged ||
                       outcome.status == mqtt::PublishStatus::refused;
    // Else the connection is gone, and everything begins anew with the next.
    if (!is_answered) return;
    auto found = std::ranges::find(sent_, offset, &Sent::offset);
    if (found == sent_.end()) return;
    --found->open;
    auto is_asked = found->is_probe && asked_.erase(offset) > 0;
    while (!sent_.empty() && sent_.front().open == 0) sent_.pop_front();
    if (is_feed) {
        auto is_nobody = outcome.reason == mqtt::ReasonCode::no_matching_subscribers;
        is_nobody ? on_nobody() : on_listener();
    }
    if (is_asked && is_idle_ && asked_.empty()) end_of_asking();
    pump();
    note_position();
}

void Feed::on_nobody() {
    ++nobody_;
    if (is_idle_ || nobody_ < settings_.window) return;
    is_idle_ = true;
    firsts_.clear();
    asked_.clear();
    kept_from_ = 0;
}

/// What was kept back is sent now, but not what was published to ask.
void Feed::on_listener() {
    nobody_ = 0;
    if (!std::exchange(is_idle_, false)) return;
    ask_at_.reset();
    if (kept_from_ == 0) return;
    for (auto const& sent : sent_) skip_.insert(sent.offset);
    firsts_.clear();
    auto after = std::exchange(kept_from_, 0) - 1;
    begin(after);
}

void Feed::keep_back(SharedEvent const& event) {
    ++counters_.kept_back;
    if (kept_from_ == 0) kept_from_ = event->offset();
    auto const& topic = event->event().topic;
    auto is_known = firsts_.contains(topic);
    if (!is_known && firsts_.size() == kTopicsMax) {
        // Too many topics to ask for each.
        --counters_.kept_back;
        nobody_ = 0;
        on_listener();
        return;
    }
    if (!is_known) firsts_.emplace(topic, event);
    if (!ask_at_ && asked_.empty()) {
        ask_at_ = world_.clock().steady + kAskEvery;
        world_.wake_at(*ask_at_);
    }
}

void Feed::on_timer(Now const& now) {
    if (ask_at_ && *ask_at_ <= now.steady) ask_again();
    pump();
}

void Feed::ask_again() {
    ask_at_.reset();
    if (!is_idle_ || !reader_) return;
    for (auto const& [topic, event] : firsts_) {
        if (!send(event, true)) {
            on_listener();  // asked in vain: all of them are sent in their turn
            return;
        }
        asked_.insert(event->offset());
        skip_.insert(event->offset());
    }
    firsts_.clear();
}

/// Nobody was there for any of the topics: what was kept back until it was asked is of no use.
void Feed::end_of_asking() {
    kept_from_ = 0;
    for (auto const& [topic, event] : firsts_) {
        kept_from_ = kept_from_ == 0 ? event->offset() : std::min(kept_from_, event->offset());
    }
    auto is_needed = kept_from_ == 0 ? skip_.end() : skip_.lower_bound(kept_from_);
    skip_.erase(skip_.begin(), is_needed);
    if (firsts_.empty()) return;
    ask_at_ = world_.clock().steady + kAskEvery;
    world_.wake_at(*ask_at_);
}

void Feed::note_position() {
    if (!reader_) return;
    auto upto = taken_.empty() ? reader_->position() : taken_.front()->offset() - 1;
    if (!sent_.empty()) upto = std::min(upto, sent_.front().offset - 1);
    if (is_idle_ && kept_from_ != 0) upto = std::min(upto, kept_from_ - 1);
    if (upto <= position_) return;
    position_ = upto;
    world_.log.store().put_position(std::string{kPosition}, position_);
}

}  // namespace spoke::bridge
