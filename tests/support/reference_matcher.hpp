#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spoke::test {

[[nodiscard]] inline std::vector<std::string> split_levels(std::string_view topic) {
    std::vector<std::string> levels(1);
    for (char character : topic) {
        if (character == '/') {
            levels.emplace_back();
        } else {
            levels.back() += character;
        }
    }
    return levels;
}

[[nodiscard]] inline bool levels_match(std::span<std::string const> filter,
                                       std::span<std::string const> name) {
    if (filter.empty()) return name.empty();
    if (filter[0] == "#") return true;
    if (name.empty()) return false;
    return (filter[0] == "+" || filter[0] == name[0]) &&
           levels_match(filter.subspan(1), name.subspan(1));
}

/// Section 4.7 word for word, level by level and without regard to speed: what the real matchers
/// are tested against.
[[nodiscard]] inline bool slowly_matches(std::string_view filter, std::string_view name) {
    auto starts_with_wildcard = filter[0] == '+' || filter[0] == '#';
    if (starts_with_wildcard && name[0] == '$') return false;
    return levels_match(split_levels(filter), split_levels(name));
}

/// Whether `filter` obeys 4.7.1, judged level by level.
[[nodiscard]] inline bool is_slowly_valid_filter(std::string_view filter) {
    if (filter.empty() || filter.size() > 65'535) return false;
    auto levels = split_levels(filter);
    for (auto const& level : levels) {
        auto has_wildcard = level.find_first_of("+#") != std::string::npos;
        if (has_wildcard && level.size() != 1) return false;
        if (level == "#" && &level != &levels.back()) return false;
    }
    return true;
}

}  // namespace spoke::test
