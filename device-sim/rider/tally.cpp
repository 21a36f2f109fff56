#include "device-sim/rider/tally.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>

namespace spoke::sim {

std::string_view to_text(Stage stage) noexcept {
    switch (stage) {
        case Stage::whole:
            return "whole";
        case Stage::queue:
            return "queue";
        case Stage::down:
            return "down";
        case Stage::device:
            return "device";
        case Stage::up:
            return "up";
    }
    return "";
}

void Tally::add(SpentTimes const& spent) {
    auto take = [&](Stage stage, std::optional<double> millis) {
        if (!millis) return;
        auto time = std::chrono::duration<double, std::milli>{*millis};
        add(stage, std::chrono::duration_cast<std::chrono::nanoseconds>(time));
    };
    take(Stage::queue, spent.queue);
    take(Stage::down, spent.down);
    take(Stage::device, spent.device);
    take(Stage::up, spent.up);
}

void Tally::add_error(std::string_view method, unsigned status, std::string_view body) {
    ++errors[fmt::format("{} {} {}", method, status, read_problem_type(body))];
}

std::uint64_t Tally::error_count() const noexcept {
    std::uint64_t sum = 0;
    for (auto const& [what, count] : errors) sum += count;
    return sum;
}

}  // namespace spoke::sim
