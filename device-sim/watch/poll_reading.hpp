#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "device-sim/http/http_client.hpp"
#include "device-sim/watch/reading.hpp"

namespace spoke::sim {

/// Short and long polls over one connection that is kept.
class PollReading final : public Reading, public std::enable_shared_from_this<PollReading> {
public:
    enum class Kind : std::uint8_t { at_once, held };

    PollReading(Kind kind, boost::asio::io_context& context, ReadingOptions const& options,
                ReadingWish wish, ReadingEvents& events);

    void start() override;
    void hold(bool holds) override;
    void leave(Leave how) override;

private:
    void ask();
    void on_response(boost::system::error_code error, HttpResponse const& response);
    void take_page(HttpResponse const& response);
    void take_reset(HttpResponse const& response);
    void go_on(std::string const& cursor);
    void ask_after(std::chrono::milliseconds delay);
    void end(std::string const& why, std::chrono::milliseconds wait = {});

    Kind kind_;
    ReadingOptions const& options_;
    ReadingWish wish_;
    ReadingEvents* events_;  // null: it was left
    HttpClient client_;
    boost::asio::steady_timer timer_;
    std::string etag_{};
    bool is_held_ = false;
    bool is_due_ = false;  // to ask, once it is no longer held
    bool is_first_ = true;
};

}  // namespace spoke::sim
