#include "device-sim/watch/watch.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "device-sim/city/self_watch.hpp"
#include "device-sim/watch/log_audit.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Millis = std::chrono::milliseconds;

constexpr Millis kTick{100};
constexpr Millis kQuiet{1'500};  // without anything new in the log

enum class Phase : std::uint8_t { starting, running, settling, looking, over };

std::string_view to_text(Phase phase) noexcept {
    switch (phase) {
        case Phase::starting:
            return "starting";
        case Phase::running:
            return "running";
        case Phase::settling:
            return "settling";
        case Phase::looking:
            return "looking";
        case Phase::over:
            return "over";
    }
    return "";
}

Millis between(SteadyTime begin, SteadyTime end) {
    return std::chrono::duration_cast<Millis>(end - begin);
}

}  // namespace

class Watch::Impl {
public:
    Impl(asio::io_context& context, WatchOptions options, Say say);

    void start(std::function<void()> done);
    void end_early();
    [[nodiscard]] WatchLook look();
    [[nodiscard]] RunFacts facts() const;

private:
    void wait_for_tick();
    void tick();
    void enter(Phase phase);
    [[nodiscard]] Millis in_phase() const { return between(phase_began_, read_clocks().steady); }
    void begin_running(Place const& start);
    void settle();
    void on_log_read();
    void look_at_inboxes();
    void conclude();
    void find_doubts();
    void say(std::string text);

    asio::io_context& context_;
    WatchOptions options_;
    Say say_;
    WatchJudge judge_;
    Programs programs_;
    WatchCast cast_;
    LogAudit audit_;
    SelfWatch self_;
    asio::steady_timer tick_timer_;
    SteadyTime began_{};
    SteadyTime phase_began_{};
    Phase phase_ = Phase::starting;
    Place log_start_{};
    std::vector<RunNote> notes_;
    std::vector<std::string> doubts_;  // why it proves nothing
    std::function<void()> done_;
};

Watch::Impl::Impl(asio::io_context& context, WatchOptions options, Say say)
    : context_(context),
      options_(std::move(options)),
      say_(std::move(say)),
      judge_(read_clocks().wall),
      programs_(context, options_.programs,
                {.say = [this](std::string text) { this->say(std::move(text)); },
                 .on_kill = [this](Program) { judge_.on_kill(read_clocks().wall); }}),
      cast_(context, options_.cast, judge_),
      audit_(context, cast_.reading(), judge_, [this] { on_log_read(); }),
      self_(context),
      tick_timer_(context) {}

void Watch::Impl::start(std::function<void()> done) {
    done_ = std::move(done);
    began_ = phase_began_ = read_clocks().steady;
    programs_.start();
    wait_for_tick();
    self_.start();
}

void Watch::Impl::end_early() {
    if (phase_ == Phase::starting) {
        doubts_.emplace_back("stopped before it began");
        return conclude();
    }
    if (phase_ != Phase::running) return;
    say("ended early");
    settle();
}

// ---- time ----

void Watch::Impl::wait_for_tick() {
    tick_timer_.expires_after(kTick);
    tick_timer_.async_wait([this](error_code error) {
        if (error || phase_ == Phase::over) return;
        tick();
        if (phase_ != Phase::over) wait_for_tick();
    });
}

void Watch::Impl::enter(Phase phase) {
    phase_ = phase;
    phase_began_ = read_clocks().steady;
}

void Watch::Impl::tick() {
    programs_.tick();
    switch (phase_) {
        case Phase::starting:
            if (in_phase() >= options_.start_for) {
                doubts_.push_back(fmt::format("the bridge is not ready after {} s",
                                              options_.start_for.count() / 1000));
                return conclude();
            }
            if (!programs_.is_ready()) return;
            return audit_.find_end(WatchCast::all_filters(), [this](Place const& end) {
                if (phase_ == Phase::starting) begin_running(end);
            });
        case Phase::running:
            programs_.kill_due(in_phase());
            if (in_phase() >= options_.run_for) settle();
            return;
        case Phase::settling:
            if (in_phase() >= options_.settle_for) {
                say("not everybody was told everything in time");
                look_at_inboxes();
            }
            return;
        case Phase::looking:
            if (in_phase() >= options_.settle_for) {
                doubts_.emplace_back("an inbox could not be read at the end");
                conclude();
            }
            return;
        case Phase::over:
            return;
    }
}

