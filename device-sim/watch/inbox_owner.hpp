#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device-sim/device/dice.hpp"
#include "device-sim/http/http_client.hpp"
#include "device-sim/watch/watch_judge.hpp"

namespace spoke::sim {

/// Somebody who looks at his red dot, by short or long polls, and now and then marks what he has
/// seen as read. Tells the judge every state that he is told.
/// Thread  the one that runs the io_context.
class InboxOwner {
public:
    struct Role {
        std::string who{};
        bool waits = false;  // `?wait=`
        double reads_share = 0.2;
        std::uint64_t seed = 0;
    };

    /// All of these outlive it.
    InboxOwner(boost::asio::io_context& context, HttpClient::Options const& http,
               std::string const& token, WatchJudge& judge, Role role);

    void start();
    /// Marks nothing any more.
    void calm() noexcept { role_.reads_share = 0; }
    /// Looks once more when all is quiet; `done` once it was told.
    void look_at_the_end(std::function<void()> done);
    void stop();

    [[nodiscard]] std::string const& who() const noexcept { return role_.who; }

private:
    [[nodiscard]] HttpRequest request(std::string method, std::string target) const;
    void look();
    void on_look(boost::system::error_code error, HttpResponse const& response, WallTime asked_at);
    void on_same(WallTime asked_at);
    void mark(Place const& upto);
    void on_marked(Place const& upto, boost::system::error_code error, HttpResponse const& response,
                   WallTime asked_at);
    void look_after(std::chrono::milliseconds delay);

    std::string token_;
    WatchJudge& judge_;
    Role role_;
    Dice dice_;
    HttpClient client_;
    boost::asio::steady_timer timer_;
    std::string etag_{};
    InboxDocument known_{};  // what the ETag stands for
    std::optional<Place> seen_{};
    std::function<void()> done_{};
    bool is_ending_ = false;
    bool is_stopped_ = false;
};

}  // namespace spoke::sim
