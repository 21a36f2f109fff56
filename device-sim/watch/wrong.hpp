#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spoke::sim {

/// What must never happen to what is written and read, however connections and programs fail.
enum class Wrong : std::uint8_t {
    events_lost,       // the log has an event that a reader was never told, or has a hole itself
    events_doubled,    // a reader was told an event twice
    events_reordered,  // a reader was told an event behind a later one
    events_altered,   // an event was told differently, or is not in the log, or nobody asked for it
    written_lost,     // a write was acknowledged, and the log does not have it
    written_doubled,  // one write is two events
    unread_wrong,     // an inbox was told to have another count than its messages and marks make
    reset_untold,     // a reader was led over a gap, and nobody told it
};
inline constexpr std::size_t kWrongCount = 8;

[[nodiscard]] std::string_view to_text(Wrong wrong) noexcept;

/// One of them, told so that somebody can look it up.
struct WrongExample {
    Wrong wrong{};
    std::string who{};  // the reader, writer or inbox
    std::string id{};   // of the event, if there is one
    std::string text{};
    std::int64_t at_ms = 0;  // since the run began
};

struct WatchVerdict {
    static constexpr std::size_t kExamplesMax = 5;  // of each kind

    std::array<std::uint64_t, kWrongCount> counts{};
    std::vector<WrongExample> examples{};

    [[nodiscard]] std::uint64_t count(Wrong wrong) const noexcept {
        return counts[static_cast<std::size_t>(wrong)];
    }
    [[nodiscard]] bool is_clean() const noexcept {
        for (auto count : counts) {
            if (count != 0) return false;
        }
        return true;
    }
    void add(WrongExample example);
};

}  // namespace spoke::sim
