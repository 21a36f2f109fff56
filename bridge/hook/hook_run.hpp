#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/event/log_reader.hpp"
#include "bridge/store/hook_store.hpp"

namespace spoke::bridge {

/// What is told of one delivery.
struct HookReport {
    std::string id;
    std::string topic;
    std::string_view state;  // "sending", "waiting", "delivered", "dead"
    std::uint32_t attempts = 0;
    WallTime made_at{};                // the first attempt
    std::optional<WallTime> due_at{};  // the next one
    std::string outcome{};             // of the last one
};

/// One webhook at work: its place in the log, what was begun and is not over, what waits for its
/// next attempt. What of it is durable is said by HookStore and EventStore::put_position.
/// Thread  one.
class HookRun {
public:
    explicit HookRun(Hook hook_) : hook(std::move(hook_)) {}

    /// An event has been taken from the log; the place stays before it until it is over.
    void begin(std::uint64_t offset, std::string const& id);
    /// It has been delivered, or is in the durable queue.
    void end(std::string const& id);

    /// Up to there everything is over, or in the durable queue.
    [[nodiscard]] std::uint64_t place() const;

    /// The delivery in the queue, waiting or dead.
    void keep(HookDelivery delivery);
    /// Takes it out of the queue.
    std::optional<HookDelivery> drop(std::string const& id);
    [[nodiscard]] HookDelivery const* kept(std::string const& id) const;
    [[nodiscard]] std::map<std::string, HookDelivery> const& all_kept() const { return kept_; }

    /// The next one that waits for its time and is not under way.
    [[nodiscard]] std::optional<std::pair<WallTime, std::string>> next_due() const;
    void set_sending(std::string const& id);

    /// The dead one that was kept the longest.
    [[nodiscard]] std::string const& oldest_dead() const { return dead_.front(); }
    [[nodiscard]] std::size_t dead() const noexcept { return dead_.size(); }
    [[nodiscard]] std::size_t waiting() const noexcept { return kept_.size() - dead_.size(); }
    /// Begun and not over.
    [[nodiscard]] std::size_t begun() const noexcept { return window_.size(); }

    void add_report(HookReport report);
    [[nodiscard]] std::deque<HookReport> const& reports() const noexcept { return reports_; }

    Hook hook;
    std::unique_ptr<LogReader> reader{};
    bool may_take = true;              // the reader may have something
    bool is_stuck = false;             // but the log could not be read
    std::deque<HookDelivery> taken{};  // from the log, in order; not begun
    std::set<std::string> known{};     // ids behind the place that are in the queue
    std::size_t requests = 0;          // under way
    std::uint64_t noted_place = 0;     // as the store has it
    std::uint64_t delivered = 0;       // since the start of the process, as all counts here
    std::uint64_t failed = 0;          // attempts
    std::string last_problem{};        // of the last attempt; empty: it was fine

private:
    struct Begun {
        std::uint64_t offset;
        std::string id;
        bool is_over = false;
    };

    std::deque<Begun> window_;                        // in the order of the log
    std::map<std::string, HookDelivery> kept_;        // by id, without bodies
    std::set<std::pair<WallTime, std::string>> due_;  // those of them that wait, not under way
    std::deque<std::string> dead_;                    // ids, the oldest first
    std::deque<HookReport> reports_;                  // of the last that were delivered
};

}  // namespace spoke::bridge
