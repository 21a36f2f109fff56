#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spoke::sim {

/// What must never happen, however the network, the locks and the programs between them fail.
enum class Invariant : std::uint8_t {
    double_open,              // one wish (or one order) opened a lock more than once
    late_open,                // the motor set out to open after the order's deadline
    open_without_order,       // a lock opened for what nobody has asked for
    answer_contradicts_lock,  // an answer that the lock never gave, or that is not what it did
    succeeded_but_locked,     // `succeeded`, and the lock has not opened for it
    expired_but_opened,       // a state which says that nothing happened, and the lock has opened
    error_status_but_opened,  // an HTTP error, and the lock has opened
    order_reordered,          // carried out, or numbered, against the order of acceptance
    settled_changed,          // a settled command was told differently later
    record_lost,              // a command that was told of is gone, or its key makes another one
    left_open,                // not settled after everything is back, though the lock could tell
};
inline constexpr std::size_t kInvariantCount = 11;

[[nodiscard]] std::string_view to_text(Invariant invariant) noexcept;

/// One violation, told so that somebody can look it up in the logs.
struct Violation {
    Invariant invariant{};
    std::string bike{};
    std::string order{};  // empty if no id is known
    std::string wish{};   // the Idempotency-Key
    std::string text{};
    std::int64_t at_ms = 0;  // since the run began
};

struct Verdict {
    static constexpr std::size_t kExamplesMax = 5;  // of each invariant

    std::array<std::uint64_t, kInvariantCount> counts{};
    std::vector<Violation> examples{};

    [[nodiscard]] std::uint64_t count(Invariant invariant) const noexcept {
        return counts[static_cast<std::size_t>(invariant)];
    }
    [[nodiscard]] bool is_clean() const noexcept {
        for (auto count : counts) {
            if (count != 0) return false;
        }
        return true;
    }
};

}  // namespace spoke::sim
