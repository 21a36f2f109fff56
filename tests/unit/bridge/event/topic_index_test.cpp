#include "bridge/event/topic_index.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bridge/event/event_log.hpp"
#include "protocol/topic/topic.hpp"
#include "tests/support/reference_matcher.hpp"
#include "tests/support/seed.hpp"

namespace spoke::bridge {
namespace {

struct Deaf final : EventFollower {
    void on_event(SharedEvent const&) override {}
};

std::vector<EventFollower*> matched(TopicIndex const& index, std::string_view topic) {
    std::vector<EventFollower*> out;
    index.match(topic, out);
    std::ranges::sort(out);
    return out;
}

}  // namespace

TEST_CASE("topic index: finds the followers whose filters match, as MQTT does",
          "[bridge][event][topic_index]") {
    auto seed = test::seed_or(7);
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    static constexpr std::array kLevels{"a", "b", "", "$c", "+", "#"};
    auto any_of = [&](std::size_t count) { return kLevels.at(random() % count); };
    auto path = [&](std::size_t kinds) {
        std::string out = any_of(kinds);
        for (auto more = random() % 4; more > 0; --more) out += std::string{"/"} + any_of(kinds);
        return out;
    };
    TopicIndex index;
    std::vector<Deaf> followers(8);
    std::vector<std::pair<std::string, EventFollower*>> model;
    for (auto step = 0; step < 3'000; ++step) {
        if (random() % 5 < 2 && !model.empty()) {
            auto at = model.begin() + static_cast<std::ptrdiff_t>(random() % model.size());
            index.remove(at->first, at->second);
            model.erase(at);
        } else if (auto filter = path(6); mqtt::is_valid_topic_filter(filter)) {
            auto* follower = &followers[random() % followers.size()];
            index.add(filter, follower);
            model.emplace_back(filter, follower);
        }
        REQUIRE(index.size() == model.size());
        auto topic = path(4);
        if (topic.empty()) continue;
        std::vector<EventFollower*> expected;
        for (auto const& [filter, follower] : model) {
            if (test::slowly_matches(filter, topic)) expected.push_back(follower);
        }
        std::ranges::sort(expected);
        INFO(topic);
        REQUIRE(matched(index, topic) == expected);
    }
}

TEST_CASE("topic index: what is not there is removed without effect",
          "[bridge][event][topic_index]") {
    TopicIndex index;
    Deaf one;
    Deaf other;
    index.add("a/+", &one);
    index.remove("a/+", &other);
    index.remove("a/b", &one);
    index.remove("a", &one);
    CHECK(index.size() == 1);
    CHECK(matched(index, "a/b") == std::vector<EventFollower*>{&one});
    index.remove("a/+", &one);
    CHECK(index.size() == 0);
    CHECK(matched(index, "a/b").empty());
}

}  // namespace spoke::bridge
