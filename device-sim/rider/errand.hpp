#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device-sim/device/dice.hpp"
#include "device-sim/http/http_client.hpp"
#include "device-sim/judge/judge.hpp"
#include "device-sim/rider/tally.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// How errands are run, the same for all riders.
struct ErrandOptions {
    HttpClient::Options http{};
    std::string token{};                           // sent as a bearer token; empty: none
    std::chrono::milliseconds patience{25'000};    // for an end, from the first answer on
    std::chrono::milliseconds retry_for{120'000};  // without any answer
    std::chrono::milliseconds retry_min{100};
    std::chrono::milliseconds retry_max{1'500};
};

/// One wish and how somebody goes about it.
struct ErrandPlan {
    Wish wish{};
    std::string body{};
    std::chrono::seconds wait{10};  // `Prefer: wait`; 0: none
    std::optional<std::chrono::milliseconds>
        taps_again{};      // gives the first POST up and repeats it
    bool cancels = false;  // once he has been told of the command
};

/// Asks for one thing, again under the same key as long as nobody answers, and follows the command
/// to its end. Tells the judge all that it hears.
/// Owned by a rider, with a connection of its own; one plan after the other.
/// Thread  the one that runs the io_context.
class Errand {
public:
    enum class Fate : std::uint8_t {
        settled,    // `state` says how
        unsettled,  // patience is over
        refused,    // an error: nothing was sent
        nobody,     // no answer at all
    };
    struct End {
        Fate fate = Fate::nobody;
        std::string state{};
    };
    using Done = std::function<void(End const& end)>;

    /// All of these outlive it.
    Errand(boost::asio::io_context& context, ErrandOptions const& options, Judge& judge,
           Tally& tally, Dice& dice);
    Errand(Errand const&) = delete;
    Errand& operator=(Errand const&) = delete;
    ~Errand() = default;

    /// One at a time. `done` comes later, never from here.
    void run(ErrandPlan plan, Done done);

private:
    using Response = HttpResponse;
    using Error = boost::system::error_code;

    void post();
    void on_posted(Error error, Response const& response);
    void on_error_status(Response const& response);
    void go_on();
    void follow();
    void cancel();
    void on_shown(Error error, Response const& response);
    void take(CommandNote note, Response const& response, bool posted);
    void after(std::chrono::milliseconds delay, void (Errand::*next)());
    void retry(void (Errand::*next)());
    void finish(Fate fate, std::string state = {});
    [[nodiscard]] HttpRequest request(std::string method, std::string target) const;

    ErrandOptions const& options_;
    Judge& judge_;
    Tally& tally_;
    Dice& dice_;
    HttpClient client_;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer tap_timer_;
    ErrandPlan plan_{};
    Done done_{};
    SteadyTime began_{};
    std::optional<SteadyTime> told_at_{};
    std::string command_{};
    std::string etag_{};
    std::string state_{};
    std::uint32_t posts_ = 0;
    std::uint32_t unanswered_ = 0;  // POSTs
    bool settled_ = false;
    bool giving_up_ = false;  // the POST under way
};

}  // namespace spoke::sim
