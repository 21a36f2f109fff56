#include "device-sim/fleet/bike.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/codec/publish_view.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::sim {
namespace {

constexpr std::string_view kTimeTopic = "$time";
constexpr std::string_view kTraceProperty = "traceparent";

/// What a publish was, so that its outcome finds its way.
enum class Purpose : std::uint64_t { message, event, goodbye };

mqtt::PublishToken token_of(Purpose purpose) {
    return mqtt::PublishToken{static_cast<std::uint64_t>(purpose)};
}

struct ChannelRow {
    std::string_view leaf;
    mqtt::Qos qos;
    bool retain;
    Purpose purpose;
};

ChannelRow row_of(Channel channel) {
    constexpr auto kQos0 = mqtt::Qos::at_most_once;
    constexpr auto kQos1 = mqtt::Qos::at_least_once;
    switch (channel) {
        case Channel::answer:
            return {"ans", kQos1, false, Purpose::message};
        case Channel::state:
            return {"state", kQos1, true, Purpose::message};
        case Channel::presence:
            return {"up", kQos1, true, Purpose::message};
        case Channel::event:
            return {"evt", kQos1, false, Purpose::event};
        case Channel::position:
            return {"pos", kQos0, false, Purpose::message};
    }
    return {};
}

std::string_view trace_of(mqtt::ReceivedMessage const& message) {
    if (message.version != mqtt::Version::v5) return {};
    return mqtt::find_user_property(message.publish.properties, kTraceProperty).value_or("");
}

}  // namespace

Bike::Bike(FleetCommons& commons, BikeRole role)
    : commons_(commons),
      number_(role.number),
      air_(std::move(role.air)),
      lock_(commons.options.model, std::move(role.identity), read_clocks()),
      link_(commons.hub, std::move(role.link), *this) {
    if (role.twin_link) {
        air_->twin = std::make_unique<Twin>(commons.hub, std::move(role.twin_link), make_connect());
    }
}

void Bike::start() {
    link_.start();
}

void Bike::stop() {
    stopping_ = true;
    if (air_) calm();
    if (link_.state() != mqtt::LinkState::connected) return link_.stop();
    lock_.on_disconnected();  // the goodbye shall be its last word
    // A DISCONNECT takes the will away, so that without this the bike would be "on" for ever.
    say_goodbye(lock_.will());
}

/// Publishes it on `up`; with its PUBACK the link stops.
void Bike::say_goodbye(std::string_view last_words) {
    mqtt::Publish goodbye;
    goodbye.topic = topic("up");
    goodbye.payload = to_buffer(last_words);
    goodbye.qos = mqtt::Qos::at_least_once;
    goodbye.retain = true;
    mqtt::PublishOptions options{token_of(Purpose::goodbye), mqtt::PublishScope::this_connection,
                                 std::nullopt};
    link_.publish(goodbye, options);
}

void Bike::stop_now() {
    stopping_ = true;
    link_.stop();
}

bool Bike::is_stopped() const noexcept {
    return link_state_ == mqtt::LinkState::stopped || link_state_ == mqtt::LinkState::idle;
}

void Bike::on_deadline() {
    if (air_) pass_air(read_clocks());
    lock_.on_deadline(read_clocks(), *this);
    arm();
}

mqtt::Connect Bike::make_connect() {
    auto const& options = commons_.options;
    mqtt::Connect connect;
    connect.version = speaks_v5() ? mqtt::Version::v5 : mqtt::Version::v3_1_1;
    connect.client_id = lock_.id();
    connect.clean_start = true;  // an order must not wait in a session for a bike that is away
    connect.keep_alive = static_cast<std::uint16_t>(options.keep_alive.count());
    if (!options.user_name.empty()) connect.user_name = options.user_name;
    if (!options.password.empty()) connect.password = to_buffer(options.password);
    mqtt::Will will;
    will.topic = topic("up");
    will.payload = to_buffer(lock_.will());
    will.qos = mqtt::Qos::at_least_once;
    will.retain = true;
    if (speaks_v5()) {
        will.will_delay_interval = static_cast<std::uint32_t>(options.will_delay.count());
    }
    connect.will = std::move(will);
    return connect;
}

void Bike::on_link(mqtt::LinkStatus const& status) {
    count_state(link_state_, false);
    count_state(status.state, true);
    link_state_ = status.state;
    if (!status.why.empty()) commons_.trouble = status.why;
    if (status.state != mqtt::LinkState::stopped) return;
    commons_.on_stopped();
    if (!stopping_ && !lock_.is_asleep()) link_.start();  // it woke up before it was gone
}

void Bike::on_connected(mqtt::ConnAck const&) {
    ++commons_.counts.connects;
    if (air_) ++air_->connection;
    if (stopping_ || lock_.is_asleep()) return link_.stop();
    subscribe();  // before the birth: who sees that may send an order at once
    lock_.on_connected(read_clocks(), *this);
    arm();
}

void Bike::on_closed(mqtt::Closed const&) {
    bool is_loss = link_state_ == mqtt::LinkState::connected && !stopping_ && !lock_.is_asleep();
    if (is_loss) ++commons_.counts.losses;
    if (air_) ++air_->connection;
    lock_.on_disconnected();
}

