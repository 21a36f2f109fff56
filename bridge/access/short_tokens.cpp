#include "bridge/access/short_tokens.hpp"

#include <array>
#include <bit>

namespace spoke::bridge {

std::optional<std::string> ShortTokens::make(Identity who, WallTime ends, WallTime now) {
    forget_ended(now);
    if (tokens_.size() >= tokens_max_) {
        ++counters_.refused;
        return std::nullopt;
    }
    ++counters_.made;
    std::array<std::uint64_t, 4> words{};
    for (auto& word : words) word = random_();
    auto bytes = std::bit_cast<std::array<char, sizeof(words)>>(words);
    std::string token{kShortTokenPrefix};
    token += base64url({bytes.data(), bytes.size()});
    auto hash = sha256(token);
    tokens_.emplace(hash, Token{std::move(who), ends});
    by_end_.emplace(ends, hash);
    return token;
}

std::optional<Identity> ShortTokens::use(std::string_view token, WallTime now) {
    forget_ended(now);
    auto node = tokens_.extract(sha256(token));
    if (node.empty()) return std::nullopt;
    ++counters_.used;
    by_end_.erase({node.mapped().ends, node.key()});
    return std::move(node.mapped().who);
}

void ShortTokens::clear() {
    tokens_.clear();
    by_end_.clear();
}

void ShortTokens::forget_ended(WallTime now) {
    while (!by_end_.empty() && by_end_.begin()->first <= now) {
        tokens_.erase(by_end_.begin()->second);
        by_end_.erase(by_end_.begin());
    }
}

}  // namespace spoke::bridge
