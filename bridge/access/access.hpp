#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "bridge/access/api_key.hpp"
#include "bridge/access/identity.hpp"
#include "bridge/access/json_web_token.hpp"
#include "bridge/access/verification_key.hpp"

namespace spoke::bridge {

/// The keys there are, as their files hold them.
struct KeyMaterial {
    std::vector<VerificationKey> token_keys{};
    std::vector<ApiKey> api_keys{};
    bool is_wanted = false;  // a file was named: if it holds no key, nobody comes in

    [[nodiscard]] bool is_open() const noexcept {
        return !is_wanted && token_keys.empty() && api_keys.empty();
    }
};

/// Decides who a request is from.
/// Bound   remembers the last tokens it has verified, `kRemembered` of them, each by its hash.
/// Thread  one.
class Access {
public:
    static constexpr std::size_t kRemembered = 10'000;

    Access(TokenRules rules, KeyMaterial keys);

    /// Other keys from now on: what was let in by the old ones is asked again.
    void replace(KeyMaterial keys);

    /// No key is wanted: everybody may do everything.
    [[nodiscard]] bool is_open() const noexcept { return is_open_; }

    /// Grows whenever the keys are replaced.
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

    /// In      the Authorization header as sent; empty: none.
    [[nodiscard]] std::variant<Identity, AccessError> identify(std::string_view authorization,
                                                               WallTime now);

private:
    std::variant<Identity, AccessError> identify_key(std::string_view key, WallTime now) const;
    std::variant<Identity, AccessError> identify_token(std::string_view token, WallTime now);

    TokenRules rules_;
    std::vector<VerificationKey> token_keys_;
    std::map<Sha256, ApiKey> api_keys_;
    std::unordered_map<std::string, Token> remembered_;  // by the bytes of the token's SHA-256
    std::uint64_t generation_ = 0;
    bool is_open_ = false;
};

}  // namespace spoke::bridge
