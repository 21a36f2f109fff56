#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "bridge/store/write.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// The writes that the bridge's thread has asked for and the writer has not taken yet, in order.
/// Of a command only the newest record stays, if that one is `certain`; the audit entries and
/// events all do. Of a reader's positions only the newest stays, and it may be overtaken: it is
/// taken when it has waited as long as it may.
/// Bound   `writes_max` for `now_or_never`; `certain` writes are always taken: of each command one
///         record and what the trail does not have.
/// Thread  any.
class WriteQueue {
public:
    explicit WriteQueue(std::size_t writes_max) : writes_max_(writes_max) {}

    /// False: there are too many already, and the write (now_or_never) was not taken.
    [[nodiscard]] bool add(Write& write);

    /// Everything, as soon as there is something that has waited as long as it may; nothing if it
    /// is `until` before, or if the queue was stopped. `eager` false: not before `until`, although
    /// there is something.
    [[nodiscard]] Writes take(SteadyTime until, bool eager);

    /// The writer could not write these: those that are `certain` go back to the front, the others,
    /// and those that wait, are returned. A `now_or_never` record of a command that has a `certain`
    /// one behind it is as certain as that.
    [[nodiscard]] Writes put_back(Writes writes);

    /// `take` waits no more.
    void stop();
    [[nodiscard]] bool is_stopped() const;
    [[nodiscard]] std::size_t size() const;

private:
    void append(Write write);
    void append_position(Write write);
    [[nodiscard]] Writes take_writes();
    [[nodiscard]] Writes take_positions();
    [[nodiscard]] SteadyTime due() const { return std::min(due_, positions_due_); }

    std::size_t writes_max_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Writes writes_;
    std::unordered_map<CommandId, std::size_t> latest_;  // place in writes_ of its newest record
    SteadyTime due_ = SteadyTime::max();                 // of the first that must be written
    Writes positions_;
    std::unordered_map<std::string, std::size_t> places_;  // in positions_, by the reader's name
    SteadyTime positions_due_ = SteadyTime::max();
    bool stopped_ = false;
};

}  // namespace spoke::bridge
