#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device-sim/device/dice.hpp"
#include "device-sim/watch/bad_cursor.hpp"
#include "device-sim/watch/forgotten_topic.hpp"
#include "device-sim/watch/reading.hpp"
#include "device-sim/watch/watch_faults.hpp"
#include "device-sim/watch/watch_judge.hpp"

namespace spoke::sim {

/// What a reader does wrong on purpose, so that one sees that the judge can see.
enum class ReaderFlaw : std::uint8_t { none, drops, doubles, swaps, hides };

/// What happened to all readers.
struct ReaderTally {
    std::array<std::uint64_t, kWays.size()> told{};     // events, by way
    std::array<std::uint64_t, kWays.size()> reading{};  // readers that have a connection now
    std::array<std::uint64_t, kWays.size()> resets{};   // told to one with a bad cursor, by way
    std::map<std::string, std::uint64_t> reset_why{};   // and by reason
    std::uint64_t connections = 0;
    std::uint64_t over = 0;                      // that ended by themselves
    std::map<std::string, std::uint64_t> why{};  // why; at most kWhyMax
    WatchFaultCounts faults{};

    static constexpr std::size_t kWhyMax = 40;
};

struct ReaderRole {
    std::string name{};
    Way way{};
    std::vector<std::string> filters{};
    Place start{};
    std::uint64_t seed = 0;
    ReaderFlaw flaw = ReaderFlaw::none;
    ForgottenTopic const* forgotten = nullptr;  // outlives it; null: there is none
};

/// Somebody who reads from a cursor on, over as many connections and in as many ways as it takes,
/// and tells the judge all that it is told.
/// Thread  the one that runs the io_context.
class WatchReader final : private ReadingEvents {
public:
    /// All of these outlive it.
    WatchReader(boost::asio::io_context& context, mqtt::LinkHub& hub, ReadingOptions const& options,
                WatchFaultPlan const& faults, WatchJudge& judge, ReaderTally& tally,
                ReaderRole role);
    WatchReader(WatchReader const&) = delete;
    WatchReader& operator=(WatchReader const&) = delete;
    ~WatchReader() { stop(); }

    void start();
    /// From now on faults befall it.
    void begin_faults();
    /// From now on nothing befalls it any more.
    void calm();
    void stop();

private:
    void on_connected() override;
    void on_event(SeenEvent const& event) override;
    void on_cursor(std::string const& cursor) override;
    void on_hello(HelloNote const& note) override;
    void on_reset(ResetNote const& note) override;
    void on_over(std::string const& why, std::chrono::milliseconds wait) override;

    void read();
    [[nodiscard]] ReadingWish next_wish();
    [[nodiscard]] std::optional<WantedReset> wanted_reset(ReadingWish const& wish) const;
    void take_bad_cursor();
    void read_after(std::chrono::milliseconds delay);
    void leave(Leave how);
    void wait_for_fault();
    void strike(WatchFault fault);
    void tell(SeenEvent const& event);
    void count_reading(bool begins);

    boost::asio::io_context& context_;
    mqtt::LinkHub& hub_;
    ReadingOptions const& options_;
    WatchFaultPlan const& faults_;
    WatchJudge& judge_;
    ReaderTally& tally_;
    ReaderRole role_;
    WatchJudge::Reader reader_;
    Dice dice_;
    std::string cursor_;
    std::optional<BadCursor> bad_{};  // comes with one of these, until that was told
    std::string bad_cursor_{};
    std::shared_ptr<Reading> reading_{};
    std::deque<std::shared_ptr<Reading>> half_open_{};  // left silently, the newest few
    boost::asio::steady_timer read_timer_;
    boost::asio::steady_timer fault_timer_;
    boost::asio::steady_timer slow_timer_;
    std::uint64_t connection_ = 0;
    std::uint64_t events_ = 0;
    SeenEvent kept_back_{};  // by a reader that swaps
    std::uint32_t failures_ = 0;
    bool is_connected_ = false;
    bool is_calm_ = false;
    bool is_stopped_ = false;
};

}  // namespace spoke::sim
