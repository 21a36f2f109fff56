#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device-sim/device/lock_fact.hpp"
#include "device-sim/judge/command_note.hpp"
#include "device-sim/judge/verdict.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// What somebody wants done once, however often he has to ask for it.
struct Wish {
    std::string key{};  // the Idempotency-Key; the `ride` of an unlock as well
    std::string bike{};
    bool opens = false;
};

/// Compares what riders were told with what truly happened to the locks. Pure: everything comes in
/// with its time, by one clock for riders, locks and deadlines.
/// A wish is asked for by one or more POSTs; each ends as told (2xx), as refused (an error status)
/// or as lost. What happens to locks comes in as LockFacts, at once and in order. Contradictions
/// are found whichever side comes first, and each kind is counted once per order. Memory   grows
/// with the number of wishes.  Thread  one.
class Judge {
public:
    /// The late are given this much, for clocks which are set right while a run lasts.
    static constexpr std::chrono::milliseconds kClockTolerance{20};

    explicit Judge(WallTime began) : began_(began) {}

    /// A POST leaves.
    void on_asked(Wish const& wish, WallTime now);

    /// It ended without an answer. `rider_gave_up`: he closed the connection, so that the bridge
    /// may still read and carry out that POST after later ones.
    void on_lost(std::string_view key, bool rider_gave_up);

    /// It was answered by an error status: nothing was sent and nothing will be. Where an earlier
    /// POST of the wish is lost, only an error which comes after the look-up of the key (404, 409,
    /// 412) says so; where the rider gave one up, none does.
    void on_refused(std::string_view key, int status, WallTime now);

    /// It was answered by a command.
    void on_told(std::string_view key, CommandNote const& note, WallTime now);

    /// A GET has shown a command of which somebody was told before.
    void on_shown(CommandNote const& note, WallTime now);

    /// A GET has not found it.
    void on_missing(std::string_view id, WallTime now);

    void on_fact(std::string_view bike, LockFact const& fact, WallTime now);

    /// Every device is back and has reported. An order that is not settled is excused if its lock
    /// could not tell what became of it: neither by its journal nor by its last number.
    using CouldTell = std::function<bool(std::string_view bike, CommandNote const& order)>;
    void on_end(CouldTell const& could_tell, WallTime now);

    /// How many of the open commands would be excused now.
    [[nodiscard]] std::size_t count_mute(CouldTell const& could_tell) const;

    /// Commands that somebody was told of: all, or those not known to be settled.
    [[nodiscard]] std::vector<std::string> commands() const;
    [[nodiscard]] std::vector<std::string> open_commands() const;
    [[nodiscard]] std::size_t open_count() const noexcept { return open_; }

    /// Commands by the latest state that was told.
    [[nodiscard]] std::map<std::string, std::uint64_t> states() const;

    [[nodiscard]] std::uint64_t openings() const noexcept { return openings_; }
    [[nodiscard]] std::uint64_t excused() const noexcept { return excused_; }
    [[nodiscard]] Verdict const& verdict() const noexcept { return verdict_; }

private:
    struct Order {
        std::string bike{};
        std::string wish{};
        bool opens = false;
        // The truth.
        std::uint32_t begun = 0;
        std::uint32_t opened = 0;
        std::uint32_t closed = 0;
        std::optional<WallTime> first_seen{};  // by the lock
        std::optional<WallTime> began_at{};
        std::optional<std::int64_t> expires_at{};
        std::vector<Result> results{};
        // What was told.
        std::optional<CommandNote> note{};
        std::uint32_t flagged = 0;  // a bit per invariant
    };

    struct WishRecord {
        Wish wish;
        std::uint64_t n_before = 0;  // the highest that was told for its bike when it was asked for
        std::uint32_t lost = 0;
        std::uint32_t given_up = 0;
        std::uint32_t opened = 0;
        int refused_by = 0;  // the status that closed it
        std::string order{};
        bool flagged_refused = false;
        bool flagged_double = false;
    };

    struct Bike {
        std::uint64_t n_told = 0;
        std::array<std::uint64_t, kLaneCount> last_n{};      // carried out
        std::vector<std::pair<WallTime, LockState>> states;  // the latest changes
    };

    template <class Map, class Key>
    static auto* find_in(Map& map, Key const& key) {
        auto found = map.find(key);
        return found == map.end() ? nullptr : &found->second;
    }

    Order& order_of(std::string_view id);
    void take_note(Order& order, CommandNote const& note, WallTime now);
    void compare_settled(Order& order, CommandNote const& note, WallTime now);
    void compare(std::string_view id, Order& order, WallTime now);
    void compare_state(std::string_view id, Order& order, WallTime now);
    void compare_answer(std::string_view id, Order& order, WallTime now);
    void compare_deadline(std::string_view id, Order& order, WallTime now);
    [[nodiscard]] bool was_ever(Order const& order, std::string_view lock) const;
    void note_lock(Bike& bike, LockState lock, WallTime now);
    void on_began(Bike& bike, LockFact const& fact, Order& order, WallTime now);
    void on_opened(std::string_view bike, LockFact const& fact, Order& order, WallTime now);
    void check_refused(WishRecord& wish, WallTime now);

    void flag(Invariant invariant, std::string_view id, Order& order, std::string text,
              WallTime now);
    void add(Violation violation, WallTime now);
    [[nodiscard]] std::string when(WallTime time) const;

    WallTime began_;
    std::map<std::string, Order, std::less<>> orders_;
    std::map<std::string, WishRecord, std::less<>> wishes_;
    std::map<std::string, Bike, std::less<>> bikes_;
    std::uint64_t openings_ = 0;
    std::uint64_t excused_ = 0;
    std::size_t open_ = 0;
    Verdict verdict_;
};

}  // namespace spoke::sim