mqtt::Acknowledge Bike::on_message(mqtt::ReceivedMessage const& message) {
    // Without PUBACK the sender knows that nobody took this.
    if (stopping_ || lock_.is_asleep()) return mqtt::Acknowledge::later;
    ++commons_.counts.messages_in;
    auto now = read_clocks();
    auto payload = message.publish.payload;
    auto leaf = message.publish.topic.substr(message.publish.topic.rfind('/') + 1);
    if (leaf == "cmd") ++commons_.counts.orders;
    if (air_) {
        auto acknowledge = take_into_air(leaf, payload, trace_of(message), message.token);
        arm();
        return acknowledge;
    }
    if (leaf == "cmd") {
        lock_.on_order(payload, trace_of(message), now, *this);
    } else if (leaf == "cfg") {
        lock_.on_wanted_settings(payload, now, *this);
    } else if (leaf == kTimeTopic) {
        lock_.on_time(payload, now);
    }
    arm();
    return mqtt::Acknowledge::now;
}

void Bike::on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) {
    using Status = mqtt::PublishStatus;
    bool has_puback = outcome.status == Status::acknowledged || outcome.status == Status::refused;
    if (outcome.status == Status::refused) ++commons_.counts.publishes_refused;
    bool has_gone = has_puback || outcome.status == Status::sent;
    if (!has_gone) ++commons_.counts.publishes_lost;
    if (token == token_of(Purpose::event) && has_puback) lock_.on_event_acknowledged();
    if (token == token_of(Purpose::goodbye)) link_.stop();
}

void Bike::on_subscribed(mqtt::RequestToken, mqtt::SubAck const& packet) {
    auto is_refusal = [](mqtt::ReasonCode reason) {
        return static_cast<std::uint8_t>(reason) >= 0x80;
    };
    auto refused = std::count_if(packet.reasons.begin(), packet.reasons.end(), is_refusal);
    commons_.counts.subscriptions_refused += static_cast<std::uint64_t>(refused);
}

void Bike::on_unsubscribed(mqtt::RequestToken, mqtt::UnsubAck const&) {}

void Bike::on_request_failed(mqtt::RequestToken, mqtt::RequestFailure why) {
    // With the connection gone the next one subscribes anew; anything else leaves a deaf bike.
    if (why != mqtt::RequestFailure::connection_lost) ++commons_.counts.subscriptions_refused;
}

void Bike::publish(Channel channel, std::string_view payload, std::string_view trace) {
    if (air_) return publish_into_air(channel, payload, trace);
    send(channel, payload, trace);
}

void Bike::send(Channel channel, std::string_view payload, std::string_view trace) {
    ++commons_.counts.messages_out;
    auto row = row_of(channel);
    mqtt::Publish packet;
    packet.topic = topic(row.leaf);
    packet.payload = to_buffer(payload);
    packet.qos = row.qos;
    packet.retain = row.retain;
    if (speaks_v5() && !trace.empty()) {
        packet.properties.user_properties.push_back(
            {std::string{kTraceProperty}, std::string{trace}});
    }
    // Never on the next connection: by then the retained state is older than the one published
    // there, and the receipts in it tell what a lost answer told.
    mqtt::PublishOptions options{token_of(row.purpose), mqtt::PublishScope::this_connection,
                                 std::nullopt};
    link_.publish(packet, options);
}

void Bike::settled(Result result) {
    commons_.counts.add(result);
}

void Bike::ignored() {
    ++commons_.counts.ignored;
}

void Bike::power_cycled() {
    ++commons_.counts.power_cycles;
    link_.cut(mqtt::Cut::rst);
}

void Bike::fell_asleep(std::string_view last_words) {
    if (link_.state() != mqtt::LinkState::connected) return link_.stop();
    say_goodbye(last_words);
}

void Bike::woke_up() {
    if (!stopping_) link_.start();
}

void Bike::subscribe() {
    mqtt::Subscribe packet;
    auto add = [&](std::string filter) {
        mqtt::Subscription subscription;
        subscription.filter = std::move(filter);
        subscription.options.qos = mqtt::Qos::at_least_once;
        packet.subscriptions.push_back(std::move(subscription));
    };
    add(topic("cmd"));
    add(topic("cfg"));
    if (!lock_.has_clock()) add(std::string{kTimeTopic});
    link_.subscribe(packet, mqtt::RequestToken{});
}

void Bike::happened(LockFact const& fact) {
    if (commons_.options.witness) commons_.options.witness(lock_.id(), fact, read_clocks());
}

void Bike::close_by_hand() {
    lock_.close_by_hand(read_clocks(), *this);
    arm();
}

void Bike::arm() {
    auto next = lock_.deadline();
    if (air_) next = std::min(next, air_->deadline());
    commons_.deadlines.arm(number_, next);
    commons_.on_deadline();
}

void Bike::count_state(mqtt::LinkState state, bool enters) noexcept {
    auto change = [enters](std::uint64_t& gauge) { enters ? ++gauge : --gauge; };
    switch (state) {
        case mqtt::LinkState::connecting:
            return change(commons_.counts.connecting);
        case mqtt::LinkState::connected:
            return change(commons_.counts.online);
        case mqtt::LinkState::waiting:
            return change(commons_.counts.waiting);
        case mqtt::LinkState::idle:
        case mqtt::LinkState::stopping:
        case mqtt::LinkState::stopped:
            return;
    }
}

std::string Bike::topic(std::string_view leaf) const {
    std::string text;
    text.reserve(lock_.id().size() + leaf.size() + 3);
    return text.append("d/").append(lock_.id()).append("/").append(leaf);
}

bool Bike::speaks_v5() const noexcept {
    return lock_.protocol_level() == 5;
}

}  // namespace spoke::sim
