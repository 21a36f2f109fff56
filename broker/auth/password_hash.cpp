#include "broker/auth/password_hash.hpp"

#include <argon2.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <charconv>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "protocol/base/assert.hpp"
#include "protocol/base/base64.hpp"

namespace spoke::broker {
namespace {

using Parsed = boost::system::result<PasswordHash, HashError>;

constexpr std::size_t kSha512Size = 64;
constexpr std::size_t kSaltSizeMax = 64;
constexpr std::size_t kArgon2SaltSizeMin = 8;
constexpr std::size_t kArgon2HashSizeMin = 16;

/// "a$b$c" as {"a", "b", "c"}.
std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        auto end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::optional<std::uint32_t> number_of(std::string_view text) noexcept {
    std::uint32_t number = 0;
    auto const* end = text.data() + text.size();
    auto result = std::from_chars(text.data(), end, number);
    if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
    return number;
}

/// The number behind `name`: 3 of "t=3".
std::optional<std::uint32_t> setting_of(std::string_view text, std::string_view name) noexcept {
    if (!text.starts_with(name)) return std::nullopt;
    return number_of(text.substr(name.size()));
}

std::optional<HashError> check_sha512(std::optional<std::string> const& salt,
                                      std::optional<std::string> const& hash) {
    if (!salt || salt->empty() || salt->size() > kSaltSizeMax)
        return HashError{"the salt is not 1 to 64 bytes in base64"};
    if (!hash || hash->size() != kSha512Size)
        return HashError{"the hash is not 64 bytes in base64"};
    return std::nullopt;
}

Parsed parse_sha512(std::vector<std::string_view> const& parts) {
    if (parts.size() != 4) return HashError{"expected $6$SALT$HASH"};
    auto salt = from_base64(parts[2]);
    auto hash = from_base64(parts[3]);
    if (auto error = check_sha512(salt, hash)) return *error;
    return PasswordHash{Sha512Hash{std::move(*salt), std::move(*hash)}};
}

Parsed parse_pbkdf2(std::vector<std::string_view> const& parts, HashLimits const& limits) {
    if (parts.size() != 5) return HashError{"expected $7$ITERATIONS$SALT$HASH"};
    auto iterations = number_of(parts[2]);
    if (!iterations || *iterations == 0)
        return HashError{"the iterations are not a number above 0"};
    if (*iterations > limits.pbkdf2_iterations_max)
        return HashError{"more iterations than are accepted"};
    auto salt = from_base64(parts[3]);
    auto hash = from_base64(parts[4]);
    if (auto error = check_sha512(salt, hash)) return *error;
    return PasswordHash{Pbkdf2Hash{*iterations, std::move(*salt), std::move(*hash)}};
}

/// The three numbers of "m=65536,t=3,p=4".
boost::system::result<Argon2idHash, HashError> parse_argon2id_cost(std::string_view text,
                                                                   HashLimits const& limits) {
    auto settings = split(text, ',');
    if (settings.size() != 3) return HashError{"expected m=KIB,t=PASSES,p=LANES"};
    auto memory = setting_of(settings[0], "m=");
    auto passes = setting_of(settings[1], "t=");
    auto lanes = setting_of(settings[2], "p=");
    if (!memory || !passes || !lanes || *passes == 0 || *lanes == 0)
        return HashError{"expected m=KIB,t=PASSES,p=LANES with numbers above 0"};
    if (*passes > limits.argon2_passes_max) return HashError{"more passes than are accepted"};
    if (*lanes > limits.argon2_lanes_max) return HashError{"more lanes than are accepted"};
    if (*memory > limits.argon2_memory_kib_max) return HashError{"more memory than is accepted"};
    if (*memory < 2 * ARGON2_SYNC_POINTS * *lanes)
        return HashError{"less than 8 KiB of memory for a lane"};
    return Argon2idHash{*memory, *passes, *lanes, {}, {}};
}

Parsed parse_argon2id(std::vector<std::string_view> const& parts, HashLimits const& limits) {
    if (parts.size() != 6 || parts[2] != "v=19")
        return HashError{"expected $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH"};
    auto parsed = parse_argon2id_cost(parts[3], limits);
    if (!parsed) return parsed.error();
    auto salt = from_base64(parts[4], Base64Padding::without);
    auto hash = from_base64(parts[5], Base64Padding::without);
    if (!salt || salt->size() < kArgon2SaltSizeMin || salt->size() > kSaltSizeMax)
        return HashError{"the salt is not 8 to 64 bytes in base64 without padding"};
    if (!hash || hash->size() < kArgon2HashSizeMin || hash->size() > kSha512Size)
        return HashError{"the hash is not 16 to 64 bytes in base64 without padding"};
    parsed->salt = std::move(*salt);
    parsed->hash = std::move(*hash);
    return PasswordHash{std::move(*parsed)};
}

unsigned char const* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<unsigned char const*>(text.data());
}

unsigned char* bytes_of(std::string& text) noexcept {
    return reinterpret_cast<unsigned char*>(text.data());
}

/// The hash of `password` with the cost and salt of a form; nullopt if the library refuses, for
/// want of memory above all.
struct Compute {
    std::string_view password;

