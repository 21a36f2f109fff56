#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "device-sim/watch/reading.hpp"

namespace spoke::sim {

/// One WebSocket to the events.
class WebSocketReading final : public Reading,
                               public std::enable_shared_from_this<WebSocketReading> {
public:
    WebSocketReading(boost::asio::io_context& context, ReadingOptions const& options,
                     ReadingWish wish, ReadingEvents& events);

    void start() override;
    void hold(bool holds) override;
    void leave(Leave how) override;

private:
    using Error = boost::system::error_code;

    void shake_hands(Error error);
    void on_open(Error error);
    void read();
    void on_read(Error error);
    void take(std::string_view text);
    [[nodiscard]] std::string why_it_ended(Error error) const;
    void end(std::string const& why);

    ReadingOptions const& options_;
    ReadingWish wish_;
    ReadingEvents* events_;  // null: it was left
    boost::beast::websocket::stream<boost::beast::tcp_stream> socket_;
    boost::beast::http::response<boost::beast::http::string_body> response_{};
    boost::beast::flat_buffer buffer_{};
    bool is_held_ = false;
    bool is_reading_ = false;
    bool is_open_ = false;
};

}  // namespace spoke::sim
