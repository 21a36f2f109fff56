#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/device/dice.hpp"
#include "device-sim/watch/catch_up.hpp"
#include "device-sim/watch/reading.hpp"

namespace spoke::sim {

/// One WebSocket to the events. If its wish says so, it asks for one of its topics by `sub` after
/// it was opened, from the same cursor, and now and then gives one up by `unsub` and asks for it
/// again from where it had come to. Bound   `kKeptMax` events kept back while a topic catches up;
/// beyond it the reading ends.
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
    void take_event(SeenEvent event);
    void take_op(std::string_view op, boost::json::object const& object, std::string_view text);
    void take_cursor(std::string const& cursor);
    void take_reset(std::string_view text);
    void tell(std::vector<SeenEvent> const& list);
    [[nodiscard]] std::string why_it_ended(Error error) const;
    void end(std::string const& why);

    void ask(std::string_view op, std::string_view since);
    void take_answer(boost::json::object const& object, std::string_view text);
    void leave_a_topic_later();
    void leave_a_topic();
    void come_back_later(std::string since);

    ReadingOptions const& options_;
    ReadingWish wish_;
    ReadingEvents* events_;  // null: it was left
    boost::beast::websocket::stream<boost::beast::tcp_stream> socket_;
    boost::beast::http::response<boost::beast::http::string_body> response_{};
    boost::beast::flat_buffer buffer_{};
    bool is_held_ = false;
    bool is_reading_ = false;
    bool is_open_ = false;

    // One topic is asked for by operations, of which one is under way at a time.
    Dice dice_;
    boost::asio::steady_timer timer_;
    CatchUp catch_up_{};
    std::vector<std::string> by_url_;  // topics
    std::string topic_{};              // the other one
    std::string place_;                // everything up to there was told
    std::string operation_{};          // its text, until it is written
    std::uint64_t asked_ = 0;          // its number
    bool is_leaving_ = false;          // it is `unsub`
};

}  // namespace spoke::sim
