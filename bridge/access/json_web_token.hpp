#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "bridge/access/identity.hpp"
#include "bridge/access/verification_key.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// Why a request is not let in.
enum class AccessError : std::uint8_t {
    none_given,     // no credentials where some are needed
    malformed,      // not a bearer token of any kind we know
    bad_signature,  // no key verifies it (wrong key, wrong algorithm, "none", changed)
    expired,        // past "exp", or the key's own end
    not_yet,        // before "nbf"
    wrong_audience,
    wrong_issuer,
    bad_claims,     // a claim that is needed is missing or of the wrong type
    unknown_key,    // no API key of this value
    unknown_token,  // no short-lived token of this value, or it was used, or it has ended
};

/// One line for people; holds nothing of the credentials.
[[nodiscard]] std::string_view describe(AccessError error) noexcept;

/// What a token must say besides being signed.
struct TokenRules {
    std::string audience{};           // empty: any
    std::string issuer{};             // empty: any
    std::chrono::seconds leeway{30};  // between its clock and ours
};

/// A verified token. It is valid in [begins, ends).
struct Token {
    Identity identity;
    WallTime begins{};
    WallTime ends{};
};

/// Checks a JWS in compact form (RFC 7515, 7519): signature first, claims after it.
/// Claims  "sub" (1..128 characters, no controls), "exp"; "nbf", "aud", "iss"; "scope", a text with
///         spaces between scopes or an array of them, unknown ones ignored; "dev", an array of
///         device ids, if the token is for these alone.
/// In      keys: only those whose algorithm is the token's, and whose id is its "kid" if both have
///         one, are tried.
[[nodiscard]] std::variant<Token, AccessError> verify_token(std::string_view token,
                                                            std::span<VerificationKey const> keys,
                                                            TokenRules const& rules, WallTime now);

/// What to put into a development token.
struct TokenWish {
    std::string subject;
    std::string scope;                   // as in the claim
    std::vector<std::string> devices{};  // "dev"; empty: no such claim
    std::string audience{};
    std::string issuer{};
    std::chrono::seconds ttl{3'600};
};

/// An HS256 token.
[[nodiscard]] std::string make_token(TokenWish const& wish, std::string_view secret, WallTime now);

}  // namespace spoke::bridge
