#include "device-sim/watch/watch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "device-sim/load/process_sample.hpp"
#include "device-sim/watch/forgotten_topic.hpp"
#include "device-sim/watch/inbox_owner.hpp"
#include "device-sim/watch/watch_writer.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Millis = std::chrono::milliseconds;

constexpr Millis kTick{100};
constexpr Millis kLagTick{50};
constexpr Millis kPageEvery{250};
constexpr Millis kQuiet{1'500};  // without anything new in the log
constexpr unsigned kOk = 200;
constexpr unsigned kConflict = 409;
constexpr int kPageLimit = 1000;

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

std::vector<std::string> all_filters() {
    return {"t/#", "d/+/evt", "u/+/in"};
}

}  // namespace

class Watch::Impl {
public:
    Impl(asio::io_context& context, WatchOptions options, Say say);

    void start(std::function<void()> done);
    void end_early();
    [[nodiscard]] WatchLook look();
    [[nodiscard]] WatchFacts facts() const;

private:
    void wait_for_tick();
    void wait_for_lag();
    void tick();
    void enter(Phase phase);
    [[nodiscard]] Millis in_phase() const { return between(phase_began_, read_clocks().steady); }
    void ask_for_the_end();
    void begin_running(Place const& start);
    void make_readers(Place const& start);
    void make_writers();
    [[nodiscard]] std::vector<std::string> filters_of(std::size_t set) const;
    void settle();
    void read_log();
    void on_page(error_code error, HttpResponse const& response);
    void take_page(EventPage const& page);
    void look_at_inboxes();
    void conclude();
    void find_doubts();
    void say(std::string text);
    [[nodiscard]] HttpRequest request(std::string target) const;

    asio::io_context& context_;
    WatchOptions options_;
    Say say_;
    std::string run_;  // in the names of all that this run writes
    mqtt::LinkHub hub_;
    WatchJudge judge_;
    Programs programs_;
    ReaderTally reader_tally_{};
    WriterTally writer_tally_{};
    WriterOptions writer_options_{};
    LoopLag lag_{};
    Dice dice_;
    ForgottenTopic forgotten_;
    std::vector<std::unique_ptr<WatchReader>> readers_;
    std::vector<std::unique_ptr<WatchWriter>> writers_;
    std::vector<std::unique_ptr<InboxOwner>> owners_;
    std::size_t writing_ = 0;
    std::size_t looking_ = 0;
    HttpClient client_;

    asio::steady_timer tick_timer_;
    asio::steady_timer lag_timer_;
    asio::steady_timer page_timer_;
    SteadyTime lag_due_{};
    SteadyTime began_{};
    SteadyTime phase_began_{};
    SteadyTime news_at_{};  // of the log, while it is read
    Phase phase_ = Phase::starting;
    std::string log_cursor_{};
    bool is_oldest_ = false;  // the log is read from its oldest event on

    std::vector<WatchNote> notes_;
    std::vector<std::string> doubts_;  // why it proves nothing
    SteadyTime looked_at_{};
    std::chrono::nanoseconds cpu_looked_{};
    std::function<void()> done_;
};

