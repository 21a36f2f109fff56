#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spoke::bridge {

enum class Algorithm : std::uint8_t { hs256, rs256, es256 };

/// As a token's header spells it.
[[nodiscard]] std::string_view name_of(Algorithm algorithm) noexcept;

/// A key that tokens are checked with. It is good for one algorithm and no other: what a token
/// says of its own algorithm is compared with it, never followed.
class VerificationKey {
public:
    struct Label {
        std::string id{};  // "kid"; empty: the key has none
    };

    /// Errors  std::invalid_argument: fewer than 32 bytes (RFC 7518, 3.2).
    [[nodiscard]] static VerificationKey hs256(std::string secret, Label label);

    /// In      modulus and exponent as big-endian bytes. Errors: below 2048 bits, no RSA key.
    [[nodiscard]] static VerificationKey rs256(std::string const& n, std::string const& e,
                                               Label label);

    /// In      the coordinates of a point on P-256, 32 bytes each. Errors: no such point.
    [[nodiscard]] static VerificationKey es256(std::string const& x, std::string const& y,
                                               Label label);

    [[nodiscard]] Algorithm algorithm() const noexcept { return algorithm_; }
    [[nodiscard]] std::string const& id() const noexcept { return id_; }

    /// Whether `signature` is this key's over `text`, as RFC 7518 writes it.
    [[nodiscard]] bool verifies(std::string_view text, std::string_view signature) const;

private:
    VerificationKey(Algorithm algorithm, Label label)
        : algorithm_(algorithm), id_(std::move(label.id)) {}

    Algorithm algorithm_;
    std::string id_;
    std::string secret_{};
    std::shared_ptr<EVP_PKEY> key_{};
};

/// The keys of a JWK Set (RFC 7517). Keys of other types, curves, algorithms or uses are passed
/// over, as the RFC asks.
/// Errors  std::invalid_argument in one line that holds nothing of the keys: not a JWK Set, a key
///         that is damaged or too weak, none that can be used, more than 100.
[[nodiscard]] std::vector<VerificationKey> parse_key_set(std::string_view json_text);

/// The secret in a secret file: its first line.
[[nodiscard]] std::string_view secret_of(std::string_view text) noexcept;

/// The HS256 key of a secret file.
[[nodiscard]] VerificationKey parse_secret(std::string_view text);

}  // namespace spoke::bridge
