#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "device-sim/judge/command_note.hpp"
#include "device-sim/load/histogram.hpp"

namespace spoke::sim {

/// The stages of a command, as `spent_ms` has them, and its whole time as the rider saw it.
enum class Stage : std::uint8_t { whole, queue, down, device, up };
inline constexpr std::size_t kStageCount = 5;

[[nodiscard]] std::string_view to_text(Stage stage) noexcept;

/// What all riders did and how long it took.
struct Tally {
    std::uint64_t wishes = 0;    // things somebody wanted done
    std::uint64_t requests = 0;  // POST, GET and DELETE
    std::uint64_t posts = 0;
    std::uint64_t retries = 0;   // a POST again under the same key
    std::uint64_t lost = 0;      // requests whose connection ended before an answer
    std::uint64_t given_up = 0;  // by the rider, so that he could ask again
    std::uint64_t replayed = 0;  // answers which joined an earlier request
    std::uint64_t unreadable = 0;
    std::uint64_t rides = 0;
    std::map<std::string, std::uint64_t> errors{};  // "POST 409 device-offline"
    std::array<load::Histogram, kStageCount> times{};

    void add(Stage stage, std::chrono::nanoseconds time) {
        times[static_cast<std::size_t>(stage)].record(time);
    }
    void add(SpentTimes const& spent);
    [[nodiscard]] load::Histogram const& of(Stage stage) const noexcept {
        return times[static_cast<std::size_t>(stage)];
    }
    /// An answer with an error status; the problem's type is read from its body.
    void add_error(std::string_view method, unsigned status, std::string_view body);
    [[nodiscard]] std::uint64_t error_count() const noexcept;
};

}  // namespace spoke::sim
