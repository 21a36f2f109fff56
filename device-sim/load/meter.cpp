#include "device-sim/load/meter.hpp"

#include <fmt/format.h>

#include "device-sim/load/load_failure.hpp"

namespace spoke::sim::load {
namespace {

constexpr double kBoundShare = 0.9;
constexpr std::chrono::milliseconds kBoundLag{10};
constexpr double kContendedShare = 0.05;

double to_microseconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double, std::micro>{duration}.count();
}

double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

double to_seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>{duration}.count();
}

}  // namespace

JsonLine distribution_of(Histogram const& histogram) {
    JsonLine out;
    out.add("count", histogram.count());
    out.add("min", to_microseconds(histogram.min()));
    out.add("mean", to_microseconds(histogram.mean()));
    out.add("p50", to_microseconds(histogram.at(0.5)));
    out.add("p90", to_microseconds(histogram.at(0.9)));
    out.add("p99", to_microseconds(histogram.at(0.99)));
    out.add("p99_9", to_microseconds(histogram.at(0.999)));
    out.add("max", to_microseconds(histogram.max()));
    return out;
}

void Meter::begin(SteadyTime now) {
    broker_before_ = sample_broker();
    own_before_ = sample_this_thread();
    own_wait_before_ = sample_own_wait();
    begun_at_ = now;
    running_ = true;
}

void Meter::end(SteadyTime now) {
    ended_at_ = now;
    own_after_ = sample_this_thread();
    own_wait_after_ = sample_own_wait();
    broker_after_ = sample_broker();
    running_ = false;
}

ProcessSample Meter::sample_broker() const {
    if (broker_pid_ == 0) return {};
    auto sample = sample_process(broker_pid_);
    if (!sample) throw LoadFailure{fmt::format("there is no process {} to sample", broker_pid_)};
    return *sample;
}

double Meter::seconds() const noexcept {
    return std::chrono::duration<double>{ended_at_ - begun_at_}.count();
}

std::chrono::nanoseconds Meter::broker_cpu() const noexcept {
    return broker_after_.cpu_total - broker_before_.cpu_total;
}

double Meter::broker_share() const noexcept {
    return ratio(to_seconds(broker_cpu()), seconds());
}

double Meter::broker_microseconds_per(std::uint64_t count) const noexcept {
    return ratio(to_microseconds(broker_cpu()), static_cast<double>(count));
}

double Meter::generator_share() const noexcept {
    return ratio(to_seconds((own_after_ - own_before_).total()), seconds());
}

double Meter::broker_wait_share() const noexcept {
    return ratio(to_seconds(broker_after_.waited - broker_before_.waited), seconds());
}

double Meter::generator_wait_share() const noexcept {
    return ratio(to_seconds(own_wait_after_ - own_wait_before_), seconds());
}

double Meter::longest_turn_microseconds() const noexcept {
    return to_microseconds(turns_.max());
}

bool Meter::is_contended() const noexcept {
    return broker_wait_share() > kContendedShare || generator_wait_share() > kContendedShare;
}

bool Meter::is_generator_bound() const noexcept {
    return generator_share() > kBoundShare || lag_.at(0.99) > kBoundLag;
}

void Meter::describe_latency_as(JsonLine& report, std::string_view name) const {
    report.add(name, distribution_of(latency_));
}

void Meter::describe(JsonLine& report) const {
    auto delivered = static_cast<double>(delivered_);
    report.add("measured_seconds", seconds());
    report.add("delivered", delivered_);
    report.add("delivered_per_second", ratio(delivered, seconds()));
    describe_latency_as(report, "latency_us");
    if (acknowledgement_.count() != 0) {
        report.add("acknowledge_latency_us", distribution_of(acknowledgement_));
    }
    if (broker_pid_ != 0) {
        auto used = broker_after_.cpu - broker_before_.cpu;
        report.add("broker_cpu_us_per_message", broker_microseconds_per(delivered_));
        report.add("broker_user_share", ratio(to_seconds(used.user), seconds()));
        report.add("broker_system_share", ratio(to_seconds(used.system), seconds()));
        report.add("broker_wait_share", broker_wait_share());
        report.add("broker_rss_before", broker_before_.resident_bytes);
        report.add("broker_rss_after", broker_after_.resident_bytes);
    }
    report.add("generator_cpu_share", generator_share());
    report.add("generator_wait_share", generator_wait_share());
    report.add("generator_turns", turns_.count());
    report.add("generator_turn_p99_us", to_microseconds(turns_.at(0.99)));
    report.add("generator_turn_max_us", to_microseconds(turns_.max()));
    if (lag_.count() != 0) report.add("generator_lag_p99_us", to_microseconds(lag_.at(0.99)));
    report.add("generator_bound", is_generator_bound());
    report.add("contended", is_contended());
}

}  // namespace spoke::sim::load