Watch::Impl::Impl(asio::io_context& context, WatchOptions options, Say say)
    : context_(context),
      options_(std::move(options)),
      say_(std::move(say)),
      run_(fmt::format("w{}-{:x}", options_.seed,
                       read_clocks().wall.time_since_epoch().count() / 1000 % 0xFFFF'FFFF)),
      hub_(context, options_.seed),
      judge_(read_clocks().wall),
      programs_(
          context, options_.programs, [this](std::string text) { this->say(std::move(text)); },
          [this] { judge_.on_kill(read_clocks().wall); }),
      dice_(options_.seed),
      forgotten_(context, options_.reading, options_.forgets),
      client_(context, options_.reading.http),
      tick_timer_(context),
      lag_timer_(context),
      page_timer_(context) {
    options_.reading.client_prefix = run_ + "-";
    writer_options_.http = options_.reading.http;
    writer_options_.token = options_.reading.token;
    writer_options_.mqtt_host = options_.reading.mqtt_host;
    writer_options_.mqtt_port = options_.reading.mqtt_port;
    writer_options_.client_prefix = run_ + "-";
}

void Watch::Impl::start(std::function<void()> done) {
    done_ = std::move(done);
    began_ = phase_began_ = looked_at_ = read_clocks().steady;
    programs_.start();
    wait_for_tick();
    wait_for_lag();
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

HttpRequest Watch::Impl::request(std::string target) const {
    HttpRequest request{"GET", std::move(target)};
    auto const& token = options_.reading.token;
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    return request;
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

void Watch::Impl::wait_for_lag() {
    lag_due_ = std::max(lag_due_ + kLagTick, read_clocks().steady);
    lag_timer_.expires_at(lag_due_);
    lag_timer_.async_wait([this](error_code error) {
        if (error) return;
        lag_.add(
            std::chrono::duration_cast<std::chrono::microseconds>(read_clocks().steady - lag_due_));
        wait_for_lag();
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
            if (programs_.is_ready()) ask_for_the_end();
            return;
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

void Watch::Impl::ask_for_the_end() {
    if (client_.is_busy()) return;
    client_.send(request(events_target(all_filters(), "")), [this](auto error, auto const& answer) {
        if (error || phase_ != Phase::starting || answer.status != kOk) return;
        auto page = read_page(answer.body);
        auto place = page ? Place::parse(page->next) : std::nullopt;
        if (place) begin_running(*place);
    });
}

void Watch::Impl::begin_running(Place const& start) {
    enter(Phase::running);
    log_cursor_ = start.text();
    make_readers(start);
    make_writers();
    say(fmt::format("{} readers from {} on, {} writers", readers_.size(), log_cursor_,
                    writers_.size()));
    for (auto const& reader : readers_) {
        reader->start();
        reader->begin_faults();
    }
    for (auto const& writer : writers_) writer->start();
    for (auto const& owner : owners_) owner->start();
    forgotten_.start(start);
}

std::vector<std::string> Watch::Impl::filters_of(std::size_t set) const {
    switch (set % 4) {
        case 0:
            return all_filters();
        case 1:
            return {"t/#"};
        case 2:
            return {"d/+/evt", "u/+/in"};
        default:
            return {fmt::format("t/{}-0/#", run_), fmt::format("u/{}-0/in", run_)};
    }
}

void Watch::Impl::make_readers(Place const& start) {
    for (std::size_t i = 0; i < options_.readers_per_way; ++i) {
        for (auto way : kWays) {
            ReaderRole role{fmt::format("{}-{}", to_text(way), i), way, filters_of(i), start,
                            dice_.next()};
            if (readers_.empty()) role.flaw = options_.flaw;
            role.forgotten = &forgotten_;
            readers_.push_back(std::make_unique<WatchReader>(context_, hub_, options_.reading,
                                                             options_.faults, judge_, reader_tally_,
                                                             std::move(role)));
        }
    }
}

void Watch::Impl::make_writers() {
    std::vector<std::string> topics;
    std::vector<std::string> inboxes;
    for (std::size_t i = 0; i < options_.tables; ++i) {
        topics.push_back(fmt::format("t/{}-{}/say", run_, i));
    }
    for (std::size_t i = 0; i < options_.bikes; ++i) {
        topics.push_back(fmt::format("d/{}-{}/evt", run_, i));
    }
    for (std::size_t i = 0; i < options_.inboxes; ++i) {
        inboxes.push_back(fmt::format("{}-{}", run_, i));
        topics.push_back(fmt::format("u/{}/in", inboxes.back()));
        InboxOwner::Role role{inboxes.back(), i % 2 == 0, 0.2, dice_.next()};
        owners_.push_back(std::make_unique<InboxOwner>(
            context_, options_.reading.http, options_.reading.token, judge_, std::move(role)));
    }
    constexpr std::array kWriteWays{WriteWay::mqtt, WriteWay::mqtt_keyed, WriteWay::http,
                                    WriteWay::inbox};
    auto every = static_cast<double>(options_.writers) * 1000.0 / options_.events_per_s;
    for (std::size_t i = 0; i < options_.writers; ++i) {
        auto way = kWriteWays[i % kWriteWays.size()];
        WriterRole role{fmt::format("{}-{}", run_, i), way,
                        way == WriteWay::inbox ? inboxes : topics,
                        Millis{static_cast<Millis::rep>(every)}, dice_.next()};
        writers_.push_back(
            make_writer(context_, hub_, writer_options_, judge_, writer_tally_, std::move(role)));
    }
}

// ---- the end ----

void Watch::Impl::settle() {
    enter(Phase::settling);
    say("nothing more is written, the readers read to the end");
    for (auto const& reader : readers_) reader->calm();
    for (auto const& owner : owners_) owner->calm();
    writing_ = writers_.size();
    news_at_ = read_clocks().steady;
    for (auto const& writer : writers_) {
        writer->finish([this] {
            --writing_;
            news_at_ = read_clocks().steady;
        });
    }
    read_log();
}

void Watch::Impl::read_log() {
    if (phase_ == Phase::over || client_.is_busy()) return;
    auto target = events_target(all_filters(), log_cursor_);
    client_.send(request(fmt::format("{}&limit={}", target, kPageLimit)),
                 [this](auto error, auto const& response) { on_page(error, response); });
}

void Watch::Impl::on_page(error_code error, HttpResponse const& response) {
    if (phase_ == Phase::over) return;
    bool is_more = false;
    if (!error && response.status == kConflict) {
        log_cursor_ = "oldest";
        is_oldest_ = true;
    } else if (!error && response.status == kOk) {
        if (auto page = read_page(response.body)) {
            take_page(*page);
            is_more = page->events.size() == kPageLimit;
        }
    }
    if (is_more) return read_log();
    auto quiet_for = between(news_at_, read_clocks().steady);
    bool is_settled = writing_ == 0 && quiet_for >= kQuiet && judge_.behind() == 0 &&
                      judge_.missing_writes() == 0 && judge_.open_expiries(read_clocks().wall) == 0;
    if (phase_ == Phase::settling && is_settled) look_at_inboxes();
    page_timer_.expires_after(kPageEvery);
    page_timer_.async_wait([this](error_code cancelled) {
        if (!cancelled) read_log();
    });
}

void Watch::Impl::take_page(EventPage const& page) {
    if (!page.events.empty()) {
        news_at_ = read_clocks().steady;
        auto first = page.events.front().place;
        --first.offset;
        if (std::exchange(is_oldest_, false)) judge_.on_log_begins_behind(first);
    }
    for (auto const& event : page.events) judge_.on_log(event);
    log_cursor_ = page.next;
}

void Watch::Impl::look_at_inboxes() {
    enter(Phase::looking);
    looking_ = owners_.size();
    for (auto const& owner : owners_) {
        owner->look_at_the_end([this] {
            if (--looking_ == 0) conclude();
        });
    }
    if (owners_.empty()) conclude();
}

void Watch::Impl::conclude() {
    if (phase_ == Phase::over) return;
    bool was_running = phase_ != Phase::starting;
    enter(Phase::over);
    for (auto const& reader : readers_) reader->stop();
    for (auto const& writer : writers_) writer->stop();
    for (auto const& owner : owners_) owner->stop();
    forgotten_.stop();
    if (was_running) judge_.on_end(read_clocks().wall);
    find_doubts();
    tick_timer_.cancel();
    lag_timer_.cancel();
    page_timer_.cancel();
    client_.close();
    programs_.stop();
    asio::post(context_, std::exchange(done_, {}));
}

void Watch::Impl::find_doubts() {
    if (lag_.is_overloaded()) {
        doubts_.push_back(
            fmt::format("the simulator was overloaded: its loop was late by up to {} ms",
                        lag_.max().count() / 1000));
    }
    if (judge_.counts().acknowledged == 0) doubts_.emplace_back("nothing was written");
    if (writing_ != 0) {
        doubts_.push_back(fmt::format("{} writers got no answer to the end", writing_));
    }
    for (auto way : kWays) {
        if (reader_tally_.told[static_cast<std::size_t>(way)] != 0) continue;
        doubts_.push_back(fmt::format("no reader was told anything by {}", sim::to_text(way)));
    }
    if (!forgotten_.topic().empty() && !forgotten_.is_old()) {
        doubts_.push_back(
            fmt::format("the bridge has forgotten nothing of {}", forgotten_.topic()));
    }
    if (!programs_.all_killed()) doubts_.emplace_back("not every kill was done");
}

// ---- what is told ----

void Watch::Impl::say(std::string text) {
    WatchNote note{between(began_, read_clocks().steady), std::move(text)};
    notes_.push_back(note);
    say_(note);
}

WatchLook Watch::Impl::look() {
    auto now = read_clocks().steady;
    WatchLook look{.elapsed = between(began_, now),
                   .phase = std::string{to_text(phase_)},
                   .readers = readers_.size(),
                   .writers = writer_tally_,
                   .tally = reader_tally_,
                   .counts = judge_.counts(),
                   .verdict = judge_.verdict(),
                   .lag = lag_,
                   .lag_now = lag_.take_latest()};
    auto sample = load::sample_process(::getpid());
    auto cpu = sample ? sample->cpu_total : std::chrono::nanoseconds{};
    auto took = std::chrono::duration<double>{now - looked_at_}.count();
    if (took > 0) {
        look.cpu_percent = std::chrono::duration<double>{cpu - cpu_looked_}.count() / took * 100;
    }
    cpu_looked_ = cpu;
    looked_at_ = now;
    return look;
}

WatchFacts Watch::Impl::facts() const {
    WatchFacts facts;
    facts.seed = options_.seed;
    facts.faults = options_.fault_options;
    facts.notes = notes_;
    facts.broker_kills = programs_.kills_of(Program::broker);
    facts.bridge_kills = programs_.kills_of(Program::bridge);
    facts.trouble = programs_.failures();
    facts.trouble.insert(facts.trouble.end(), doubts_.begin(), doubts_.end());
    // What was seen is seen, however late.
    bool has_failed = !judge_.verdict().is_clean() || !programs_.failures().empty();
    facts.end = has_failed ? WatchEnd::fail : doubts_.empty() ? WatchEnd::pass : WatchEnd::invalid;
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

WatchFacts Watch::facts() const {
    return impl_->facts();
}

}  // namespace spoke::sim
