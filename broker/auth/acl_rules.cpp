#include "broker/auth/acl_rules.hpp"

#include <algorithm>

#include "protocol/topic/topic.hpp"

namespace spoke::broker {

AclFilter::AclFilter(std::string_view text)
    : text_(text), literal_size_(std::min(text.find_first_of("+#"), text.size())) {}

bool AclFilter::matches(std::string_view topic) const noexcept {
    auto literal = std::string_view{text_}.substr(0, literal_size_);
    auto wild = std::string_view{text_}.substr(literal_size_);
    if (wild.empty()) return topic == literal;
    if (literal.empty()) return mqtt::matches(wild, topic);
    if (!topic.starts_with(literal))  // "a/#" matches "a" as well
        return wild == "#" && topic == literal.substr(0, literal.size() - 1);
    if (wild == "#") return true;
    auto rest = topic.substr(literal.size());
    // Here '$' is a character like any other: only the first level of a topic makes it special.
    return mqtt::matches(rest.starts_with('$') ? text_ : wild,
                         rest.starts_with('$') ? topic : rest);
}

void AclRules::add(AclWord word, std::string_view filter) {
    switch (word) {
        case AclWord::read:
            readable.emplace_back(filter);
            return;
        case AclWord::write:
            writable.emplace_back(filter);
            return;
        case AclWord::readwrite:
            readable.emplace_back(filter);
            writable.emplace_back(filter);
            return;
        case AclWord::deny:
            denied.emplace_back(filter);
            return;
    }
}

}  // namespace spoke::broker
