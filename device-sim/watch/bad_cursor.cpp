#include "device-sim/watch/bad_cursor.hpp"

#include <fmt/format.h>

namespace spoke::sim {
namespace {

constexpr std::uint64_t kFarAhead = 1'000'000'000'000;

std::string make_malformed(Place const& start, Dice& dice) {
    switch (dice.next() % 5) {
        case 0:
            return "yesterday";
        case 1:
            return start.epoch;
        case 2:
            return fmt::format(".{}", start.offset);
        case 3:
            return fmt::format("{}.-{}", start.epoch, start.offset + 1);
        default:
            return fmt::format("{}x", start.text());
    }
}

}  // namespace

std::string_view to_text(BadCursor bad) noexcept {
    switch (bad) {
        case BadCursor::malformed:
            return "malformed";
        case BadCursor::epoch:
            return "epoch";
        case BadCursor::future:
            return "future";
        case BadCursor::too_old:
            return "too-old";
    }
    return "";
}

std::string make_bad_cursor(BadCursor bad, Place const& start, Dice& dice) {
    switch (bad) {
        case BadCursor::malformed:
            return make_malformed(start, dice);
        case BadCursor::epoch:
            return Place{start.epoch == "other" ? "another" : "other", start.offset}.text();
        case BadCursor::future:
            return Place{start.epoch, start.offset + kFarAhead}.text();
        case BadCursor::too_old:
            return start.text();
    }
    return {};
}

}  // namespace spoke::sim
