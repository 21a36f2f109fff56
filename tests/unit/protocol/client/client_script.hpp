#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/client/client_machine.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::test {

/// A message as the application saw it.
struct Seen {
    mqtt::Publish packet{};
    mqtt::AckToken token{};
};

struct Outcome {
    std::uint64_t token = 0;
    mqtt::PublishStatus status{};
    mqtt::NotSent cause{};
    mqtt::ReasonCode reason{};
    std::string reason_string{};
    friend bool operator==(Outcome const&, Outcome const&) = default;
};

/// Keeps every event; `on_event` may react to them.
class Application : public mqtt::ClientEvents {
public:
    void on_connected(mqtt::ConnAck const& packet) override;
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const& message) override;
    void on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) override;
    void on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) override;
    void on_unsubscribed(mqtt::RequestToken token, mqtt::UnsubAck const& packet) override;
    void on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) override;
    void on_auth(mqtt::Auth const& packet) override;
    void on_closed(mqtt::Closed const& closed) override;

    /// The outcomes since the last call.
    [[nodiscard]] std::vector<Outcome> take_outcomes() { return std::exchange(outcomes, {}); }
    [[nodiscard]] std::vector<Seen> take_messages() { return std::exchange(messages, {}); }
    [[nodiscard]] std::optional<mqtt::Closed> take_closed() { return std::exchange(closed, {}); }

    mqtt::Acknowledge acknowledges = mqtt::Acknowledge::now;
    std::vector<mqtt::ConnAck> connacks;
    std::vector<Seen> messages;
    std::vector<Outcome> outcomes;
    std::vector<std::pair<std::uint64_t, mqtt::SubAck>> subacks;
    std::vector<std::pair<std::uint64_t, mqtt::UnsubAck>> unsubacks;
    std::vector<std::pair<std::uint64_t, mqtt::RequestFailure>> failures;
    std::vector<mqtt::Auth> auths;
    std::optional<mqtt::Closed> closed;
    std::function<void()> then;  // called once, at the end of the next event
private:
    void react();
};

/// A machine, its application, the server's side by hand, and the time.
class ClientScript {
public:
    explicit ClientScript(mqtt::Version v, mqtt::ClientOptions options = {});

    /// Opens a connection and gives CONNACK. The CONNECT is in `connect`.
    void connects(mqtt::ConnAck const& connack = {});
    void opens() { machine.open(connect, now); }

    /// The server sends.
    void gives(mqtt::Packet const& packet);
    void gives_bytes(Bytes bytes) { machine.on_bytes(bytes, now); }
    /// What the machine has for the transport, as packets; all of it is written at once.
    [[nodiscard]] std::vector<mqtt::Packet> takes();
    /// As takes(), but the socket is full: written() has not come.
    [[nodiscard]] std::vector<mqtt::Packet> takes_unwritten();
    void written() { machine.on_written(); }
    void drops(std::string_view why = "dropped") { machine.on_transport_closed(why, now); }
    void passes(std::chrono::milliseconds time);

    void publish(mqtt::Publish const& packet, std::uint64_t token = 0,
                 mqtt::PublishScope scope = mqtt::PublishScope::session,
                 std::optional<SteadyTime> deadline = {});

    mqtt::Version version;
    mqtt::Connect connect;
    Now now{SteadyTime{std::chrono::hours{1}}, WallTime{std::chrono::hours{1}}};
    Application app;
    mqtt::ClientMachine machine;
};

[[nodiscard]] mqtt::Publish message(std::string topic, std::string_view payload,
                                    mqtt::Qos qos = mqtt::Qos::at_most_once, std::uint16_t id = 0);
[[nodiscard]] mqtt::Publish with_dup(mqtt::Publish packet);

/// One line per packet: "PUBLISH a/b x qos1 id1 dup", "PUBACK 1", "DISCONNECT 130".
[[nodiscard]] std::string line_of(mqtt::Packet const& packet);
[[nodiscard]] std::vector<std::string> lines_of(std::vector<mqtt::Packet> const& packets);

using Lines = std::vector<std::string>;

inline constexpr auto kQos0 = mqtt::Qos::at_most_once;
inline constexpr auto kQos1 = mqtt::Qos::at_least_once;
inline constexpr auto kQos2 = mqtt::Qos::exactly_once;

inline constexpr auto kSent = mqtt::PublishStatus::sent;
inline constexpr auto kAcknowledged = mqtt::PublishStatus::acknowledged;
inline constexpr auto kRefused = mqtt::PublishStatus::refused;
inline constexpr auto kNotSent = mqtt::PublishStatus::not_sent;
inline constexpr auto kUnknown = mqtt::PublishStatus::unknown;

}  // namespace spoke::test
