#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "device-sim/city/child.hpp"
#include "device-sim/device/dice.hpp"
#include "device-sim/faults/kill_plan.hpp"
#include "device-sim/http/http_client.hpp"
#include "device-sim/report/run_report.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

struct ProgramsOptions {
    std::string start_broker{};  // command lines; empty: it is there already
    std::string start_bridge{};
    std::string logs = ".";  // folder for their output
    std::vector<Kill> kills{};
    HttpClient::Options http{};  // where the bridge says that it is ready
    std::uint64_t seed = 1;      // of the time until one that was killed is started again
};

/// Broker and bridge of a run: started, killed as planned and started again.
/// Thread  the one that runs the io_context.
class Programs {
public:
    /// What is told of them. Both may be empty but `say`.
    struct Events {
        std::function<void(std::string text)> say;
        std::function<void(Program program)> on_kill{};
        std::function<void(Program program)> on_start_again{};
    };

    Programs(boost::asio::io_context& context, ProgramsOptions options, Events events);

    /// Errors  std::runtime_error if the system cannot start one.
    void start();
    void stop();

    /// To be called often: notices those that ended, asks whether the bridge is ready.
    void tick();

    /// Does the kills that are due so long after the begin of the run.
    void kill_due(std::chrono::milliseconds elapsed);

    [[nodiscard]] bool is_ready() const noexcept { return is_ready_; }
    [[nodiscard]] bool all_killed() const noexcept;
    [[nodiscard]] std::uint64_t kills_of(Program program) const noexcept {
        return killed_[static_cast<std::size_t>(program)];
    }
    /// One ended by itself.
    [[nodiscard]] std::vector<std::string> const& failures() const noexcept { return failures_; }

private:
    struct Killing {
        Kill kill;
        bool done = false;
    };

    [[nodiscard]] Child& child_of(Program program);
    void ask_whether_ready();
    void start_again(Program program);

    Child broker_;
    Child bridge_;
    Events events_;
    HttpClient probe_;
    Dice dice_;
    std::array<boost::asio::steady_timer, 2> restart_timers_;
    std::vector<Killing> kills_{};
    std::array<std::uint64_t, 2> killed_{};
    std::vector<std::string> failures_{};
    std::optional<SteadyTime> back_since_{};  // the bridge, which is not ready yet
    bool starts_broker_;
    bool starts_bridge_;
    bool is_ready_ = false;
    bool is_stopped_ = false;
};

/// What a run with these programs came to. `is_clean`: the judge has found nothing; `doubts`: why
/// it proves nothing.
[[nodiscard]] RunFacts facts_of_run(Programs const& programs, bool is_clean,
                                    std::vector<std::string> const& doubts);

}  // namespace spoke::sim
