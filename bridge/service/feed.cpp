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
constexpr std::chrono::milliseconds kTryAgain{100};
constexpr std::chrono::seconds kReadAgain{1};

/// Of the log, that is no loss: also whoever has had nothing yet is owed all of it.
constexpr std::uint64_t kNothingRemoved = 0;

/// Whether the same message would be refused again whatever happens to the connection.
bool is_for_good(mqtt::NotSent cause) {
    return cause == mqtt::NotSent::too_large || cause == mqtt::NotSent::topic_invalid ||
           cause == mqtt::NotSent::property_invalid;
}

/// Else the connection is gone, and everything begins anew with the next.
bool is_answer(mqtt::PublishOutcome const& outcome) {
    return outcome.status == mqtt::PublishStatus::acknowledged ||
           outcome.status == mqtt::PublishStatus::refused;
}

bool is_nobody(mqtt::PublishOutcome const& outcome) {
    return outcome.reason == mqtt::ReasonCode::no_matching_subscribers;
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
    copied_.clear();
    forget_idle();
    is_idle_ = false;
    nobody_ = 0;
    is_telling_loss_ = false;
    if (ready) begin(position_);
}

void Feed::begin(std::uint64_t after) {
    taken_.clear();
    reader_ = std::make_unique<LogReader>(
        world_.log, std::vector<std::string>{"#"}, after, [this] { pump(); }, kNothingRemoved);
    pump();
}

void Feed::pump() {
    constexpr std::size_t kRounds = 4;  // of reading; then others have their turn
    tell_loss();
    for (std::size_t round = 0; reader_ && round < kRounds;) {
        while (!taken_.empty() && sent_.size() < settings_.window) {
            auto event = taken_.front();
            // If not, there is no room, or everything has begun anew.
            if (!(is_idle_ ? keep_back(event) : send(event))) {
                // No answer is to come that would go on: others have filled the way to the broker.
                if (sent_.empty()) world_.wake_at(world_.clock().steady + kTryAgain);
                return;
            }
            taken_.pop_front();
        }
        if (!taken_.empty()) return;
        auto taken = reader_->take(settings_.window);
        if (taken.has_lost) {
            loss_ = taken.usable(*reader_);
            tell_loss();
        }
        std::ranges::move(taken.events, std::back_inserter(taken_));
        if (taken_.empty() && taken.is_end) return note_position();
        if (taken.is_stuck) return world_.wake_at(world_.clock().steady + kReadAgain);
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
        if (is_answer(outcome) && loss_ == told) loss_.reset();
        note_position();
    };
    auto cause = world_.uplink.publish(message, std::nullopt, std::move(done));
    is_telling_loss_ = cause == mqtt::NotSent::none;
    if (is_for_good(cause)) loss_.reset();
}

/// False: the broker takes no more for now.
bool Feed::send(SharedEvent const& event) {
    sent_.push_back({event->offset()});
    auto const& topic = event->event().topic;
    // If there is no room for the second one, both come with the event's next turn.
    auto is_sent = publish(event, fmt::format("{}/{}", settings_.prefix, topic), true) &&
                   copy_to_its_topic(event);
    // Or neither can ever be sent.
    if (!is_sent || sent_.back().open == 0) sent_.pop_back();
    if (is_sent) ++counters_.published;
    return is_sent;
}

/// Once for each event, also where the feed goes back.
bool Feed::copy_to_its_topic(SharedEvent const& event) {
    if (!is_copied_to_its_topic(event->event())) return true;
    if (copied_.erase(event->offset()) > 0) return true;
    return publish(event, event->event().topic, false);
}

bool Feed::publish(SharedEvent const& event, std::string topic, bool is_feed) {
    auto offset = event->offset();
    auto done = [this, offset, is_feed, run = run_](mqtt::PublishOutcome const& outcome) {
        if (run == run_) on_answer(offset, is_feed, outcome);
    };
    auto message = message_of(*event, std::move(topic));
    // Whoever reads the topic itself takes what comes there for a message as it was meant.
    auto cause = is_feed ? publish_event(world_.uplink, std::move(message), done)
                         : world_.uplink.publish(message, std::nullopt, done);
    if (cause == mqtt::NotSent::none) ++sent_.back().open;
    if (is_feed && is_for_good(cause)) {
        loss_ = std::max(loss_.value_or(0), offset);
        tell_loss();
    }
    return cause == mqtt::NotSent::none || is_for_good(cause);
}

