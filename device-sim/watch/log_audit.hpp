#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "device-sim/watch/reading.hpp"
#include "device-sim/watch/watch_judge.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// Reads the log by pages for the judge, from a cursor on and then again and again for what comes.
/// Thread  the one that runs the io_context.
class LogAudit {
public:
    /// All of these outlive it. `on_end` is called whenever the end of the log was read.
    LogAudit(boost::asio::io_context& context, ReadingOptions const& options, WatchJudge& judge,
             std::function<void()> on_end);

    /// Asks where the log of these topics ends; `done` is called if there is an answer.
    void find_end(std::vector<std::string> filters, std::function<void(Place const& end)> done);

    /// Reads from this place on what find_end() asked for.
    void start(Place const& from);
    void stop();

    /// How long nothing new has come but that something has expired.
    [[nodiscard]] std::chrono::milliseconds quiet_for() const;
    void note_news() { news_at_ = read_clocks().steady; }

private:
    [[nodiscard]] HttpRequest request(std::string target) const;
    void read();
    void on_page(boost::system::error_code error, HttpResponse const& response);
    void take_page(EventPage const& page);

    ReadingOptions const& options_;
    WatchJudge& judge_;
    std::function<void()> on_end_;
    HttpClient client_;
    boost::asio::steady_timer timer_;
    std::vector<std::string> filters_{};
    std::string cursor_{};
    SteadyTime news_at_{};
    bool is_oldest_ = false;  // it is read from its oldest event on
    bool is_stopped_ = false;
};

}  // namespace spoke::sim
