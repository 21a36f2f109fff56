#include "broker/auth/filter_sets.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/support/reference_matcher.hpp"
#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

/// All sequences of one to `levels_max` words, joined by '/', that are not empty.
std::vector<std::string> joined(std::span<std::string const> words, int levels_max) {
    std::vector<std::string> all;
    std::vector<std::string> longest{words.begin(), words.end()};
    for (auto level = 1; level <= levels_max; ++level) {
        all.insert(all.end(), longest.begin(), longest.end());
        std::vector<std::string> longer;
        for (auto const& start : longest) {
            for (auto const& word : words) longer.push_back(start + "/" + word);
        }
        longest = std::move(longer);
    }
    all.erase(std::remove(all.begin(), all.end(), ""), all.end());
    return all;
}

/// The topic names that matter for filters of `words` and up to three levels: "other" stands for
/// every word no filter names, and there is one level more than the filters have.
std::vector<std::string> const& topics() {
    static auto const all = joined(std::vector<std::string>{"a", "", "$x", "other"}, 4);
    return all;
}

std::vector<std::string> filters() {
    auto all = joined(std::vector<std::string>{"a", "", "$x", "+", "#"}, 3);
    std::erase_if(all, [](auto const& filter) { return !test::is_slowly_valid_filter(filter); });
    return all;
}

std::vector<bool> matched_by(std::string const& filter) {
    std::vector<bool> matched;
    for (auto const& topic : topics()) matched.push_back(test::slowly_matches(filter, topic));
    return matched;
}

bool holds_all(std::vector<bool> const& wide, std::vector<bool> const& narrow) {
    for (std::size_t at = 0; at < wide.size(); ++at) {
        if (narrow[at] && !wide[at]) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("covers: one filter matches all that another does", "[acl]") {
    struct Case {
        char const* wide;
        char const* narrow;
        bool covers;
    };
    for (auto [wide, narrow, expected] : {
             Case{"a", "a", true},           Case{"a", "b", false},
             Case{"+", "a", true},           Case{"a", "+", false},
             Case{"#", "a/b", true},         Case{"#", "+/b/#", true},
             Case{"a/#", "a", true},         Case{"a/#", "a/#", true},
             Case{"a/#", "a/+/b", true},     Case{"a/+", "a/#", false},
             Case{"a/+/#", "a/#", false},    Case{"+/#", "#", true},
             Case{"+/+/#", "#", false},      Case{"+/#", "a/b", true},
             Case{"#", "$SYS/x", false},     Case{"+/x", "$SYS/x", false},
             Case{"$SYS/#", "$SYS/x", true}, Case{"$SYS/+", "$SYS/$x", true},
             Case{"a/b", "a/b/#", false},    Case{"a/b/c", "a/b", false},
             Case{"a/b", "a/b/c", false},    Case{"a/", "a", false},
             Case{"+", "/", false},          Case{"+/+/#", "/#", true},
             Case{"a/#", "/#", false},       Case{"+/+", "/", true},
         }) {
        CAPTURE(wide, narrow);
        CHECK(covers(wide, narrow) == expected);
    }
}

TEST_CASE("intersection: what two filters match in common is one filter", "[acl]") {
    struct Case {
        char const* one;
        char const* other;
        char const* common;  // nullptr: nothing
    };
    for (auto [one, other, common] : {
             Case{"a", "a", "a"},
             Case{"a", "b", nullptr},
             Case{"+/b", "a/+", "a/b"},
             Case{"#", "#", "#"},
             Case{"#", "+", "+"},
             Case{"a/#", "a", "a"},
             Case{"a/#", "+", "a"},
             Case{"a/#", "+/b/#", "a/b/#"},
             Case{"a/+/#", "a", nullptr},
             Case{"a/b", "a", nullptr},
             Case{"#", "$SYS/x", nullptr},
             Case{"+/x", "$SYS/#", nullptr},
             Case{"$SYS/#", "$SYS/+/y", "$SYS/+/y"},
             Case{"a//#", "+/+/b", "a//b"},
             Case{"/#", "+", nullptr},
         }) {
        CAPTURE(one, other);
        auto expected = common ? std::optional<std::string>{common} : std::nullopt;
        CHECK(intersection(one, other) == expected);
        CHECK(intersection(other, one) == expected);
    }
}

TEST_CASE("Filter sets: agree with the topics of a small alphabet, every pair of filters",
          "[acl]") {
    auto all = filters();
    std::vector<std::vector<bool>> matched;
    for (auto const& filter : all) matched.push_back(matched_by(filter));
    auto wrong = 0;
    for (std::size_t i = 0; i < all.size() && wrong < 10; ++i) {
        for (std::size_t j = 0; j < all.size(); ++j) {
            auto common = matched[i];
            for (std::size_t at = 0; at < common.size(); ++at)
                common[at] = common[at] && matched[j][at];
            auto is_empty = std::find(common.begin(), common.end(), true) == common.end();
            auto found = intersection(all[i], all[j]);
            auto is_right = covers(all[i], all[j]) == holds_all(matched[i], matched[j]) &&
                            (found ? !is_empty && matched_by(*found) == common : is_empty);
            if (is_right) continue;
            ++wrong;
            UNSCOPED_INFO(all[i] << " and " << all[j] << " give " << found.value_or("nothing"));
        }
    }
    CHECK(wrong == 0);
    CHECK(all.size() > 100);
}

TEST_CASE("Filter sets: a topic in the intersection is one that both match, at random", "[acl]") {
    auto seed = test::seed_or(3);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    auto words = [&random](std::span<char const* const> choice) {
        std::string text;
        for (auto level = 0U, levels = 1 + static_cast<unsigned>(random() % 7); level < levels;
             ++level)
            text += (level ? "/" : "") + std::string{choice[random() % choice.size()]};
        return text;
    };
    constexpr char const* kFilterWords[] = {"a", "b", "", "$x", "+", "+", "+"};
    constexpr char const* kTopicWords[] = {"a", "b", "", "$x"};
    auto in_common = 0;
    for (auto round = 0; round < 30'000; ++round) {
        auto one = words(kFilterWords) + (random() % 2 ? "/#" : "");
        auto other = words(kFilterWords) + (random() % 2 ? "/#" : "");
        auto topic = words(kTopicWords);
        if (one.empty() || other.empty() || topic.empty()) continue;
        auto both = test::slowly_matches(one, topic) && test::slowly_matches(other, topic);
        auto common = intersection(one, other);
        auto in_intersection = common && test::slowly_matches(*common, topic);
        in_common += both;
        if (in_intersection != both) FAIL(one << " and " << other << " on " << topic);
        if (covers(one, other) && test::slowly_matches(other, topic) &&
            !test::slowly_matches(one, topic))
            FAIL(one << " does not cover " << other << ": " << topic);
    }
    CHECK(in_common > 50);
}

TEST_CASE("Filter sets: 32 000 levels cost linear time and no stack", "[acl]") {
    std::string deep;
    for (auto level = 0; level < 32'000; ++level) deep += "+/";
    CHECK(covers(deep + "#", deep + "a"));
    CHECK(covers(deep + "a", deep + "a"));
    CHECK(intersection(deep + "#", deep + "a") == deep + "a");
    CHECK_FALSE(intersection(deep + "b", deep + "a").has_value());
}
