#include "device-sim/watch/mqtt_reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <utility>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/publish_view.hpp"

namespace spoke::sim {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kReplayTimeout{3};
constexpr std::size_t kKeptMax = 100'000;
constexpr int kReplayLimit = 1000;
constexpr std::uint16_t kKeepAlive = 10;

std::shared_ptr<mqtt::LinkOptions const> link_options(ReadingOptions const& options) {
    auto link = std::make_shared<mqtt::LinkOptions>();
    link->host = options.mqtt_host;
    link->port = options.mqtt_port;
    return link;
}

/// The event that the user properties of a message make.
std::optional<SeenEvent> event_of(mqtt::ReceivedMessage const& message, std::string_view topic) {
    auto property = [&](std::string_view name) {
        return mqtt::find_user_property(message.publish.properties, name).value_or("");
    };
    auto payload = as_text(message.publish.payload);
    return read_event(EventParts{property("id"), topic, property("n"), property("type"),
                                 property("at"), payload});
}

}  // namespace

MqttReading::MqttReading(boost::asio::io_context& context, mqtt::LinkHub& hub,
                         ReadingOptions const& options, ReadingWish wish, ReadingEvents& events)
    : options_(options),
      wish_(std::move(wish)),
      events_(&events),
      replay_topic_(fmt::format("{}/replay/{}", options.feed, wish_.client_id)),
      link_(hub, link_options(options), *this),
      timer_(context) {}

void MqttReading::start() {
    link_.start();
}

void MqttReading::hold(bool holds) {
    link_.hold_reading(holds);
}

void MqttReading::leave(Leave how) {
    events_ = nullptr;
    timer_.cancel();
    if (how == Leave::rst) link_.cut(mqtt::Cut::rst);
    if (how == Leave::silent) link_.cut(mqtt::Cut::silent);
    link_.stop();
}

mqtt::Connect MqttReading::make_connect() {
    mqtt::Connect connect;
    connect.client_id = wish_.client_id;
    connect.keep_alive = kKeepAlive;
    return connect;
}

void MqttReading::on_connected(mqtt::ConnAck const&) {
    if (events_ == nullptr) return link_.stop();
    mqtt::Subscribe subscribe;
    mqtt::SubscriptionOptions qos1{mqtt::Qos::at_least_once};
    for (auto const& filter : wish_.filters) {
        subscribe.subscriptions.push_back({options_.feed + "/" + filter, qos1});
    }
    subscribe.subscriptions.push_back({replay_topic_, qos1});
    link_.subscribe(subscribe, mqtt::RequestToken{1});
}

void MqttReading::on_subscribed(mqtt::RequestToken, mqtt::SubAck const& packet) {
    if (events_ == nullptr) return;
    auto is_refused = [](mqtt::ReasonCode reason) { return static_cast<unsigned>(reason) >= 0x80; };
    if (std::any_of(packet.reasons.begin(), packet.reasons.end(), is_refused)) {
        return end("a subscription was refused");
    }
    events_->on_connected();
    ask_for_replay();
}

void MqttReading::ask_for_replay() {
    if (events_ == nullptr) return;
    json::object wish{{"topic", json::array(wish_.filters.begin(), wish_.filters.end())},
                      {"since", wish_.since},
                      {"limit", kReplayLimit}};
    if (!options_.token.empty()) wish["token"] = options_.token;
    auto number = fmt::format("{}", ++replays_);
    mqtt::Publish publish;
    publish.topic = fmt::format("$r/{}/replay", options_.bridge_id);
    publish.qos = mqtt::Qos::at_least_once;
    publish.payload = to_buffer(json::serialize(wish));
    publish.properties.response_topic = replay_topic_;
    publish.properties.correlation_data = to_buffer(number);
    mqtt::PublishOptions once;
    once.scope = mqtt::PublishScope::this_connection;
    link_.publish(publish, once);
    timer_.expires_after(kReplayTimeout);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        // The bridge may be away: it does not know of a question that it was not there for.
        if (!error && !self->is_live_) self->ask_for_replay();
    });
}

mqtt::Acknowledge MqttReading::on_message(mqtt::ReceivedMessage const& message) {
    if (events_ == nullptr) return mqtt::Acknowledge::now;
    auto self = shared_from_this();
    if (message.publish.topic == replay_topic_) {
        take_replayed(message);
    } else {
        take_live(message);
    }
    return mqtt::Acknowledge::now;
}