// ---- the run ----

void Watch::Impl::begin_running(Place const& start) {
    enter(Phase::running);
    log_start_ = start;
    cast_.start(start);
    say(fmt::format("{} readers from {} on, {} writers", cast_.readers(), start.text(),
                    cast_.writers()));
}

void Watch::Impl::settle() {
    enter(Phase::settling);
    say("nothing more is written, the readers read to the end");
    cast_.calm([this] { audit_.note_news(); });
    audit_.start(log_start_);
}

void Watch::Impl::on_log_read() {
    if (phase_ != Phase::settling) return;
    bool is_settled = cast_.writing() == 0 && audit_.quiet_for() >= kQuiet &&
                      judge_.behind() == 0 && judge_.missing_writes() == 0 &&
                      judge_.open_expiries(read_clocks().wall) == 0;
    if (is_settled) look_at_inboxes();
}

void Watch::Impl::look_at_inboxes() {
    enter(Phase::looking);
    cast_.look_at_inboxes([this] { conclude(); });
}

void Watch::Impl::conclude() {
    if (phase_ == Phase::over) return;
    bool was_running = phase_ != Phase::starting;
    enter(Phase::over);
    cast_.stop();
    audit_.stop();
    self_.stop();
    tick_timer_.cancel();
    if (was_running) judge_.on_end(read_clocks().wall);
    find_doubts();
    programs_.stop();
    asio::post(context_, std::exchange(done_, {}));
}

void Watch::Impl::find_doubts() {
    if (self_.lag().is_overloaded()) {
        doubts_.push_back(
            fmt::format("the simulator was overloaded: its loop was late by up to {} ms",
                        self_.lag().max().count() / 1000));
    }
    if (judge_.counts().acknowledged == 0) doubts_.emplace_back("nothing was written");
    if (judge_.counts().inboxes == 0) {
        doubts_.emplace_back(
            "no state of an inbox could be judged: the log has forgotten too much");
    }
    for (auto& doubt : cast_.doubts()) doubts_.push_back(std::move(doubt));
    if (!programs_.all_killed()) doubts_.emplace_back("not every kill was done");
}

// ---- what is told ----

void Watch::Impl::say(std::string text) {
    RunNote note{between(began_, read_clocks().steady), std::move(text)};
    notes_.push_back(note);
    say_(note);
}

WatchLook Watch::Impl::look() {
    auto self = self_.look();
    return {.elapsed = between(began_, read_clocks().steady),
            .phase = std::string{to_text(phase_)},
            .readers = cast_.readers(),
            .writers = cast_.writer_tally(),
            .tally = cast_.reader_tally(),
            .counts = judge_.counts(),
            .verdict = judge_.verdict(),
            .lag = self_.lag(),
            .lag_now = self.lag,
            .cpu_percent = self.cpu_percent};
}

RunFacts Watch::Impl::facts() const {
    auto facts = facts_of_run(programs_, judge_.verdict().is_clean(), doubts_);
    facts.seed = options_.cast.seed;
    facts.faults = options_.fault_options;
    facts.notes = notes_;
    return facts;
}

Watch::Watch(asio::io_context& context, WatchOptions options, Say say)
    : impl_(std::make_unique<Impl>(context, std::move(options), std::move(say))) {}

Watch::~Watch() = default;

void Watch::start(std::function<void()> done) {
    impl_->start(std::move(done));
}

void Watch::end_early() {
    impl_->end_early();
}

WatchLook Watch::look() {
    return impl_->look();
}

RunFacts Watch::facts() const {
    return impl_->facts();
}

}  // namespace spoke::sim
