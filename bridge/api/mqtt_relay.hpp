#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bridge/api/http_message.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::bridge {

/// MQTT over WebSocket at the port of the API (MQTT 5, 6): each WebSocket is one connection to the
/// broker, and the bytes go to and fro as they are. Who may connect is the broker's to say.
/// Bound   `connections_max` of them; of each, in either direction, `buffer_bytes` and one message
///         of the client: beyond it that side is not read until the other one has taken what is
///         there.
/// Thread  the one that runs the io_context.
class MqttRelay {
public:
    struct Settings {
        std::string host = "127.0.0.1";  // of the broker
        std::uint16_t port = 1883;
        std::size_t connections_max = 1'000;
        std::size_t message_bytes_max = std::size_t{1} << 20;  // of a WebSocket message
        std::size_t buffer_bytes = 64 * 1024;
        std::chrono::milliseconds connect_timeout{5'000};
    };

    MqttRelay(boost::asio::io_context& context, Settings settings);
    MqttRelay(MqttRelay const&) = delete;
    MqttRelay& operator=(MqttRelay const&) = delete;
    ~MqttRelay();

    /// Answers a request for a WebSocket once the broker has taken the connection: with that
    /// WebSocket, or with a problem.
    void open(HttpRequest const& request, Respond respond);

    /// Connections there are, or that are being made.
    [[nodiscard]] std::size_t size() const noexcept;

    struct Counters {
        std::uint64_t open = 0;  // connections there are, or that are being made
        std::uint64_t opened = 0;
        std::uint64_t failed = 0;   // the broker could not be reached
        std::uint64_t refused = 0;  // as many as may be were open
        std::uint64_t to_broker_bytes = 0;
        std::uint64_t from_broker_bytes = 0;
    };
    [[nodiscard]] Counters counters() const noexcept;

    struct State;

private:
    std::shared_ptr<State> state_;  // those who come back late find it, whatever happened
};

}  // namespace spoke::bridge
