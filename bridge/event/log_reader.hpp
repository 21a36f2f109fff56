#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bridge/event/event_log.hpp"

namespace spoke::bridge {

/// Reads the log from a place on: first what is there, then what comes, each event once and in
/// order, whatever the speed of whoever takes them.
/// Bound   `kWaitingMax` events that came and were not taken; beyond it they are read again from
/// the
///         log, at the pace of the taker.
/// Thread  one. The log outlives the reader.
class LogReader final : private EventFollower {
public:
    static constexpr std::size_t kWaitingMax = 64;

    /// `wake` is called when take() may have something, once until take() was called; never out of
    /// take() or the constructor. It may destroy the reader.
    /// In      `known_removed`: what has left the log up to there is no loss to the taker. By
    ///         default that is nothing behind `after`, and where `after` is 0 all that is gone:
    ///         he wants what there is.
    LogReader(EventLog& log, std::vector<std::string> filters, std::uint64_t after,
              std::function<void()> wake, std::optional<std::uint64_t> known_removed = {});
    LogReader(LogReader const&) = delete;
    LogReader& operator=(LogReader const&) = delete;
    ~LogReader();

    struct Taken {
        std::vector<SharedEvent> events{};
        bool is_end = false;  // nothing more for now: wake() will be called. Else: take again, soon
        // Before these, events may have left the log that nobody took: the taker was too slow.
        bool has_lost = false;
        bool is_stuck = false;  // the log cannot be read now: take again, but not at once

        /// The place before these events, for whoever is told of a loss.
        [[nodiscard]] std::uint64_t begin(LogReader const& reader) const {
            return events.empty() ? reader.position() : events.front()->offset() - 1;
        }

        /// The first place from which he can go on with another reader: what was removed may lie
        /// behind events of other topics, which are still kept.
        [[nodiscard]] std::uint64_t usable(LogReader const& reader) const {
            return std::max(begin(reader), reader.removed_upto_);
        }
    };

    /// The next events, `max` at most, perhaps none although it is not the end: a bounded amount of
    /// work is done.
    [[nodiscard]] Taken take(std::size_t max);

    /// Everything up to this offset has been taken or did not match.
    [[nodiscard]] std::uint64_t position() const noexcept;

    [[nodiscard]] std::vector<std::string> const& filters() const noexcept { return filters_; }

private:
    void on_event(SharedEvent const& event) override;

    EventLog& log_;  // outlives this
    std::vector<std::string> filters_;
    std::function<void()> wake_;
    std::vector<SharedEvent> waiting_;  // live: came since the last take()
    std::uint64_t position_;
    std::uint64_t removed_upto_;  // what has left the log, as far as the taker knows
    bool is_live_ = false;        // everything before waiting_ has been taken
    bool is_woken_ = false;
};

}  // namespace spoke::bridge
