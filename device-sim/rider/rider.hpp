#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device-sim/device/dice.hpp"
#include "device-sim/rider/errand.hpp"

namespace spoke::sim {

/// The street, as riders see it.
class Street {
public:
    /// A bike that nobody else has, by its place in the fleet; nullopt if there is none.
    [[nodiscard]] virtual std::optional<std::size_t> take_bike(Dice& dice) = 0;
    virtual void leave_bike(std::size_t place) = 0;
    [[nodiscard]] virtual std::string bike_id(std::size_t place) const = 0;
    [[nodiscard]] virtual bool is_open(std::size_t place) const = 0;
    virtual void close_by_hand(std::size_t place) = 0;

protected:
    ~Street() = default;
};

/// What riders are like. Shares are probabilities.
struct RiderOptions {
    ErrandOptions errand{};
    std::chrono::milliseconds ttl{8'000};
    std::chrono::milliseconds ride_min{5'000};
    std::chrono::milliseconds ride_max{15'000};
    std::chrono::milliseconds rest_min{200};
    std::chrono::milliseconds rest_max{3'000};
    double looks_first_share = 0.1;     // rings or asks for the place before he unlocks
    double locks_by_order_share = 0.3;  // the others push the lock shut
    double asks_condition_share = 0.5;  // only if it is locked
    double waits_for_bike_share = 0.1;  // `if_offline: wait`
    double taps_again_share = 0.03;
    double cancels_share = 0.02;
    double waits_long_share = 0.7;    // of POSTs: as long as an order takes
    double waits_short_share = 0.15;  // 2 s; the rest does not wait at all
};

/// Somebody who takes one bike after the other: looks, unlocks, rides, locks, rests. His decisions
/// come from his own seed.
/// Owned by the city.  Thread  the one that runs the io_context.
class Rider {
public:
    /// All of these outlive him. `name`: stands in his keys, unique in the city and the run.
    Rider(boost::asio::io_context& context, RiderOptions const& options, Judge& judge, Tally& tally,
          Street& street, std::string name, std::uint64_t seed);
    Rider(Rider const&) = delete;
    Rider& operator=(Rider const&) = delete;
    ~Rider() = default;

    void start();

    /// He takes no further bike and ends his ride; `done` is called once he has left the one he
    /// has, perhaps at once.
    void go_home(std::function<void()> done);

private:
    void rest();
    void take_bike();
    void look();
    void unlock();
    void on_unlocked(Errand::End const& end);
    void ride();
    void end_ride();
    void lock_by_order();
    void leave_bike();
    [[nodiscard]] ErrandPlan plan_for(std::string const& verb, std::string const& args);
    [[nodiscard]] std::string next_key();
    void after(std::chrono::milliseconds delay, void (Rider::*next)());

    RiderOptions const& options_;
    Tally& tally_;
    Street& street_;
    std::string name_;
    Dice dice_;
    Errand errand_;
    boost::asio::steady_timer timer_;
    std::size_t bike_ = 0;
    std::uint64_t wishes_ = 0;
    bool is_at_rest_ = true;
    bool is_riding_ = false;
    bool goes_home_ = false;
    std::function<void()> gone_home_{};
};

}  // namespace spoke::sim
