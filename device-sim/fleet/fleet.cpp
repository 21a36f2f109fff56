#include "device-sim/fleet/fleet.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "device-sim/fleet/bike.hpp"
#include "protocol/base/time.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kRampTick = 10ms;
constexpr auto kStopTimeout = 5s;
constexpr auto kTwinDelay = 20s;

/// Boot numbers must grow from run to run, since a bridge takes a smaller one for an old message,
/// and these bikes keep no flash from one run to the next: so they count the seconds of 2025 and
/// later.
std::uint32_t boot_of(WallTime now) {
    constexpr std::chrono::sys_days kEpoch{std::chrono::year{2025} / 1 / 1};
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - kEpoch).count();
    return static_cast<std::uint32_t>(std::max<std::int64_t>(seconds, 1));
}

/// What a device can hold, not what a server can.
mqtt::ClientOptions client_options() {
    mqtt::ClientOptions client;
    client.packet_size_max = 16 * 1024;
    client.queue_messages_max = 64;
    client.queue_bytes_max = 64 * 1024;
    client.in_flight_max = 16;
    return client;
}

}  // namespace

struct Fleet::Impl {
    Impl(asio::io_context& context, FleetOptions wanted);

    void make_bikes();
    [[nodiscard]] LockIdentity identity_of(std::size_t number, std::uint32_t boot) const;
    void give_faults(BikeRole& role, std::uint64_t seed);
    void wait_for_storm();
    void blow_storm();
    [[nodiscard]] std::shared_ptr<mqtt::LinkOptions> link_options(std::string bind_address) const;
    void on_ramp_tick();
    void wait_for_ramp();
    void arm_deadline_timer();
    void on_deadline_timer();
    void on_bike_stopped();
    void finish_stop();

    FleetOptions options;
    mqtt::LinkHub hub;
    FleetCommons commons;
    std::vector<std::unique_ptr<Bike>> bikes;

    asio::steady_timer ramp_timer;
    std::size_t started = 0;
    SteadyTime ramp_began = SteadyTime::max();  // not yet

    asio::steady_timer storm_timer;
    Dice storm_dice;
    bool is_calm = false;

    asio::steady_timer deadline_timer;
    SteadyTime deadline_timer_at = SteadyTime::max();

    bool stopping = false;
    asio::steady_timer stop_timer;
    std::size_t to_stop = 0;
    std::function<void()> on_all_stopped;
};

Fleet::Impl::Impl(asio::io_context& context, FleetOptions wanted)
    : options(std::move(wanted)),
      hub(context, options.seed),
      commons{options, hub, DeadlineQueue{options.bikes}},
      ramp_timer(context),
      storm_timer(context),
      storm_dice(options.seed),
      deadline_timer(context),
      stop_timer(context) {
    commons.counts.bikes = options.bikes;
    commons.on_deadline = [this] { arm_deadline_timer(); };
    commons.on_stopped = [this] { on_bike_stopped(); };
    make_bikes();
}

void Fleet::Impl::make_bikes() {
    std::vector<std::shared_ptr<mqtt::LinkOptions const>> links;
    for (auto const& address : options.bind_addresses) links.push_back(link_options(address));
    if (links.empty()) links.push_back(link_options({}));
    // One bike asks for the broker each second until it is there. Were it all of them, their delays
    // would have grown to minutes by then.
    auto scout = std::make_shared<mqtt::LinkOptions>(*links.front());
    scout->reconnect.delay_max = scout->reconnect.delay_min;

    auto boot = options.boot.value_or(boot_of(read_clocks().wall));
    bikes.reserve(options.bikes);
    for (std::size_t number = 0; number < options.bikes; ++number) {
        BikeRole role{number, identity_of(number, boot), links[number % links.size()]};
        if (number == 0) role.link = scout;
        give_faults(role, role.identity.seed);
        bikes.push_back(std::make_unique<Bike>(commons, std::move(role)));
    }
}

