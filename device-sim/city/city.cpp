#include "device-sim/city/city.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "device-sim/city/phase.hpp"
#include "device-sim/city/self_watch.hpp"
#include "device-sim/fleet/fleet.hpp"
#include "device-sim/rider/auditor.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Millis = std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr Millis kTick{100};
constexpr Millis kAuditEvery{500};
constexpr Millis kHomeTimeout{180'000};
constexpr double kEnoughOnline = 0.95;
constexpr int kTriesForABike = 50;

Millis between(SteadyTime begin, SteadyTime end) {
    return std::chrono::duration_cast<Millis>(end - begin);
}

Lane lane_of_verb(std::string_view verb) {
    if (verb == "unlock" || verb == "lock") return Lane::lock;
    return verb == "ring" || verb == "locate" || verb == "state" ? Lane::info : Lane::config;
}

}  // namespace

class City::Impl final : public Street {
public:
    Impl(asio::io_context& context, CityOptions options, Say say);
    ~Impl() = default;

    void start(std::function<void()> done);
    void end_early();
    [[nodiscard]] CityLook look();
    [[nodiscard]] CityFacts facts() const;

private:
    std::optional<std::size_t> take_bike(Dice& dice) override;
    void leave_bike(std::size_t place) override { taken_[place] = false; }
    std::string bike_id(std::size_t place) const override { return fleet_->lock(place).id(); }
    bool is_open(std::size_t place) const override {
        return fleet_->lock(place).state() == LockState::unlocked;
    }
    void close_by_hand(std::size_t place) override { fleet_->close_by_hand(place); }

    void wait_for_tick();
    void tick();
    void enter(Phase phase);
    [[nodiscard]] Millis in_phase() const { return between(phase_began_, read_clocks().steady); }
    void begin_running();
    void tell_when_back();
    void send_riders_home();
    void settle();
    [[nodiscard]] bool can_tell(std::string_view bike, CommandNote const& note) const;
    [[nodiscard]] std::size_t asleep() const;
    void audit();
    void conclude();
    void stop();
    void say(std::string text);
    [[nodiscard]] bool is_online_enough() const;

    asio::io_context& context_;
    CityOptions options_;
    Say say_;
    Programs programs_;
    Judge judge_;
    Tally tally_{};
    SelfWatch self_;
    Dice dice_;
    std::unique_ptr<Fleet> fleet_;
    std::vector<bool> taken_;
    std::unordered_map<std::string, std::size_t> place_of_;
    std::vector<std::unique_ptr<Rider>> riders_;
    std::size_t riders_out_ = 0;
    Auditor auditor_;
    bool auditing_ = false;

    asio::steady_timer tick_timer_;
    SteadyTime began_{};
    SteadyTime phase_began_{};
    SteadyTime last_audit_{};
    Phase phase_ = Phase::starting;
    std::optional<SteadyTime> broker_back_since_{};

    std::vector<RunNote> notes_;
    std::vector<std::string> doubts_;  // why it proves nothing
    std::function<void()> done_;
};

City::Impl::Impl(asio::io_context& context, CityOptions options, Say say)
    : context_(context),
      options_(std::move(options)),
      say_(std::move(say)),
      programs_(context, options_.programs,
                {.say = [this](std::string text) { this->say(std::move(text)); },
                 .on_start_again =
                     [this](Program program) {
                         if (program == Program::broker) {
                             broker_back_since_ = read_clocks().steady;
                         }
                     }}),
      judge_(read_clocks().wall),
      self_(context),
      dice_(options_.seed),
      auditor_(context, options_.riders.errand.http, options_.riders.errand.token, judge_),
      tick_timer_(context) {
    options_.fleet.seed = options_.seed;
    options_.fleet.faults_wait = true;
    options_.fleet.witness = [this](std::string_view bike, LockFact const& fact, Now now) {
        judge_.on_fact(bike, fact, now.wall);
    };
    fleet_ = std::make_unique<Fleet>(context, options_.fleet);
    taken_.resize(options_.fleet.bikes);
    for (std::size_t place = 0; place < options_.fleet.bikes; ++place) {
        place_of_.emplace(bike_id(place), place);
    }
    auto run = read_clocks().wall.time_since_epoch().count() / 1000;
    for (std::size_t i = 0; i < options_.rider_count; ++i) {
        auto name = fmt::format("r{}-{}-{}", options_.seed, run, i + 1);
        riders_.push_back(std::make_unique<Rider>(context, options_.riders, judge_, tally_, *this,
                                                  std::move(name), dice_.next()));
    }
}

