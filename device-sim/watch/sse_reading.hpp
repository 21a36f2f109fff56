#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <memory>
#include <string>

#include "device-sim/watch/reading.hpp"
#include "device-sim/watch/sse_parser.hpp"

namespace spoke::sim {

/// One stream of server-sent events.
class SseReading final : public Reading, public std::enable_shared_from_this<SseReading> {
public:
    SseReading(boost::asio::io_context& context, ReadingOptions const& options, ReadingWish wish,
               ReadingEvents& events);

    void start() override;
    void hold(bool holds) override;
    void leave(Leave how) override;

private:
    using Error = boost::system::error_code;

    void ask(Error error);
    void on_header(Error error);
    void read();
    void on_read(Error error);
    void take(SseFrame const& frame);
    void take_named(SseFrame const& frame);
    void end(std::string const& why);

    ReadingOptions const& options_;
    ReadingWish wish_;
    ReadingEvents* events_;  // null: it was left
    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_{};
    boost::beast::http::request<boost::beast::http::empty_body> request_{};
    boost::beast::http::response_parser<boost::beast::http::buffer_body> response_{};
    std::array<char, 8192> chunk_{};
    SseParser parser_{};
    bool is_held_ = false;
    bool is_reading_ = false;
};

}  // namespace spoke::sim
