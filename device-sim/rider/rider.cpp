#include "device-sim/rider/rider.hpp"

#include <fmt/format.h>

#include <utility>

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;

}  // namespace

Rider::Rider(boost::asio::io_context& context, RiderOptions const& options, Judge& judge,
             Tally& tally, Street& street, std::string name, std::uint64_t seed)
    : options_(options),
      tally_(tally),
      street_(street),
      name_(std::move(name)),
      dice_(seed),
      errand_(context, options.errand, judge, tally, dice_),
      timer_(context) {}

void Rider::start() {
    rest();
}

void Rider::go_home(std::function<void()> done) {
    goes_home_ = true;
    gone_home_ = std::move(done);
    if (!is_at_rest_ && !is_riding_) return;
    timer_.cancel();
    if (is_riding_) return end_ride();
    std::exchange(gone_home_, {})();
}

void Rider::rest() {
    is_at_rest_ = true;
    if (goes_home_) return std::exchange(gone_home_, {})();
    after(dice_.between(options_.rest_min, options_.rest_max), &Rider::take_bike);
}

void Rider::take_bike() {
    auto bike = street_.take_bike(dice_);
    if (!bike) return rest();
    is_at_rest_ = false;
    bike_ = *bike;
    if (dice_.chance(options_.looks_first_share)) return look();
    unlock();
}

void Rider::look() {
    bool rings = dice_.chance(0.5);
    auto plan =
        rings ? plan_for("ring", R"({"times":1})") : plan_for("locate", R"({"fresh_s":60})");
    errand_.run(std::move(plan), [this](Errand::End const&) { unlock(); });
}

void Rider::unlock() {
    auto plan = plan_for("unlock", {});
    plan.wish.opens = true;
    std::string more;
    if (dice_.chance(options_.asks_condition_share)) more += R"(,"if":{"lock":"locked"})";
    if (dice_.chance(options_.waits_for_bike_share)) more += R"(,"if_offline":"wait")";
    plan.body = fmt::format(R"({{"do":"unlock","args":{{"ride":"{}"}},"ttl_ms":{}{}}})",
                            plan.wish.key, options_.ttl.count(), more);
    if (dice_.chance(options_.taps_again_share)) plan.taps_again = dice_.between(1ms, 2s);
    plan.cancels = dice_.chance(options_.cancels_share);
    errand_.run(std::move(plan), [this](Errand::End const& end) { on_unlocked(end); });
}

/// Whatever he was told: a bike that is open can be ridden.
void Rider::on_unlocked(Errand::End const&) {
    if (street_.is_open(bike_)) return ride();
    leave_bike();
}

void Rider::ride() {
    ++tally_.rides;
    is_riding_ = true;
    after(dice_.between(options_.ride_min, options_.ride_max), &Rider::end_ride);
}

void Rider::end_ride() {
    is_riding_ = false;
    if (dice_.chance(options_.locks_by_order_share)) return lock_by_order();
    leave_bike();
}

void Rider::lock_by_order() {
    errand_.run(plan_for("lock", {}), [this](Errand::End const&) { leave_bike(); });
}

void Rider::leave_bike() {
    street_.close_by_hand(bike_);
    street_.leave_bike(bike_);
    rest();
}

ErrandPlan Rider::plan_for(std::string const& verb, std::string const& args) {
    ErrandPlan plan;
    plan.wish.key = next_key();
    plan.wish.bike = street_.bike_id(bike_);
    auto arguments = args.empty() ? std::string{} : R"(,"args":)" + args;
    plan.body =
        fmt::format(R"({{"do":"{}"{},"ttl_ms":{}}})", verb, arguments, options_.ttl.count());
    auto drawn = dice_.unit();
    auto whole = std::chrono::ceil<std::chrono::seconds>(options_.ttl) + 3s;
    plan.wait = drawn < options_.waits_long_share                                ? whole
                : drawn < options_.waits_long_share + options_.waits_short_share ? 2s
                                                                                 : 0s;
    return plan;
}

std::string Rider::next_key() {
    return fmt::format("{}-{}", name_, ++wishes_);
}

void Rider::after(std::chrono::milliseconds delay, void (Rider::*next)()) {
    timer_.expires_after(delay);
    timer_.async_wait([this, next](boost::system::error_code error) {
        if (!error) (this->*next)();
    });
}

}  // namespace spoke::sim
