#include "protocol/topic/filter_sets.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "protocol/topic/topic.hpp"
#include "tests/support/reference_matcher.hpp"

namespace spoke::mqtt {
namespace {

/// Every sequence of up to `depth` of the levels, joined.
std::vector<std::string> all_of(std::vector<std::string> const& levels, int depth) {
    std::vector<std::string> out;
    std::vector<std::string> longest = levels;
    for (auto i = 0; i < depth; ++i) {
        out.insert(out.end(), longest.begin(), longest.end());
        std::vector<std::string> longer;
        for (auto const& head : longest) {
            for (auto const& level : levels) longer.push_back(head + "/" + level);
        }
        longest = std::move(longer);
    }
    return out;
}

/// For each filter, which of all the topics match it, by the reference.
std::vector<std::vector<bool>> matrix(std::vector<std::string> const& filters,
                                      std::vector<std::string> const& topics) {
    std::vector<std::vector<bool>> out;
    for (auto const& filter : filters) {
        auto& row = out.emplace_back();
        for (auto const& topic : topics) row.push_back(test::slowly_matches(filter, topic));
    }
    return out;
}

}  // namespace

TEST_CASE("filter sets: covers and overlap say of all short filters what their topics say",
          "[topic][filter_sets]") {
    // "c" stands for every name that no filter has; topics are one level longer than filters.
    auto filters = all_of({"a", "$b", "", "+", "#"}, 3);
    std::erase_if(filters, [](auto const& filter) { return !is_valid_topic_filter(filter); });
    auto topics = all_of({"a", "$b", "", "c"}, 4);
    auto matched = matrix(filters, topics);
    auto wrong = 0;
    for (std::size_t i = 0; i < filters.size(); ++i) {
        for (std::size_t j = 0; j < filters.size(); ++j) {
            auto inside = true;
            auto common = false;
            for (std::size_t t = 0; t < topics.size(); ++t) {
                if (matched[j][t] && !matched[i][t]) inside = false;
                if (matched[j][t] && matched[i][t]) common = true;
            }
            if (covers(filters[i], filters[j]) == inside &&
                overlap(filters[i], filters[j]) == common) {
                continue;
            }
            UNSCOPED_INFO(filters[i] << " and " << filters[j] << ": inside " << inside
                                     << ", common " << common);
            ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("filter sets: an asked filter lies inside a granted one or not", "[topic][filter_sets]") {
    CHECK(covers("d/#", "d/b1/evt"));
    CHECK(covers("d/#", "d"));
    CHECK(covers("d/+/evt", "d/b1/evt"));
    CHECK(covers("d/+/evt", "d/+/evt"));
    CHECK_FALSE(covers("d/+/evt", "d/#"));
    CHECK_FALSE(covers("d/b1/#", "d/+/evt"));
    CHECK_FALSE(covers("#", "$SYS/#"));
    CHECK(covers("$SYS/#", "$SYS/+/a"));
    CHECK(overlap("d/b1/#", "d/+/evt"));
    CHECK_FALSE(overlap("d/b1/evt", "d/+/ans"));
    CHECK_FALSE(overlap("#", "$SYS/#"));
}

}  // namespace spoke::mqtt