void MqttReading::take_replayed(mqtt::ReceivedMessage const& message) {
    auto const& properties = message.publish.properties;
    auto correlation = mqtt::find_correlation_data(properties);
    // Another one is of a question that was given up.
    if (!correlation || as_text(*correlation) != fmt::format("{}", replays_)) return;
    if (is_live_) return;
    if (mqtt::find_user_property(properties, "end")) {
        return take_end(as_text(message.publish.payload));
    }
    auto event = event_of(message, mqtt::find_user_property(properties, "topic").value_or(""));
    if (!event) return end("a replayed message is no event");
    wish_.since = event->place.text();
    upto_ = std::max(upto_, event->place.offset);
    timer_.expires_after(kReplayTimeout);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        if (!error && !self->is_live_) self->ask_for_replay();
    });
    events_->on_event(*event);
}

void MqttReading::take_end(std::string_view payload) {
    json::error_code error;
    auto value = json::parse({payload.data(), payload.size()}, error);
    if (error.failed() || !value.is_object()) return end("the replay's end says nothing");
    auto const& object = value.get_object();
    if (auto note = read_reset(payload)) {
        events_->on_reset(*note);
        if (events_ == nullptr) return;
        wish_.since = note->cursor;
        return ask_for_replay();
    }
    auto const* next = object.if_contains("next");
    auto const* more = object.if_contains("more");
    if (next == nullptr || !next->is_string()) {
        return end(fmt::format("the replay was refused: {}", payload.substr(0, 200)));
    }
    wish_.since = std::string{next->get_string().data(), next->get_string().size()};
    auto place = Place::parse(wish_.since);
    if (!place) return end("the replay's end is no place: " + wish_.since);
    upto_ = std::max(upto_, place->offset);
    events_->on_cursor(wish_.since);
    if (events_ == nullptr) return;
    if (more != nullptr && more->is_bool() && more->get_bool()) return ask_for_replay();
    go_live();
}

void MqttReading::go_live() {
    is_live_ = true;
    timer_.cancel();
    auto kept = std::exchange(kept_, {});
    for (auto const& event : kept) tell(event);
}

void MqttReading::take_live(mqtt::ReceivedMessage const& message) {
    auto topic = message.publish.topic;
    topic.remove_prefix(std::min(topic.size(), options_.feed.size() + 1));
    // The feed asks whether somebody is there.
    if (!mqtt::find_user_property(message.publish.properties, "id")) return;
    auto event = event_of(message, topic);
    if (!event) return end(fmt::format("a message of the feed is no event: {}", topic));
    if (is_live_) return tell(*event);
    if (kept_.size() >= kKeptMax) return end("the feed is faster than the replay");
    kept_.push_back(std::move(*event));
}

void MqttReading::tell(SeenEvent const& event) {
    // The replay has told it.
    if (events_ == nullptr || event.place.offset <= upto_) return;
    events_->on_event(event);
}

void MqttReading::on_closed(mqtt::Closed const& closed) {
    end(closed.text.empty() ? "the connection ended" : closed.text);
}

void MqttReading::on_link(mqtt::LinkStatus const& status) {
    // No second connection over this link: its reader makes another reading.
    if (status.state == mqtt::LinkState::waiting) end(std::string{status.why});
}

void MqttReading::on_published(mqtt::PublishToken, mqtt::PublishOutcome const& outcome) {
    if (outcome.status == mqtt::PublishStatus::refused && events_ != nullptr) {
        end(fmt::format("the question for a replay was refused: {}",
                        static_cast<unsigned>(outcome.reason)));
    }
}

void MqttReading::on_unsubscribed(mqtt::RequestToken, mqtt::UnsubAck const&) {}

void MqttReading::on_request_failed(mqtt::RequestToken, mqtt::RequestFailure why) {
    end(fmt::format("not subscribed: {}", mqtt::name_of(why)));
}

void MqttReading::end(std::string const& why) {
    // Before the link stops, which ends it too.
    auto* events = std::exchange(events_, nullptr);
    if (events == nullptr) return;
    timer_.cancel();
    auto self = shared_from_this();
    link_.stop();
    events->on_over(why, {});
}

}  // namespace spoke::sim
