// Random sequences of client actions against the reference model. README.md says how to run more of
// them and how to run one again.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "tests/model/player.hpp"
#include "tests/support/seed.hpp"

namespace spoke::model {
namespace {

int sequences() {
    auto const* given = std::getenv("SPOKE_MODEL_SEQUENCES");
    return given != nullptr ? std::atoi(given) : 2000;
}

void play(Sequence const& sequence) {
    Player player{sequence.setting};
    try {
        for (auto const& action : sequence.actions) player.play(action);
        player.finish();
    } catch (Disagreement const& disagreement) {
        RC_FAIL(player.trace() + "\n=> " + disagreement.what());
    }
}

}  // namespace

TEST_CASE("model: random sequences of client actions do what the specification says") {
    rc::detail::TestParams params;
    params.seed = test::seed_or(1);
    params.maxSuccess = sequences();
    auto result = rc::detail::checkTestable([] { play(*any_sequence()); },
                                            rc::detail::TestMetadata{"model", "model"}, params);
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    INFO("SPOKE_SEED=" << params.seed << " SPOKE_MODEL_SEQUENCES=" << params.maxSuccess);
    INFO(text.str());
    CHECK(result.is<rc::detail::SuccessResult>());
}

}  // namespace spoke::model
