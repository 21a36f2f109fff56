#include "device-sim/app/run_fleet.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "device-sim/app/display.hpp"
#include "device-sim/app/open_files.hpp"
#include "device-sim/fleet/fleet.hpp"
#include "device-sim/load/process_sample.hpp"
#include "device-sim/report/progress.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Millis = std::chrono::milliseconds;

constexpr std::uint64_t kOtherFiles = 64;

std::uint64_t resident_bytes() {
    auto sample = load::sample_process(::getpid());
    return sample ? sample->resident_bytes : 0;
}

void require_files(std::uint64_t bikes) {
    auto wanted = bikes + kOtherFiles;
    auto limit = raise_open_files(wanted);
    if (limit >= wanted) return;
    throw std::runtime_error{
        fmt::format("{} bikes need {} open files, the limit is {}: raise it with `ulimit -n {}`",
                    bikes, wanted, limit, wanted)};
}

/// One run from start to summary. Lives on the stack of run_fleet().
class Run {
public:
    explicit Run(RunOptions const& options)
        : options_(options),
          display_(options.json),
          signals_(context_, SIGINT, SIGTERM),
          show_timer_(context_),
          end_timer_(context_),
          bytes_before_(resident_bytes()),
          fleet_(context_, options.fleet) {}

    int run() {
        began_ = looked_at_ = next_show_at_ = read_clocks().steady;
        greet();
        wait_for_signal();
        wait_to_show();
        if (options_.run_for > Millis{0}) wait_for_end();
        fleet_.start();
        context_.run();
        display_.show_summary(look());
        return time_is_over_ && fleet_.counts().connects == 0 ? 1 : 0;
    }

private:
    void greet() {
        auto const& fleet = options_.fleet;
        display_.say(fmt::format("{} bikes {}{}..{}{} to {}:{}, seed {}", fleet.bikes,
                                 fleet.id_prefix, fleet.first_number, fleet.id_prefix,
                                 fleet.first_number + fleet.bikes - 1, fleet.host, fleet.port,
                                 fleet.seed));
    }

    void wait_for_signal() {
        signals_.async_wait([this](error_code error, int number) {
            if (!error) on_signal(number);
        });
    }

    void on_signal(int number) {
        if (std::exchange(stopping_, true)) std::_Exit(128 + number);
        wait_for_signal();  // first, since the fleet may have stopped before stop() returns
        stop("disconnecting; once more to exit at once");
    }

    void wait_for_end() {
        end_timer_.expires_after(options_.run_for);
        end_timer_.async_wait([this](error_code error) {
            if (error || std::exchange(stopping_, true)) return;
            time_is_over_ = true;
            stop("time is over, disconnecting");
        });
    }

    void stop(std::string const& why) {
        display_.say(why);
        end_timer_.cancel();
        fleet_.stop([this] { context_.stop(); });
    }

    void wait_to_show() {
        // From the time it should have been, so that the lines keep to the second.
        next_show_at_ = std::max(next_show_at_ + display_.interval(), read_clocks().steady);
        show_timer_.expires_at(next_show_at_);
        show_timer_.async_wait([this](error_code error) {
            if (error) return;
            lag_ = std::chrono::duration_cast<std::chrono::microseconds>(read_clocks().steady -
                                                                         next_show_at_);
            if (!stopping_) display_.show(look());
            wait_to_show();
        });
    }

    Progress look() {
        auto now = read_clocks().steady;
        Progress progress;
        progress.elapsed = std::chrono::duration_cast<Millis>(now - began_);
        progress.interval = std::chrono::duration_cast<Millis>(now - looked_at_);
        progress.before = std::exchange(looked_, fleet_.counts());
        progress.counts = looked_;
        looked_at_ = now;
        progress.trouble = fleet_.trouble();
        progress.bytes_per_bike = bytes_per_bike();
        progress.loop_lag = lag_;
        return progress;
    }

    std::uint64_t bytes_per_bike() const {
        auto bytes = resident_bytes();
        auto bikes = fleet_.counts().bikes;
        return bikes == 0 || bytes < bytes_before_ ? 0 : (bytes - bytes_before_) / bikes;
    }

    RunOptions const& options_;
    asio::io_context context_{1};
    Display display_;
    asio::signal_set signals_;
    asio::steady_timer show_timer_;
    asio::steady_timer end_timer_;
    std::uint64_t bytes_before_;
    Fleet fleet_;

    SteadyTime began_{};
    SteadyTime next_show_at_{};
    SteadyTime looked_at_{};
    FleetCounts looked_{};
    std::chrono::microseconds lag_{0};
    bool stopping_ = false;
    bool time_is_over_ = false;
};

}  // namespace

int run_fleet(RunOptions const& options) {
    require_files(options.fleet.bikes);
    return Run{options}.run();
}

}  // namespace spoke::sim
