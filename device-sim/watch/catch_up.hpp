#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "device-sim/watch/seen_event.hpp"

namespace spoke::sim {

/// Puts what a WebSocket brings into the order of the log while one of its topics is not read, and
/// while that one catches up from an older cursor than the others have come to: what is ahead of
/// it is kept back. Hides nothing: what is told twice or in the wrong order stays so.
/// States  whole; a topic is missing (all that comes is kept); catching up (what was missing comes,
///         and with the first event behind what is kept it is whole again).
class CatchUp {
public:
    /// A topic is not read from here on.
    void begin() { is_missing_ = true; }

    /// All topics are asked for again, the missing one from where it was left.
    void resume() { is_missing_ = false; }

    /// Takes what has come next.
    /// Out  what is to be told now, in order.
    [[nodiscard]] std::vector<SeenEvent> take(SeenEvent event);

    /// The server says that all was told. Out as above.
    [[nodiscard]] std::vector<SeenEvent> take_rest();

    [[nodiscard]] bool is_missing() const noexcept { return is_missing_; }
    [[nodiscard]] bool is_whole() const noexcept { return !is_missing_ && kept_.empty(); }
    [[nodiscard]] std::size_t kept() const noexcept { return kept_.size(); }

private:
    std::deque<SeenEvent> kept_{};
    bool is_missing_ = false;
};

}  // namespace spoke::sim
