#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/http/http_client.hpp"
#include "device-sim/watch/seen_event.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim {

/// The five ways to read the log.
enum class Way : std::uint8_t { short_poll, long_poll, sse, websocket, mqtt };
inline constexpr std::array kWays{Way::short_poll, Way::long_poll, Way::sse, Way::websocket,
                                  Way::mqtt};

/// "poll", "long-poll", "sse", "websocket", "mqtt".
[[nodiscard]] std::string_view to_text(Way way) noexcept;

/// Where the log is read, the same for all readers.
struct ReadingOptions {
    HttpClient::Options http{};
    std::string token{};  // sent as a bearer token; empty: none
    std::string mqtt_host = "127.0.0.1";
    std::uint16_t mqtt_port = 1883;
    std::string bridge_id = "spoke-bridge";  // its client id, part of the replay topic
    std::string feed = "e";                  // the first level of the feed's topics
    std::string client_prefix = "watch-";    // of MQTT client ids
    std::chrono::milliseconds poll_every{250};
    std::chrono::seconds wait{10};                 // of a long poll
    std::chrono::milliseconds leave_every{2'000};  // a topic of a WebSocket, by `unsub`
    std::chrono::seconds silent_for{45};           // without any byte a stream is taken for dead
};

/// What one reading is about.
struct ReadingWish {
    std::vector<std::string> filters{};
    std::string since{};
    std::string client_id{};     // MQTT: of this connection alone
    bool asks_by_header = true;  // SSE: `Last-Event-ID`, else `since`
    bool subscribes = false;     // WebSocket: asks for some filters by `sub`, not in the URL
    std::uint64_t seed = 1;      // WebSocket: for which, and when
};

/// What a reading tells its reader. Every function may end the reading and let it go.
class ReadingEvents {
public:
    virtual void on_connected() = 0;
    virtual void on_event(SeenEvent const& event) = 0;
    /// Everything up to there was told.
    virtual void on_cursor(std::string const& cursor) = 0;
    virtual void on_hello(HelloNote const& note) = 0;
    virtual void on_reset(ResetNote const& note) = 0;
    /// It is over by itself. `wait`: as the server wishes, 0 if it says nothing.
    virtual void on_over(std::string const& why, std::chrono::milliseconds wait) = 0;

protected:
    ~ReadingEvents() = default;
};

/// How a reader leaves a connection. `silent`: the server is not told, and nothing is read any
/// more.
enum class Leave : std::uint8_t { fin, rst, silent };

/// Reads in one way, over one connection, until that ends. It repeats nothing by itself.
/// Thread  the one that runs the io_context.
class Reading {
public:
    virtual ~Reading() = default;

    /// Once. Events come later, never from here.
    virtual void start() = 0;

    /// Takes nothing from the connection for a while, or goes on.
    virtual void hold(bool holds) = 0;

    /// Tells nothing any more. What was left silently must be kept, or the kernel tells the server.
    virtual void leave(Leave how) = 0;
};

/// In  `context`, `hub`, `options` and `events` outlive it.
[[nodiscard]] std::shared_ptr<Reading> make_reading(Way way, boost::asio::io_context& context,
                                                    mqtt::LinkHub& hub,
                                                    ReadingOptions const& options, ReadingWish wish,
                                                    ReadingEvents& events);

/// "/v1/events?topic=d%2F%2B%2Fevt&topic=..." and `since` if it is not empty.
[[nodiscard]] std::string events_target(std::vector<std::string> const& filters,
                                        std::string_view since);

/// What may not stand in a query as it is, written with '%'.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace spoke::sim
