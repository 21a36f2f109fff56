#include "device-sim/watch/reading.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "device-sim/watch/mqtt_reading.hpp"
#include "device-sim/watch/poll_reading.hpp"
#include "device-sim/watch/sse_reading.hpp"
#include "device-sim/watch/websocket_reading.hpp"

namespace spoke::sim {

std::string_view to_text(Way way) noexcept {
    switch (way) {
        case Way::short_poll:
            return "poll";
        case Way::long_poll:
            return "long-poll";
        case Way::sse:
            return "sse";
        case Way::websocket:
            return "websocket";
        case Way::mqtt:
            return "mqtt";
    }
    return "";
}

std::shared_ptr<Reading> make_reading(Way way, boost::asio::io_context& context, mqtt::LinkHub& hub,
                                      ReadingOptions const& options, ReadingWish wish,
                                      ReadingEvents& events) {
    switch (way) {
        case Way::short_poll:
            return std::make_shared<PollReading>(PollReading::Kind::at_once, context, options,
                                                 std::move(wish), events);
        case Way::long_poll:
            return std::make_shared<PollReading>(PollReading::Kind::held, context, options,
                                                 std::move(wish), events);
        case Way::sse:
            return std::make_shared<SseReading>(context, options, std::move(wish), events);
        case Way::websocket:
            return std::make_shared<WebSocketReading>(context, options, std::move(wish), events);
        case Way::mqtt:
            return std::make_shared<MqttReading>(context, hub, options, std::move(wish), events);
    }
    return nullptr;
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string out;
    for (auto c : text) {
        if (kPlain.find(c) != std::string_view::npos) {
            out += c;
        } else {
            fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string events_target(std::vector<std::string> const& filters, std::string_view since) {
    std::string out = "/v1/events";
    char mark = '?';
    for (auto const& filter : filters) {
        out += std::exchange(mark, '&') + ("topic=" + percent_encoded(filter));
    }
    if (!since.empty()) out += mark + ("since=" + percent_encoded(since));
    return out;
}

}  // namespace spoke::sim