    std::optional<std::string> operator()(Sha512Hash const& form) const {
        std::string hash(kSha512Size, '\0');
        auto* context = EVP_MD_CTX_new();
        auto done = context && EVP_DigestInit_ex(context, EVP_sha512(), nullptr) == 1 &&
                    EVP_DigestUpdate(context, password.data(), password.size()) == 1 &&
                    EVP_DigestUpdate(context, form.salt.data(), form.salt.size()) == 1 &&
                    EVP_DigestFinal_ex(context, bytes_of(hash), nullptr) == 1;
        EVP_MD_CTX_free(context);
        if (!done) return std::nullopt;
        return hash;
    }

    std::optional<std::string> operator()(Pbkdf2Hash const& form) const {
        std::string hash(kSha512Size, '\0');
        auto done = PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                                      bytes_of(form.salt), static_cast<int>(form.salt.size()),
                                      static_cast<int>(form.iterations), EVP_sha512(),
                                      static_cast<int>(hash.size()), bytes_of(hash));
        if (done != 1) return std::nullopt;
        return hash;
    }

    std::optional<std::string> operator()(Argon2idHash const& form) const {
        std::string hash(form.hash.size(), '\0');
        std::string salt = form.salt;
        argon2_context context{};
        context.out = bytes_of(hash);
        context.outlen = static_cast<std::uint32_t>(hash.size());
        // Not written to without ARGON2_FLAG_CLEAR_PASSWORD.
        context.pwd = const_cast<unsigned char*>(bytes_of(password));
        context.pwdlen = static_cast<std::uint32_t>(password.size());
        context.salt = bytes_of(salt);
        context.saltlen = static_cast<std::uint32_t>(salt.size());
        context.t_cost = form.passes;
        context.m_cost = form.memory_kib;
        context.lanes = form.lanes;
        context.threads = 1;  // the lanes one after the other: the result is the same
        context.version = ARGON2_VERSION_13;
        context.flags = ARGON2_DEFAULT_FLAGS;
        if (argon2id_ctx(&context) != ARGON2_OK) return std::nullopt;
        return hash;
    }
};

std::string const& hash_of(PasswordHash const& hash) noexcept {
    return std::visit([](auto const& form) -> std::string const& { return form.hash; }, hash);
}

std::optional<std::string> compute(PasswordHash const& form, std::string_view password) {
    MQ_ASSERT(password.size() <= std::numeric_limits<int>::max());
    return std::visit(Compute{password}, form);
}

}  // namespace

void throw_exception_from_error(HashError const&, boost::source_location const& where) {
    assertion_failed("a value was taken from a failed result", where.file_name(),
                     static_cast<int>(where.line()));
}

Parsed parse_password_hash(std::string_view text, HashLimits const& limits) {
    auto parts = split(text, '$');
    if (parts.size() < 2 || !parts[0].empty()) return HashError{"the hash does not begin with $"};
    if (parts[1] == "6") return parse_sha512(parts);
    if (parts[1] == "7") return parse_pbkdf2(parts, limits);
    if (parts[1] == "argon2id") return parse_argon2id(parts, limits);
    return HashError{"unknown kind of hash; known are $6$, $7$ and $argon2id$"};
}

std::string to_text(PasswordHash const& hash) {
    struct ToText {
        std::string operator()(Sha512Hash const& form) const {
            return fmt::format("$6${}${}", to_base64(form.salt), to_base64(form.hash));
        }
        std::string operator()(Pbkdf2Hash const& form) const {
            return fmt::format("$7${}${}${}", form.iterations, to_base64(form.salt),
                               to_base64(form.hash));
        }
        std::string operator()(Argon2idHash const& form) const {
            return fmt::format("$argon2id$v=19$m={},t={},p={}${}${}", form.memory_kib, form.passes,
                               form.lanes, to_base64(form.salt, Base64Padding::without),
                               to_base64(form.hash, Base64Padding::without));
        }
    };
    return std::visit(ToText{}, hash);
}

bool matches(PasswordHash const& hash, std::string_view password) {
    auto computed = compute(hash, password);
    auto const& wanted = hash_of(hash);
    return computed && CRYPTO_memcmp(computed->data(), wanted.data(), wanted.size()) == 0;
}

PasswordHash hash_like(PasswordHash form, std::string_view password) {
    auto computed = compute(form, password);
    if (!computed) throw std::runtime_error{"the password cannot be hashed at this cost"};
    std::visit([&computed](auto& filled) { filled.hash = std::move(*computed); }, form);
    return form;
}

}  // namespace spoke::broker
