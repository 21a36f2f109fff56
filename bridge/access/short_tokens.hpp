#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "bridge/access/encoding.hpp"
#include "bridge/access/identity.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// What a short-lived token begins with.
inline constexpr std::string_view kShortTokenPrefix = "st_";

/// Tokens for what cannot send a header, such as EventSource in a browser: each is good for one
/// request, soon. Keeps their hashes, not the tokens.
/// Bound   `tokens_max` that were neither used nor have ended.  Thread  one.
class ShortTokens {
public:
    /// `random` gives words nobody can guess.
    ShortTokens(std::size_t tokens_max, std::function<std::uint64_t()> random)
        : tokens_max_(tokens_max), random_(std::move(random)) {}

    /// A token that stands for `who` until `ends`.
    /// Errors  nullopt: there are as many as may be.
    [[nodiscard]] std::optional<std::string> make(Identity who, WallTime ends, WallTime now);

    /// Whom the token stands for; it is used up. nullopt if there is no such token (any more).
    [[nodiscard]] std::optional<Identity> use(std::string_view token, WallTime now);

    /// None of them is good any more.
    void clear();

    [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }

    struct Counters {
        std::uint64_t made = 0;
        std::uint64_t used = 0;
        std::uint64_t refused = 0;  // as many as may be were open
    };
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    struct Token {
        Identity who;
        WallTime ends{};
    };

    void forget_ended(WallTime now);

    std::size_t tokens_max_;
    std::function<std::uint64_t()> random_;
    std::map<Sha256, Token> tokens_;
    std::set<std::pair<WallTime, Sha256>> by_end_;
    Counters counters_;
};

}  // namespace spoke::bridge
