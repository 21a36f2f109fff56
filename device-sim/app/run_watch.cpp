#include "device-sim/app/run_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "device-sim/app/display.hpp"
#include "device-sim/app/open_files.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::uint64_t kOtherFiles = 512;
constexpr std::uint64_t kSocketsOfReader = 5;
constexpr int kFailed = 1;
constexpr int kInvalid = 3;

void write_file(std::string const& name, std::string const& text) {
    if (name.empty()) return;
    std::ofstream file{name, std::ios::binary | std::ios::trunc};
    file << text << '\n';
    file.close();
    if (!file) throw std::runtime_error{fmt::format("cannot write {}", name)};
}

/// One run from start to verdict. Lives on the stack of run_watch().
class WatchRun {
public:
    explicit WatchRun(WatchRunOptions const& options)
        : options_(options),
          display_(options.json),
          signals_(context_, SIGINT, SIGTERM),
          show_timer_(context_),
          watch_(context_, options.watch, [this](WatchNote const& event) {
              display_.say(fmt::format("{:9.3f} s ! {}",
                                       static_cast<double>(event.at.count()) / 1000, event.text));
          }) {}

    int run() {
        display_.say(fmt::format("seed {}: --seed {} draws the same decisions again",
                                 options_.watch.seed, options_.watch.seed));
        next_show_at_ = read_clocks().steady;
        wait_for_signal();
        wait_to_show();
        watch_.start([this] { context_.stop(); });
        context_.run();
        return conclude();
    }

private:
    void wait_for_signal() {
        signals_.async_wait([this](error_code error, int number) {
            if (error) return;
            if (std::exchange(ending_, true)) std::_Exit(128 + number);
            wait_for_signal();
            watch_.end_early();
        });
    }

    void wait_to_show() {
        next_show_at_ = std::max(next_show_at_ + display_.interval(), read_clocks().steady);
        show_timer_.expires_at(next_show_at_);
        show_timer_.async_wait([this](error_code error) {
            if (error) return;
            auto look = watch_.look();
            display_.show(watch_line(look), watch_json(look));
            wait_to_show();
        });
    }

    int conclude() {
        auto look = watch_.look();
        auto facts = watch_.facts();
        auto summary = watch_summary(look, facts);
        display_.show_end(watch_verdict(look, facts), summary);
        write_file(options_.summary, summary);
        write_file(options_.junit, watch_junit(look, facts));
        switch (facts.end) {
            case WatchEnd::pass:
                return 0;
            case WatchEnd::fail:
                return kFailed;
            case WatchEnd::invalid:
                return kInvalid;
        }
        return kFailed;
    }

    WatchRunOptions const& options_;
    asio::io_context context_{1};
    Display display_;
    asio::signal_set signals_;
    asio::steady_timer show_timer_;
    Watch watch_;
    SteadyTime next_show_at_{};
    bool ending_ = false;
};

}  // namespace

int run_watch(WatchRunOptions const& options) {
    // Each reader may keep some connections half open.
    auto wanted = options.watch.readers_per_way * kWays.size() * kSocketsOfReader +
                  options.watch.writers + options.watch.inboxes + kOtherFiles;
    auto limit = raise_open_files(wanted);
    if (limit < wanted) {
        throw std::runtime_error{fmt::format(
            "this watch needs {} open files, the limit is {}: raise it with `ulimit -n {}`", wanted,
            limit, wanted)};
    }
    return WatchRun{options}.run();
}

}  // namespace spoke::sim
