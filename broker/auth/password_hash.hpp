#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace spoke::broker {

/// What a file may make one check cost.
struct HashLimits {
    std::uint32_t pbkdf2_iterations_max = 5'000'000;
    std::uint32_t argon2_memory_kib_max = 256U << 10;
    std::uint32_t argon2_passes_max = 32;
    std::uint32_t argon2_lanes_max = 16;
};

/// mosquitto's `$6$SALT$HASH`: SHA-512 of password and salt.
struct Sha512Hash {
    std::string salt;
    std::string hash;  // 64 bytes
};

/// mosquitto's `$7$ITERATIONS$SALT$HASH`: PBKDF2 with HMAC-SHA-512.
struct Pbkdf2Hash {
    std::uint32_t iterations = 0;
    std::string salt;
    std::string hash;  // 64 bytes
};

/// `$argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH`, as libargon2 writes it.
struct Argon2idHash {
    std::uint32_t memory_kib = 0;
    std::uint32_t passes = 0;
    std::uint32_t lanes = 0;
    std::string salt;
    std::string hash;
};

using PasswordHash = std::variant<Sha512Hash, Pbkdf2Hash, Argon2idHash>;

/// Why a text is no password hash; static storage.
struct HashError {
    std::string_view reason;
};
[[noreturn]] void throw_exception_from_error(HashError const& error,
                                             boost::source_location const& where);

/// In: what stands behind "user:" in a password file.
[[nodiscard]] boost::system::result<PasswordHash, HashError> parse_password_hash(
    std::string_view text, HashLimits const& limits = {});

/// The text that parse_password_hash() takes.
[[nodiscard]] std::string to_text(PasswordHash const& hash);

/// Whether the password has this hash. The comparison takes as long wherever the first difference
/// is. False as well if the memory for it is not there.
[[nodiscard]] bool matches(PasswordHash const& hash, std::string_view password);

/// A hash of `password` with the cost and salt of `form`, whose own hash is replaced.
/// Errors  std::runtime_error if the library refuses.
[[nodiscard]] PasswordHash hash_like(PasswordHash form, std::string_view password);

}  // namespace spoke::broker
