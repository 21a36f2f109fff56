#include "device-sim/watch/catch_up.hpp"

#include <iterator>
#include <utility>

namespace spoke::sim {

std::vector<SeenEvent> CatchUp::take(SeenEvent event) {
    std::vector<SeenEvent> out;
    if (is_missing_) {
        kept_.push_back(std::move(event));
        return out;
    }
    while (!kept_.empty() && kept_.front().place.offset < event.place.offset) {
        out.push_back(std::move(kept_.front()));
        kept_.pop_front();
    }
    out.push_back(std::move(event));
    return out;
}

std::vector<SeenEvent> CatchUp::take_rest() {
    if (is_missing_) return {};
    auto rest = std::exchange(kept_, {});
    return {std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end())};
}

}  // namespace spoke::sim
