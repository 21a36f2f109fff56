#include "bridge/access/access.hpp"

#include <utility>

namespace spoke::bridge {
namespace {

/// What stands behind "Bearer", whose case does not matter (RFC 7235, 2.1); empty if it is another
/// scheme.
std::string_view bearer(std::string_view authorization) {
    constexpr std::string_view kScheme = "bearer";
    for (char expected : kScheme) {
        if (authorization.empty() || (authorization.front() | 0x20) != expected) return {};
        authorization.remove_prefix(1);
    }
    if (!authorization.starts_with(' ')) return {};
    while (authorization.starts_with(' ')) authorization.remove_prefix(1);
    while (authorization.ends_with(' ')) authorization.remove_suffix(1);
    return authorization;
}

}  // namespace

Access::Access(TokenRules rules, KeyMaterial keys) : rules_(std::move(rules)) {
    replace(std::move(keys));
}

void Access::replace(KeyMaterial keys) {
    ++generation_;
    is_open_ = keys.is_open();
    token_keys_ = std::move(keys.token_keys);
    remembered_.clear();
    api_keys_.clear();
    for (auto& key : keys.api_keys) api_keys_.emplace(key.hash, std::move(key));
}

std::variant<Identity, AccessError> Access::identify(std::string_view authorization, WallTime now) {
    if (is_open_) return Identity{"anonymous", Scopes::all(), {}, false};
    if (authorization.empty()) return AccessError::none_given;
    auto credentials = bearer(authorization);
    if (credentials.empty()) return AccessError::malformed;
    if (credentials.starts_with(kApiKeyPrefix)) return identify_key(credentials, now);
    return identify_token(credentials, now);
}

std::variant<Identity, AccessError> Access::identify_key(std::string_view key, WallTime now) const {
    // Nothing can be learnt from how long the search of a hash takes; the last word is constant.
    auto hash = sha256(key);
    auto found = api_keys_.find(hash);
    if (found == api_keys_.end() ||
        !equal_in_constant_time(bytes_of(found->first), bytes_of(hash))) {
        return AccessError::unknown_key;
    }
    auto const& known = found->second;
    if (known.ends && now >= *known.ends) return AccessError::expired;
    Identity who{"key:" + known.name, known.scopes};
    who.ends = known.ends;
    return who;
}

std::variant<Identity, AccessError> Access::identify_token(std::string_view token, WallTime now) {
    std::string hash{bytes_of(sha256(token))};
    auto found = remembered_.find(hash);
    if (found == remembered_.end()) {
        auto result = verify_token(token, token_keys_, rules_, now);
        if (auto const* error = std::get_if<AccessError>(&result)) return *error;
        if (remembered_.size() >= kRemembered) remembered_.clear();
        found = remembered_.emplace(std::move(hash), std::get<Token>(std::move(result))).first;
    }
    auto const& known = found->second;
    if (now >= known.ends) return AccessError::expired;
    if (now < known.begins) return AccessError::not_yet;
    auto who = known.identity;
    who.ends = known.ends;
    return who;
}

}  // namespace spoke::bridge
