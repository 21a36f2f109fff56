#include <algorithm>

#include "broker/auth/acl_file.hpp"
#include "broker/auth/filter_sets.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

bool any_matches(std::vector<AclFilter> const& filters, std::string_view topic) noexcept {
    return std::any_of(filters.begin(), filters.end(),
                       [topic](auto const& filter) { return filter.matches(topic); });
}

}  // namespace

AclAccess::AclAccess(std::shared_ptr<AclRules const> user, std::shared_ptr<AclRules const> common,
                     AclRules own)
    : user_(std::move(user)), common_(std::move(common)), own_(std::move(own)) {
    MQ_ASSERT(user_ && common_);
}

bool AclAccess::may_publish(std::string_view topic) const noexcept {
    auto all = parts();
    auto grants = [topic](auto const* rules) { return any_matches(rules->writable, topic); };
    return std::any_of(all.begin(), all.end(), grants) && !is_denied(topic);
}

bool AclAccess::may_receive(std::string_view topic) const noexcept {
    auto all = parts();
    auto grants = [topic](auto const* rules) { return any_matches(rules->readable, topic); };
    return std::any_of(all.begin(), all.end(), grants) && !is_denied(topic);
}

bool AclAccess::may_subscribe(std::string_view filter) const {
    for (auto const* rules : parts()) {
        for (auto const& granted : rules->readable) {
            auto readable = intersection(filter, granted.text());
            if (readable && !is_covered_by_denial(*readable)) return true;
        }
    }
    return false;
}

bool AclAccess::is_denied(std::string_view topic) const noexcept {
    auto all = parts();
    return std::any_of(all.begin(), all.end(),
                       [topic](auto const* rules) { return any_matches(rules->denied, topic); });
}

bool AclAccess::is_covered_by_denial(std::string_view filter) const noexcept {
    for (auto const* rules : parts()) {
        for (auto const& denied : rules->denied) {
            if (covers(denied.text(), filter)) return true;
        }
    }
    return false;
}

std::array<AclRules const*, 3> AclAccess::parts() const noexcept {
    return {user_.get(), common_.get(), &own_};
}

}  // namespace spoke::broker
