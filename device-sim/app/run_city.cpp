#include "device-sim/app/run_city.hpp"

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
constexpr int kFailed = 1;
constexpr int kInvalid = 3;

void write_file(std::string const& name, std::string const& text) {
    if (name.empty()) return;
    std::ofstream file{name, std::ios::binary | std::ios::trunc};
    file << text << '\n';
    file.close();
    if (!file) throw std::runtime_error{fmt::format("cannot write {}", name)};
}

/// One run from start to verdict. Lives on the stack of run_city().
class CityRun {
public:
    explicit CityRun(CityRunOptions const& options)
        : options_(options),
          display_(options.json),
          signals_(context_, SIGINT, SIGTERM),
          show_timer_(context_),
          city_(context_, options.city, [this](CityEvent const& event) {
              display_.say(fmt::format("{:9.3f} s ! {}",
                                       static_cast<double>(event.at.count()) / 1000, event.text));
          }) {}

    int run() {
        display_.say(fmt::format("seed {}: --seed {} draws the same decisions again",
                                 options_.city.seed, options_.city.seed));
        next_show_at_ = read_clocks().steady;
        wait_for_signal();
        wait_to_show();
        city_.start([this] { context_.stop(); });
        context_.run();
        return conclude();
    }

private:
    void wait_for_signal() {
        signals_.async_wait([this](error_code error, int number) {
            if (error) return;
            if (std::exchange(ending_, true)) std::_Exit(128 + number);
            wait_for_signal();
            city_.end_early();
        });
    }

    void wait_to_show() {
        next_show_at_ = std::max(next_show_at_ + display_.interval(), read_clocks().steady);
        show_timer_.expires_at(next_show_at_);
        show_timer_.async_wait([this](error_code error) {
            if (error) return;
            auto look = city_.look();
            display_.show(city_line(look), city_json(look));
            wait_to_show();
        });
    }

    int conclude() {
        auto look = city_.look();
        auto facts = city_.facts();
        auto summary = city_summary(look, facts);
        display_.show_end(city_verdict(look, facts), summary);
        write_file(options_.summary, summary);
        write_file(options_.junit, city_junit(look, facts));
        switch (facts.end) {
            case CityEnd::pass:
                return 0;
            case CityEnd::fail:
                return kFailed;
            case CityEnd::invalid:
                return kInvalid;
        }
        return kFailed;
    }

    CityRunOptions const& options_;
    asio::io_context context_{1};
    Display display_;
    asio::signal_set signals_;
    asio::steady_timer show_timer_;
    City city_;
    SteadyTime next_show_at_{};
    bool ending_ = false;
};

}  // namespace

int run_city(CityRunOptions const& options) {
    auto wanted = options.city.fleet.bikes + options.city.rider_count + kOtherFiles;
    auto limit = raise_open_files(wanted);
    if (limit < wanted) {
        throw std::runtime_error{fmt::format(
            "this city needs {} open files, the limit is {}: raise it with `ulimit -n {}`", wanted,
            limit, wanted)};
    }
    return CityRun{options}.run();
}

}  // namespace spoke::sim