void City::Impl::start(std::function<void()> done) {
    done_ = std::move(done);
    began_ = phase_began_ = read_clocks().steady;
    programs_.start();
    fleet_->start();
    wait_for_tick();
    self_.start();
}

void City::Impl::end_early() {
    if (phase_ < Phase::running) {
        doubts_.emplace_back("stopped before it began");
        return conclude();
    }
    if (phase_ != Phase::running) return;
    say("ended early");
    enter(Phase::going_home);
    send_riders_home();
}

// ---- time ----

void City::Impl::wait_for_tick() {
    tick_timer_.expires_after(kTick);
    tick_timer_.async_wait([this](error_code error) {
        if (error || phase_ == Phase::over) return;
        tick();
        if (phase_ != Phase::over) wait_for_tick();
    });
}

void City::Impl::tick() {
    programs_.tick();
    tell_when_back();
    switch (phase_) {
        case Phase::starting:
            if (!programs_.failures().empty()) return conclude();
            if (programs_.is_ready()) return enter(Phase::connecting);
            break;
        case Phase::connecting:
            if (is_online_enough()) return begin_running();
            break;
        case Phase::running:
            programs_.kill_due(in_phase());
            if (in_phase() < options_.run_for) return;
            enter(Phase::going_home);
            return send_riders_home();
        case Phase::going_home:
            if (riders_out_ != 0 && in_phase() < kHomeTimeout) return;
            return enter(Phase::settling);
        case Phase::settling:
            return settle();
        case Phase::auditing:
        case Phase::over:
            return;
    }
    if (between(began_, read_clocks().steady) < options_.connect_for) return;
    doubts_.push_back(fmt::format("after {} s {} bikes of {} are online and the bridge is {}: {}",
                                  options_.connect_for.count() / 1000, fleet_->counts().online,
                                  options_.fleet.bikes,
                                  programs_.is_ready() ? "ready" : "not ready", fleet_->trouble()));
    conclude();
}

void City::Impl::enter(Phase phase) {
    phase_ = phase;
    phase_began_ = read_clocks().steady;
}

bool City::Impl::is_online_enough() const {
    auto wanted = static_cast<double>(options_.fleet.bikes) * kEnoughOnline;
    return static_cast<double>(fleet_->counts().online) >= wanted;
}

void City::Impl::tell_when_back() {
    if (!broker_back_since_ || !is_online_enough()) return;
    auto took = between(*broker_back_since_, read_clocks().steady);
    say(fmt::format("broker is back; {} of {} bikes online {:.1f} s after its start",
                    fleet_->counts().online, options_.fleet.bikes,
                    static_cast<double>(took.count()) / 1000));
    broker_back_since_.reset();
}

// ---- the run ----

void City::Impl::begin_running() {
    enter(Phase::running);
    say(fmt::format("{} bikes are online, {} riders begin", fleet_->counts().online,
                    riders_.size()));
    fleet_->begin_faults();
    riders_out_ = riders_.size();
    for (auto const& rider : riders_) rider->start();
}

std::optional<std::size_t> City::Impl::take_bike(Dice& dice) {
    for (int i = 0; i < kTriesForABike; ++i) {
        auto place = static_cast<std::size_t>(dice.next() % taken_.size());
        if (taken_[place]) continue;
        taken_[place] = true;
        return place;
    }
    return std::nullopt;
}

void City::Impl::send_riders_home() {
    say("faults are over, the riders go home");
    fleet_->calm();
    for (auto const& rider : riders_) {
        rider->go_home([this] { --riders_out_; });
    }
}

