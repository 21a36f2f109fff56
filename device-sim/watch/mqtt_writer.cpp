#include "device-sim/watch/mqtt_writer.hpp"

#include <fmt/format.h>

#include <utility>

#include "protocol/base/bytes.hpp"

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kKeepAlive = 10;
constexpr std::uint32_t kSessionSeconds = 600;

std::shared_ptr<mqtt::LinkOptions const> link_options(WriterOptions const& options) {
    auto link = std::make_shared<mqtt::LinkOptions>();
    link->host = options.mqtt_host;
    link->port = options.mqtt_port;
    link->reconnect.delay_min = 50ms;
    link->reconnect.delay_max = 1s;
    return link;
}

}  // namespace

MqttWriter::MqttWriter(boost::asio::io_context& context, mqtt::LinkHub& hub,
                       WriterOptions const& options, WatchJudge& judge, WriterTally& tally,
                       WriterRole role)
    : PacedWriter(context, judge, tally, std::move(role)),
      client_id_(options.client_prefix + role_.name),
      link_(hub, link_options(options), *this) {}

void MqttWriter::start() {
    link_.start();
    PacedWriter::start();
}

void MqttWriter::stop() {
    PacedWriter::stop();
    link_.stop();
}

void MqttWriter::send() {
    bool is_keyed = role_.way == WriteWay::mqtt_keyed;
    mqtt::Publish publish;
    publish.topic = message().topic;
    publish.qos = mqtt::Qos::at_least_once;
    publish.payload = to_buffer(message().data);
    if (is_keyed) publish.properties.user_properties.push_back({"key", message().name});
    auto const& terms = message().terms;
    if (!terms.collapse.empty()) {
        publish.properties.user_properties.push_back({"collapse", terms.collapse});
    }
    if (terms.ttl) {
        auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*terms.ttl).count();
        publish.properties.message_expiry_interval = static_cast<std::uint32_t>(seconds);
    }
    mqtt::PublishOptions options;
    options.scope = is_keyed ? mqtt::PublishScope::session : mqtt::PublishScope::this_connection;
    link_.publish(publish, options);
}

void MqttWriter::on_published(mqtt::PublishToken, mqtt::PublishOutcome const& outcome) {
    if (is_stopped()) return;
    using mqtt::PublishStatus;
    if (outcome.status == PublishStatus::acknowledged) return acknowledged();
    if (outcome.status == PublishStatus::refused) {
        tally_.add_refused(fmt::format("PUBACK 0x{:02X}", static_cast<unsigned>(outcome.reason)));
    }
    // Without a key a message that may have arrived must not be published again.
    bool may_have_arrived = outcome.status == PublishStatus::unknown;
    if (may_have_arrived && role_.way == WriteWay::mqtt) return give_up();
    again_soon();
}

mqtt::Connect MqttWriter::make_connect() {
    mqtt::Connect connect;
    connect.client_id = client_id_;
    connect.clean_start = false;
    connect.keep_alive = kKeepAlive;
    connect.session_expiry_interval = kSessionSeconds;
    return connect;
}

void MqttWriter::on_connected(mqtt::ConnAck const&) {}

void MqttWriter::on_closed(mqtt::Closed const&) {}

mqtt::Acknowledge MqttWriter::on_message(mqtt::ReceivedMessage const&) {
    return mqtt::Acknowledge::now;
}

void MqttWriter::on_subscribed(mqtt::RequestToken, mqtt::SubAck const&) {}

void MqttWriter::on_unsubscribed(mqtt::RequestToken, mqtt::UnsubAck const&) {}

void MqttWriter::on_request_failed(mqtt::RequestToken, mqtt::RequestFailure) {}

}  // namespace spoke::sim
