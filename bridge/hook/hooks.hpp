#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/command/command.hpp"
#include "bridge/event/event_log.hpp"
#include "bridge/hook/hook_client.hpp"
#include "bridge/hook/hook_run.hpp"
#include "bridge/store/hook_store.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// What a webhook shall be.
struct HookWish {
    std::string url;
    std::vector<std::string> topics{};
    HookFormat format = HookFormat::plain;
    HookState state = HookState::active;
    std::string secret{};  // empty: the one it has; a new one, if it has none
};

/// All webhooks: reads the log for each of them from its own durable place on, begins deliveries,
/// and repeats those that fail, by the schedule of hook_retry_delay().
/// Promise every event of a hook's topics is delivered at least once, with the same webhook-id each
///         time, or is listed as dead at the end of the schedule; where the log has lost events
///         before their turn came, the hook gets an event of type `reset`. First attempts begin in
///         the order of the log.
/// Bound   the `Limits`; where a queue is full, its hook's place in the log waits.
/// Thread  one; no sockets, no clock of its own.
class Hooks {
public:
    struct Limits {
        std::size_t hooks_max = 100;
        std::size_t queue_max = 10'000;  // deliveries of one hook that are not over
        std::size_t dead_max = 1'000;    // of one hook that are listed; the oldest go
        std::size_t requests_per_hook_max = 4;
        std::size_t requests_max = 32;  // at a time
        std::chrono::milliseconds secret_overlap{std::chrono::hours{24}};
    };

    /// The world around it. All of it outlives the hooks.
    struct World {
        EventLog& log;
        HookStore& store;
        HookClient& client;
        std::function<Now()> clock;
        std::function<std::uint64_t()> random;
        std::function<void(SteadyTime)>
            wake_at;  // call on_timer() then, and not at an earlier wish
        std::function<void(std::string const&)> warn;
    };

    Hooks(Limits limits, World world) : limits_(limits), world_(std::move(world)) {}
    Hooks(Hooks const&) = delete;
    Hooks& operator=(Hooks const&) = delete;

    /// Takes over what the store holds from the process before this one. Once, before anything
    /// else.
    void restore();

    void on_timer();

    /// Begins nothing more, and notes the places: the bridge stops.
    void drain();

    enum class Change : std::uint8_t {
        made,
        changed,
        removed,
        no_such_hook,
        too_many,      // hooks
        busy,          // another change of it is being stored
        store_failed,  // nothing has changed
    };
    /// The secret where it was made or changed, to be shown once.
    using Changed = std::function<void(Change change, std::string const& secret)>;

    /// Makes a hook, whose place is the end of the log, or changes one. `done` comes once.
    void put(std::string const& name, HookWish wish, Caller const& caller, Changed done);
    void erase(std::string const& name, Caller const& caller, Changed done);

    enum class Resend : std::uint8_t {
        asked,
        under_way,
        no_such_delivery,  // and no such event in the log
        queue_full,
    };
    /// Has a delivery tried again now, from the beginning of the schedule. `id` is that of its
    /// event; one that is over is sent again if the log still has it.
    Resend resend(std::string const& name, std::string const& id);

    [[nodiscard]] HookRun const* find(std::string_view name) const;
    [[nodiscard]] std::vector<HookRun const*> list() const;

    /// The last deliveries, newest first.
    [[nodiscard]] std::vector<HookReport> deliveries(std::string_view name,
                                                     std::size_t limit) const;

    /// How many events its place is behind the end of the log; others' events count.
    [[nodiscard]] std::uint64_t behind(HookRun const& run) const;

    struct Counters {
        std::uint64_t delivered = 0;
        std::uint64_t failed = 0;  // attempts
        std::uint64_t dead = 0;
        std::uint64_t resets = 0;
        std::uint64_t disabled = 0;  // by their receivers
    };
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t size() const noexcept { return runs_.size(); }
    [[nodiscard]] std::size_t waiting() const;
    [[nodiscard]] std::size_t requests() const noexcept { return flights_.size(); }

private:
    /// A request that is under way.
    struct Flight {
        std::string hook;  // empty: it was removed meanwhile
        HookDelivery delivery;
        bool is_first = false;
    };

    HookRun& add(Hook hook, std::uint64_t place);
    void follow(HookRun& run, std::uint64_t after);
    [[nodiscard]] HookRun* run_of(std::string_view name);
    void pump();
    bool start_one(HookRun& run, Now const& now);
    void start(HookRun& run, HookDelivery delivery, bool is_first, Now const& now);
    bool retry(HookRun& run, std::string const& id, Now const& now);
    void fetch(HookRun& run);
    void tell_gap(HookRun& run, std::string_view reason, std::uint64_t after, std::uint64_t upto);
    void on_outcome(std::uint64_t ticket, HookOutcome const& outcome);
    void succeed(HookRun& run, Flight flight);
    void fail(HookRun& run, Flight flight, HookOutcome const& outcome, Now const& now);
    void keep(HookRun& run, HookDelivery delivery, bool is_first);
    void disable(HookRun& run, Now const& now);
    void over(HookRun& run, std::string const& id);
    void note_place(HookRun& run);
    void apply(Hook hook, bool is_new);
    void forget(std::string const& name);
    void wake(SteadyTime when);
    void arm(Now const& now);

    Limits limits_;
    World world_;
    std::map<std::string, std::unique_ptr<HookRun>, std::less<>> runs_;
    std::map<std::uint64_t, Flight> flights_;  // by ticket
    std::uint64_t last_ticket_ = 0;
    std::string last_served_;  // the hook whose turn was the last
    std::optional<SteadyTime> wake_;
    SteadyTime note_at_{};                         // the places of idle hooks
    bool is_more_ = false;                         // of the log, that was not read yet
    std::set<std::string, std::less<>> changing_;  // hooks whose change is being stored
    Counters counters_;
    bool is_draining_ = false;
};

}  // namespace spoke::bridge