std::size_t City::Impl::asleep() const {
    std::size_t count = 0;
    for (std::size_t place = 0; place < taken_.size(); ++place) {
        count += fleet_->lock(place).is_asleep() ? 1 : 0;
    }
    return count;
}

bool City::Impl::can_tell(std::string_view bike, CommandNote const& note) const {
    auto found = place_of_.find(std::string{bike});
    if (found == place_of_.end()) return true;
    return fleet_->lock(found->second).can_tell_of(note.id, note.n, lane_of_verb(note.verb));
}

void City::Impl::settle() {
    auto now = read_clocks().steady;
    if (auditing_ || now - last_audit_ < kAuditEvery) return;
    bool all_back = fleet_->counts().online + asleep() >= options_.fleet.bikes;
    bool is_over = in_phase() > options_.settle_for;
    auto could_tell = [this](auto bike, auto const& note) { return can_tell(bike, note); };
    if (is_over || (all_back && judge_.open_count() == judge_.count_mute(could_tell))) {
        if (!all_back) {
            doubts_.push_back(fmt::format("{} of {} bikes did not come back",
                                          options_.fleet.bikes - fleet_->counts().online,
                                          options_.fleet.bikes));
        }
        return audit();
    }
    auditing_ = true;
    auditor_.read(judge_.open_commands(), [this] {
        auditing_ = false;
        last_audit_ = read_clocks().steady;
    });
}

void City::Impl::audit() {
    enter(Phase::auditing);
    auto all = judge_.commands();
    say(fmt::format("reading all {} commands once more", all.size()));
    auditor_.read(std::move(all), [this] {
        auto could_tell = [this](auto bike, auto const& note) { return can_tell(bike, note); };
        judge_.on_end(could_tell, read_clocks().wall);
        conclude();
    });
}

void City::Impl::conclude() {
    if (self_.lag().is_overloaded()) {
        doubts_.push_back(
            fmt::format("the simulator was overloaded: its loop was late by up to "
                        "{} ms",
                        self_.lag().max().count() / 1000));
    }
    if (judge_.openings() == 0) doubts_.emplace_back("no lock has opened");
    if (!programs_.all_killed()) {
        doubts_.emplace_back("not every kill was done");
    }
    enter(Phase::over);
    tick_timer_.cancel();
    self_.stop();
    fleet_->stop([this] { stop(); });
}

void City::Impl::stop() {
    programs_.stop();
    std::exchange(done_, {})();
}

// ---- what is told ----

void City::Impl::say(std::string text) {
    RunNote event{between(began_, read_clocks().steady), std::move(text)};
    notes_.push_back(event);
    say_(event);
}

CityLook City::Impl::look() {
    auto self = self_.look();
    return {.elapsed = between(began_, read_clocks().steady),
            .phase = std::string{to_text(phase_)},
            .riders = riders_.size(),
            .openings = judge_.openings(),
            .open_commands = judge_.open_count(),
            .excused = judge_.excused(),
            .states = judge_.states(),
            .fleet = fleet_->counts(),
            .faults = fleet_->fault_counts(),
            .tally = tally_,
            .verdict = judge_.verdict(),
            .lag = self_.lag(),
            .lag_now = self.lag,
            .cpu_percent = self.cpu_percent};
}

CityFacts City::Impl::facts() const {
    CityFacts facts{facts_of_run(programs_, judge_.verdict().is_clean(), doubts_)};
    facts.seed = options_.seed;
    facts.bikes = options_.fleet.bikes;
    facts.firmware = options_.firmware;
    facts.faults = options_.faults;
    facts.net = options_.net;
    facts.notes = notes_;
    return facts;
}

City::City(asio::io_context& context, CityOptions options, Say say)
    : impl_(std::make_unique<Impl>(context, std::move(options), std::move(say))) {}

City::~City() = default;

void City::start(std::function<void()> done) {
    impl_->start(std::move(done));
}

void City::end_early() {
    impl_->end_early();
}

CityLook City::look() {
    return impl_->look();
}

CityFacts City::facts() const {
    return impl_->facts();
}

}  // namespace spoke::sim
