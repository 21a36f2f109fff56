#pragma once

#include <memory>

#include "device-sim/watch/watch_writer.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim {

/// Publishes at QoS 1 over a session that outlives its connections.
class MqttWriter final : public PacedWriter, private mqtt::LinkObserver {
public:
    MqttWriter(boost::asio::io_context& context, mqtt::LinkHub& hub, WriterOptions const& options,
               WatchJudge& judge, WriterTally& tally, WriterRole role);

    void start() override;
    void stop() override;

private:
    void send() override;
    mqtt::Connect make_connect() override;
    void on_connected(mqtt::ConnAck const& packet) override;
    void on_closed(mqtt::Closed const& closed) override;
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const& message) override;
    void on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) override;
    void on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) override;
    void on_unsubscribed(mqtt::RequestToken token, mqtt::UnsubAck const& packet) override;
    void on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) override;

    std::string client_id_;
    mqtt::Link link_;
};

}  // namespace spoke::sim
