#include "device-sim/app/judged_run.hpp"

#include <fmt/format.h>

#include <algorithm>
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
constexpr int kFailed = 1;
constexpr int kInvalid = 3;

void write_file(std::string const& name, std::string const& text) {
    if (name.empty()) return;
    std::ofstream file{name, std::ios::binary | std::ios::trunc};
    file << text << '\n';
    file.close();
    if (!file) throw std::runtime_error{fmt::format("cannot write {}", name)};
}

int exit_code(RunEnd end) {
    switch (end) {
        case RunEnd::pass:
            return 0;
        case RunEnd::fail:
            return kFailed;
        case RunEnd::invalid:
            return kInvalid;
    }
    return kFailed;
}

/// One run from start to verdict. Lives on the stack of run_judged().
class JudgedRun {
public:
    JudgedRun(ReportOptions const& report, MakePlay const& make)
        : report_(report),
          display_(report.json),
          signals_(context_, SIGINT, SIGTERM),
          show_timer_(context_),
          play_(make(context_, [this](RunNote const& note) {
              display_.say(fmt::format("{:9.3f} s ! {}",
                                       static_cast<double>(note.at.count()) / 1000, note.text));
          })) {}

    int run(std::uint64_t seed) {
        display_.say(fmt::format("seed {0}: --seed {0} draws the same decisions again", seed));
        next_show_at_ = read_clocks().steady;
        wait_for_signal();
        wait_to_show();
        play_->start([this] { context_.stop(); });
        context_.run();
        return conclude();
    }

private:
    void wait_for_signal() {
        signals_.async_wait([this](error_code error, int number) {
            if (error) return;
            if (std::exchange(ending_, true)) std::_Exit(128 + number);
            wait_for_signal();
            play_->end_early();
        });
    }

    void wait_to_show() {
        next_show_at_ = std::max(next_show_at_ + display_.interval(), read_clocks().steady);
        show_timer_.expires_at(next_show_at_);
        show_timer_.async_wait([this](error_code error) {
            if (error) return;
            auto line = play_->line();
            display_.show(line.text, line.json);
            wait_to_show();
        });
    }

    int conclude() {
        auto verdict = play_->verdict();
        display_.show_end(verdict.text, verdict.summary);
        write_file(report_.summary, verdict.summary);
        write_file(report_.junit, verdict.junit);
        return exit_code(verdict.end);
    }

    ReportOptions const& report_;
    asio::io_context context_{1};
    Display display_;
    asio::signal_set signals_;
    asio::steady_timer show_timer_;
    std::unique_ptr<JudgedPlay> play_;
    SteadyTime next_show_at_{};
    bool ending_ = false;
};

}  // namespace

void require_open_files(std::string_view name, std::uint64_t wanted) {
    wanted += kOtherFiles;
    auto limit = raise_open_files(wanted);
    if (limit >= wanted) return;
    throw std::runtime_error{
        fmt::format("this {} needs {} open files, the limit is {}: raise it with `ulimit -n {}`",
                    name, wanted, limit, wanted)};
}

int run_judged(ReportOptions const& report, std::uint64_t seed, MakePlay const& make) {
    return JudgedRun{report, make}.run(seed);
}

}  // namespace spoke::sim