void Feed::on_answer(std::uint64_t offset, bool is_feed, mqtt::PublishOutcome const& outcome) {
    if (!is_answer(outcome)) return;
    // One that was kept back and is sent now stands there twice.
    auto found = std::ranges::find_if(
        sent_, [offset](Sent const& sent) { return sent.offset == offset && sent.open > 0; });
    if (found == sent_.end()) return;
    --found->open;
    while (!sent_.empty() && sent_.front().open == 0) sent_.pop_front();
    if (is_feed) is_nobody(outcome) ? on_nobody() : on_listener();
    pump();
    note_position();
}

void Feed::on_nobody() {
    ++nobody_;
    if (is_idle_ || nobody_ < settings_.window) return;
    is_idle_ = true;
    forget_idle();
}

/// What was kept back is sent now, in order.
void Feed::on_listener() {
    nobody_ = 0;
    if (!std::exchange(is_idle_, false)) return;
    auto from = kept_from_;
    forget_idle();
    if (from != 0) begin(from - 1);
}

void Feed::forget_idle() {
    ++asking_;
    questions_ = 0;
    firsts_.clear();
    ask_at_.reset();
    kept_from_ = 0;
}

/// False: its copy found no room, or everything has begun anew.
bool Feed::keep_back(SharedEvent const& event) {
    auto const& topic = event->event().topic;
    auto is_known = firsts_.contains(topic);
    if (!is_known && firsts_.size() == kTopicsMax) {
        if (kept_from_ == 0) kept_from_ = event->offset();
        on_listener();  // too many topics to ask for each
        return false;
    }
    if (is_copied_to_its_topic(event->event()) && !copied_.contains(event->offset())) {
        sent_.push_back({event->offset()});
        auto is_sent = publish(event, topic, false);
        if (!is_sent || sent_.back().open == 0) sent_.pop_back();
        if (!is_sent) return false;
        copied_.insert(event->offset());
    }
    ++counters_.kept_back;
    if (kept_from_ == 0) kept_from_ = event->offset();
    if (!is_known) firsts_.emplace(topic, event->offset());
    if (!ask_at_ && questions_ == 0) {
        ask_at_ = world_.clock().steady + kAskEvery;
        world_.wake_at(*ask_at_);
    }
    return true;
}

void Feed::on_timer(Now const& now) {
    if (ask_at_ && *ask_at_ <= now.steady) ask_again();
    pump();
    // Whoever has called may have done so for another's sake.
    if (ask_at_) world_.wake_at(*ask_at_);
}

void Feed::ask_again() {
    ask_at_.reset();
    if (!is_idle_ || !reader_) return;
    for (auto const& [topic, first] : firsts_) {
        if (!ask(topic)) return on_listener();  // all of them are sent in their turn
        ++questions_;
    }
    firsts_.clear();
    if (questions_ == 0) end_of_asking();
}

/// An event would come to whoever is there before those that were kept back.
bool Feed::ask(std::string const& topic) {
    mqtt::Publish question;
    question.topic = fmt::format("{}/{}", settings_.prefix, topic);
    question.qos = mqtt::Qos::at_least_once;
    auto done = [this, asking = asking_, run = run_](mqtt::PublishOutcome const& outcome) {
        if (run == run_ && asking == asking_) on_question_answered(outcome);
    };
    auto cause = world_.uplink.publish(question, std::nullopt, std::move(done));
    if (is_for_good(cause)) --questions_;  // nobody can be there
    return cause == mqtt::NotSent::none || is_for_good(cause);
}

void Feed::on_question_answered(mqtt::PublishOutcome const& outcome) {
    if (!is_answer(outcome)) return;
    if (!is_nobody(outcome)) return on_listener();
    if (--questions_ == 0) end_of_asking();
    note_position();
}

/// Nobody was there for any of the topics: what was kept back until it was asked is of no use.
void Feed::end_of_asking() {
    kept_from_ = 0;
    for (auto const& [topic, first] : firsts_) {
        kept_from_ = kept_from_ == 0 ? first : std::min(kept_from_, first);
    }
    auto needed = kept_from_ == 0 ? copied_.end() : copied_.lower_bound(kept_from_);
    copied_.erase(copied_.begin(), needed);
    if (firsts_.empty()) return;
    ask_at_ = world_.clock().steady + kAskEvery;
    world_.wake_at(*ask_at_);
}

void Feed::note_position() {
    // A loss that is not told yet is found again by whoever goes on from before it.
    if (!reader_ || loss_) return;
    auto upto = taken_.empty() ? reader_->position() : taken_.front()->offset() - 1;
    for (auto const& sent : sent_) upto = std::min(upto, sent.offset - 1);
    if (is_idle_ && kept_from_ != 0) upto = std::min(upto, kept_from_ - 1);
    if (upto <= position_) return;
    position_ = upto;
    world_.log.store().put_position(std::string{kPosition}, position_);
}

}  // namespace spoke::bridge
