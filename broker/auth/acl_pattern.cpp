#include "broker/auth/acl_pattern.hpp"

#include "protocol/topic/topic.hpp"

namespace spoke::broker {
namespace {

constexpr std::string_view kClientId = "%c";
constexpr std::string_view kUserName = "%u";
constexpr std::string_view kNotInALevel = "+#/";

bool contains(std::string_view text, std::string_view part) noexcept {
    return text.find(part) != std::string_view::npos;
}

std::string with_names(std::string_view text, AclNames const& names) {
    std::string filled;
    for (std::size_t at = 0; at < text.size();) {
        auto word = text.substr(at, kClientId.size());
        if (word == kClientId) {
            filled += names.client_id;
        } else if (word == kUserName) {
            filled += names.user_name.value_or("");
        } else {
            word = word.substr(0, 1);
            filled += word;
        }
        at += word.size();
    }
    return filled;
}

bool fits_in_a_level(std::string_view name) noexcept {
    return !name.empty() && name.find_first_of(kNotInALevel) == std::string_view::npos;
}

/// Whether the names may stand where the pattern has %c and %u, neither widening the filter nor
/// changing what kind of topics it is about.
bool fits(std::string_view pattern, AclNames const& names) noexcept {
    auto name_fits = [pattern](std::string_view place, std::string_view name) {
        if (!contains(pattern, place)) return true;
        if (!fits_in_a_level(name)) return false;
        return !pattern.starts_with(place) || !name.starts_with('$');
    };
    return name_fits(kClientId, names.client_id) &&
           name_fits(kUserName, names.user_name.value_or(""));
}

/// The pattern with '+' for each level that holds a name: all it could say to anyone.
std::string with_wildcards(std::string_view pattern) {
    std::string filter;
    mqtt::Levels levels{pattern};
    for (auto level = levels.next(); level; level = levels.next()) {
        if (level->data() != pattern.data()) filter += '/';
        filter += has_names(*level) ? "+" : *level;
    }
    return filter;
}

/// A denial for names that do not fit: too much is denied rather than too little.
void deny_widely(std::string_view pattern, AclNames const& names, AclRules& rules) {
    rules.add(AclWord::deny, with_wildcards(pattern));
    // The '+' at the start of that one does not match what begins with '$'.
    auto filled = with_names(pattern, names);
    auto first = *mqtt::Levels{filled}.next();
    auto first_as_filter = std::string{first} + "/#";
    if (first.starts_with('$') && has_names(*mqtt::Levels{pattern}.next()) &&
        mqtt::is_valid_topic_filter(first_as_filter))
        rules.add(AclWord::deny, first_as_filter);
}

}  // namespace

bool has_names(std::string_view pattern) noexcept {
    return contains(pattern, kClientId) || contains(pattern, kUserName);
}

void fill_in(AclWord word, std::string_view pattern, AclNames const& names, AclRules& rules) {
    if (contains(pattern, kUserName) && !names.user_name) return;
    auto filter = with_names(pattern, names);
    if (fits(pattern, names) && mqtt::is_valid_topic_filter(filter)) {
        rules.add(word, filter);
    } else if (word == AclWord::deny) {
        deny_widely(pattern, names, rules);
    }
}

}  // namespace spoke::broker