LockIdentity Fleet::Impl::identity_of(std::size_t number, std::uint32_t boot) const {
    // A bike's chances depend on the seed and its own number alone, however large the fleet is.
    Dice dice{options.seed * 0x9E37'79B9'7F4A'7C15U + options.first_number + number};
    LockIdentity identity;
    identity.id = options.id_prefix + std::to_string(options.first_number + number);
    identity.seed = dice.next();
    identity.boot = boot;
    bool speaks_v3 = options.v3_every != 0 && (number + 1) % options.v3_every == 0;
    identity.protocol_level = speaks_v3 ? 4 : 5;
    identity.clock_set = !dice.chance(options.clockless_share);
    return identity;
}

void Fleet::Impl::give_faults(BikeRole& role, std::uint64_t seed) {
    Dice dice{seed + 1};
    auto const& net = options.net.of(dice.unit());
    if (options.faults.is_none() && net.median.count() == 0) return;
    BikeFaults faults{options.faults, net, dice.next()};
    auto count = [&](bool has, Fault fault) {
        if (has) commons.fault_counts.add(fault);
    };
    count(faults.has_no_clock(), Fault::clock_none);
    count(faults.clock_error().has_value(), Fault::clock_wrong);
    count(faults.battery_percent().has_value(), Fault::low_battery);
    role.identity.rat = net.rat;
    role.identity.battery_percent = faults.battery_percent();
    if (faults.has_no_clock()) role.identity.clock_set = false;
    if (auto error = faults.clock_error()) role.identity.clock_error = *error;
    if (faults.has_twin()) {
        auto twin = std::make_shared<mqtt::LinkOptions>(*role.link);
        twin->reconnect.delay_min = kTwinDelay;
        twin->reconnect.delay_max = 2 * kTwinDelay;
        role.twin_link = std::move(twin);
    }
    role.air = std::make_unique<Air>(std::move(faults));
}

void Fleet::Impl::wait_for_storm() {
    auto const& storm = options.faults.of(Fault::storm);
    if (storm.share == 0) return;
    storm_timer.expires_after(storm.window.from);
    storm_timer.async_wait([this](boost::system::error_code error) {
        if (!error && !is_calm) blow_storm();
    });
}

void Fleet::Impl::blow_storm() {
    for (auto const& bike : bikes) {
        if (!storm_dice.chance(options.faults.of(Fault::storm).share)) continue;
        commons.fault_counts.add(Fault::storm);
        bike->cut(storm_dice.chance(0.5) ? mqtt::Cut::rst : mqtt::Cut::silent);
    }
}

std::shared_ptr<mqtt::LinkOptions> Fleet::Impl::link_options(std::string bind_address) const {
    auto link = std::make_shared<mqtt::LinkOptions>();
    link->host = options.host;
    link->port = options.port;
    link->tls = options.tls;
    link->bind_address = std::move(bind_address);
    link->reconnect.delay_max = options.reconnect_max;
    link->reconnect.delay_min = std::min(link->reconnect.delay_min, options.reconnect_max);
    link->client = client_options();
    return link;
}

void Fleet::Impl::on_ramp_tick() {
    if (stopping) return;  // the tick was on its way already
    auto now = read_clocks().steady;
    if (ramp_began == SteadyTime::max() && commons.counts.connects != 0) ramp_began = now;
    if (ramp_began != SteadyTime::max()) {
        auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - ramp_began);
        auto due = 1 + static_cast<std::size_t>(elapsed.count()) * options.connects_per_s / 1000;
        while (started < std::min(due, bikes.size()) &&
               commons.counts.connecting < kConnectingMax) {
            bikes[started++]->start();
        }
    }
    if (started < bikes.size()) wait_for_ramp();
}

void Fleet::Impl::wait_for_ramp() {
    ramp_timer.expires_after(kRampTick);
    ramp_timer.async_wait([this](boost::system::error_code error) {
        if (!error) on_ramp_tick();
    });
}

void Fleet::Impl::arm_deadline_timer() {
    auto next = commons.deadlines.next();
    if (!next || *next >= deadline_timer_at) return;
    deadline_timer_at = *next;
    deadline_timer.expires_at(*next);
    deadline_timer.async_wait([this](boost::system::error_code error) {
        if (!error) on_deadline_timer();
    });
}

void Fleet::Impl::on_deadline_timer() {
    // Only what is due now: a bike that is due again at once must not keep the loop from its
    // sockets.
    auto now = read_clocks().steady;
    while (auto number = commons.deadlines.pop_due(now)) bikes[*number]->on_deadline();
    deadline_timer_at = SteadyTime::max();
    arm_deadline_timer();
}

void Fleet::Impl::on_bike_stopped() {
    if (on_all_stopped && --to_stop == 0) finish_stop();
}

void Fleet::Impl::finish_stop() {
    stop_timer.cancel();
    deadline_timer.cancel();
    deadline_timer_at = SteadyTime::min();  // whatever comes now arms nothing
    auto done = std::exchange(on_all_stopped, nullptr);
    done();
}

Fleet::Fleet(asio::io_context& context, FleetOptions options)
    : impl_(std::make_unique<Impl>(context, std::move(options))) {}

Fleet::~Fleet() = default;

void Fleet::start() {
    if (impl_->bikes.empty()) return;
    impl_->bikes[impl_->started++]->start();
    impl_->on_ramp_tick();
    if (!impl_->options.faults_wait) begin_faults();
}

void Fleet::begin_faults() {
    for (auto const& bike : impl_->bikes) bike->begin_faults();
    impl_->wait_for_storm();
}

void Fleet::calm() {
    impl_->is_calm = true;
    for (auto const& bike : impl_->bikes) bike->calm();
}

void Fleet::close_by_hand(std::size_t place) {
    impl_->bikes.at(place)->close_by_hand();
}

Lock const& Fleet::lock(std::size_t place) const {
    return impl_->bikes.at(place)->lock();
}

FaultCounts const& Fleet::fault_counts() const noexcept {
    return impl_->commons.fault_counts;
}

void Fleet::stop(std::function<void()> done) {
    auto& impl = *impl_;
    impl.stopping = true;
    impl.ramp_timer.cancel();
    impl.storm_timer.cancel();
    impl.on_all_stopped = std::move(done);
    // Counted before any is asked, since a bike that waits stops at once.
    for (auto const& bike : impl.bikes) impl.to_stop += bike->is_stopped() ? 0 : 1;
    if (impl.to_stop == 0) return impl.finish_stop();
    impl.stop_timer.expires_after(kStopTimeout);
    impl.stop_timer.async_wait([&impl](boost::system::error_code error) {
        if (error) return;
        for (auto const& bike : impl.bikes) {
            if (!bike->is_stopped()) bike->stop_now();
        }
    });
    for (auto const& bike : impl.bikes) {
        if (!bike->is_stopped()) bike->stop();
    }
}

FleetCounts const& Fleet::counts() const noexcept {
    return impl_->commons.counts;
}

std::string_view Fleet::trouble() const noexcept {
    return impl_->commons.trouble;
}

}  // namespace spoke::sim
