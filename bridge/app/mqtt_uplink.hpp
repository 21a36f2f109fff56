#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bridge/config/config.hpp"
#include "bridge/service/uplink.hpp"
#include "protocol/link/link.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::bridge {

class Service;

/// The bridge's one MQTT 5 connection: keeps it up, subscribes to what devices say and hands that
/// to the service, publishes what the service sends. Its session is durable in the broker, its
/// publishes are not: an order never outlives the connection it was written to. Thread  the one
/// that runs the io_context.
class MqttUplink final : public Uplink, private mqtt::LinkObserver {
public:
    /// Throws std::runtime_error if the password file cannot be read.
    MqttUplink(boost::asio::io_context& context, BrokerConfig const& config, std::uint64_t seed);
    ~MqttUplink();

    /// Connects, and again whenever the connection ends. The service outlives the link.
    void start(Service& service);

    /// Says DISCONNECT and stays away; `stopped` is called then.
    void stop(std::function<void()> stopped);

    mqtt::NotSent publish(mqtt::Publish const& message, std::optional<SteadyTime> deadline,
                          Done done) override;
    void subscribe(std::string const& filter, Subscribed done) override;
    void unsubscribe(std::string const& filter) override;

private:
    mqtt::Connect make_connect() override;
    void on_link(mqtt::LinkStatus const& status) override;
    void on_connected(mqtt::ConnAck const& packet) override;
    void on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) override;
    void on_unsubscribed(mqtt::RequestToken token, mqtt::UnsubAck const& packet) override;
    void on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) override;
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const& message) override;
    void on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) override;
    void on_closed(mqtt::Closed const& closed) override;

    void on_standing(mqtt::SubAck const& packet);
    void begin_reading();
    void await_end_of_reading();
    void lost(std::string_view why);
    [[nodiscard]] std::string address() const;

    /// An outcome that came before publish() returned.
    struct Early {
        mqtt::PublishOutcome outcome;
        std::string reason_string;
    };

    boost::asio::io_context& context_;  // outlives the uplink
    BrokerConfig config_;
    std::optional<Buffer> password_;
    mqtt::LinkHub hub_;
    boost::asio::steady_timer reading_;  // what the broker keeps of devices, behind SUBACK
    std::unique_ptr<mqtt::Link> link_;
    Service* service_ = nullptr;  // set by start(); outlives the link
    std::unordered_map<std::uint64_t, Done> publishes_;
    std::uint64_t last_token_ = 0;
    std::unordered_map<std::uint64_t, Subscribed> subscribes_;  // by request token
    std::uint64_t last_request_ = 0;           // token 0: the standing subscriptions
    std::optional<std::uint64_t> publishing_;  // the token whose publish() is running
    std::optional<Early> early_;
    bool subscribed_ = false;
    SteadyTime reading_since_{};
    SteadyTime last_retained_{};
    bool receipts_ = false;                                   // this connection's broker gives them
    bool names_deliveries_ = false;                           // and these
    std::shared_ptr<char> alive_ = std::make_shared<char>();  // what is held must not outlive us
    std::string told_;                                        // the last trouble that was logged
    std::function<void()> stopped_;
};

}  // namespace spoke::bridge
