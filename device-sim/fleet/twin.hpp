#pragma once

#include <memory>
#include <string>

#include "protocol/link/link.hpp"

namespace spoke::sim {

/// Another device with the id of a bike: a cloned card, a lock on a test bench. It takes the bike's
/// connection over, acknowledges the orders it gets and never says a word; the bike takes it back,
/// and so on. Stays where it is: its link points to it.
class Twin final : private mqtt::LinkObserver {
public:
    Twin(mqtt::LinkHub& hub, std::shared_ptr<mqtt::LinkOptions const> options,
         mqtt::Connect connect);
    Twin(Twin const&) = delete;
    Twin& operator=(Twin const&) = delete;
    ~Twin() = default;

    void start() { link_.start(); }
    void stop() { link_.stop(); }

private:
    mqtt::Connect make_connect() override { return connect_; }
    void on_connected(mqtt::ConnAck const& packet) override;
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const&) override {
        return mqtt::Acknowledge::now;
    }
    void on_published(mqtt::PublishToken, mqtt::PublishOutcome const&) override {}
    void on_subscribed(mqtt::RequestToken, mqtt::SubAck const&) override {}
    void on_unsubscribed(mqtt::RequestToken, mqtt::UnsubAck const&) override {}
    void on_request_failed(mqtt::RequestToken, mqtt::RequestFailure) override {}
    void on_closed(mqtt::Closed const&) override {}

    mqtt::Connect connect_;
    mqtt::Link link_;
};

}  // namespace spoke::sim
