#include "device-sim/city/programs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr Millis kRestartMin{200};
constexpr Millis kRestartMax{2'000};
constexpr unsigned kOk = 200;

}  // namespace

Programs::Programs(boost::asio::io_context& context, ProgramsOptions options, Events events)
    : broker_("broker", options.start_broker, options.logs + "/broker.log"),
      bridge_("bridge", options.start_bridge, options.logs + "/bridge.log"),
      events_(std::move(events)),
      probe_(context, options.http),
      dice_(options.seed),
      restart_timers_{boost::asio::steady_timer{context}, boost::asio::steady_timer{context}},
      starts_broker_(!options.start_broker.empty()),
      starts_bridge_(!options.start_bridge.empty()) {
    for (auto const& kill : options.kills) kills_.push_back({kill});
}

void Programs::start() {
    if (starts_broker_) broker_.start();
    if (starts_bridge_) bridge_.start();
}

void Programs::stop() {
    is_stopped_ = true;
    for (auto& timer : restart_timers_) timer.cancel();
    probe_.close();
    bridge_.stop();
    broker_.stop();
}

Child& Programs::child_of(Program program) {
    return program == Program::broker ? broker_ : bridge_;
}

void Programs::tick() {
    for (auto program : {Program::broker, Program::bridge}) {
        auto& child = child_of(program);
        auto how = child.ended_by_itself();
        if (!how) continue;
        failures_.push_back(
            fmt::format("the {} ended by itself: {}; see {}", child.name(), *how, child.log()));
        events_.say(failures_.back());
        start_again(program);
    }
    if (!is_ready_) return ask_whether_ready();
    if (!back_since_) return;
    auto took = std::chrono::duration<double>{read_clocks().steady - *back_since_};
    events_.say(fmt::format("bridge is back; ready {:.1f} s after its start", took.count()));
    back_since_.reset();
}

void Programs::ask_whether_ready() {
    if (probe_.is_busy()) return;
    probe_.send({"GET", "/readyz"}, [this](auto error, HttpResponse const& response) {
        is_ready_ = !error && response.status == kOk;
    });
}

void Programs::kill_due(Millis elapsed) {
    for (auto& killing : kills_) {
        if (killing.done || elapsed < killing.kill.at) continue;
        auto& child = child_of(killing.kill.program);
        // One that is down is killed once it is up again.
        if (!child.is_running()) continue;
        killing.done = true;
        child.kill();
        ++killed_[static_cast<std::size_t>(killing.kill.program)];
        events_.say(fmt::format("{} killed -9", child.name()));
        if (events_.on_kill) events_.on_kill(killing.kill.program);
        start_again(killing.kill.program);
    }
}

void Programs::start_again(Program program) {
    if (program == Program::bridge) is_ready_ = false;
    auto& timer = restart_timers_[static_cast<std::size_t>(program)];
    timer.expires_after(dice_.between(kRestartMin, kRestartMax));
    timer.async_wait([this, program](boost::system::error_code error) {
        if (error || is_stopped_) return;
        child_of(program).start();
        if (program == Program::bridge) back_since_ = read_clocks().steady;
        if (events_.on_start_again) events_.on_start_again(program);
    });
}

bool Programs::all_killed() const noexcept {
    return std::all_of(kills_.begin(), kills_.end(),
                       [](Killing const& killing) { return killing.done; });
}

RunFacts facts_of_run(Programs const& programs, bool is_clean,
                      std::vector<std::string> const& doubts) {
    RunFacts facts;
    facts.broker_kills = programs.kills_of(Program::broker);
    facts.bridge_kills = programs.kills_of(Program::bridge);
    facts.trouble = programs.failures();
    facts.trouble.insert(facts.trouble.end(), doubts.begin(), doubts.end());
    // What was seen is seen, however late.
    bool has_failed = !is_clean || !programs.failures().empty();
    facts.end = has_failed ? RunEnd::fail : doubts.empty() ? RunEnd::pass : RunEnd::invalid;
    return facts;
}

}  // namespace spoke::sim
