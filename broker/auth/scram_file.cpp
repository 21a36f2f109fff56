#include "broker/auth/scram_file.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "broker/auth/sha256.hpp"
#include "broker/auth/user_line.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/base/base64.hpp"

namespace spoke::broker {
namespace {

constexpr std::string_view kMethodMark = "SCRAM-SHA-256$";
constexpr std::string_view kForm =
    "expected SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, the last three in base64";
constexpr std::size_t kSaltSizeMin = 8;
constexpr std::size_t kSaltSizeMax = 64;
constexpr std::size_t kUsualSaltSize = 16;
constexpr std::size_t kServerSecretSizeMin = 16;

/// What stands before `separator`, taken off `text` with it; nullopt if it is not there.
std::optional<std::string_view> take_until(std::string_view& text, char separator) noexcept {
    auto end = text.find(separator);
    if (end == std::string_view::npos) return std::nullopt;
    auto part = text.substr(0, end);
    text.remove_prefix(end + 1);
    return part;
}

std::optional<std::uint32_t> number_of(std::string_view text) noexcept {
    std::uint32_t number = 0;
    auto const* end = text.data() + text.size();
    auto result = std::from_chars(text.data(), end, number);
    if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
    return number;
}

/// The verifier, not yet judged; nullopt if the text has another form.
std::optional<ScramVerifier> split_verifier(std::string_view text) {
    if (!text.starts_with(kMethodMark)) return std::nullopt;
    text.remove_prefix(kMethodMark.size());
    auto iterations = take_until(text, ':');
    auto salt = take_until(text, '$');
    auto stored_key = take_until(text, ':');
    if (!iterations || !salt || !stored_key) return std::nullopt;
    auto count = number_of(*iterations);
    auto salt_bytes = from_base64(*salt);
    auto stored_key_bytes = from_base64(*stored_key);
    auto server_key_bytes = from_base64(text);
    if (!count || !salt_bytes || !stored_key_bytes || !server_key_bytes) return std::nullopt;
    return ScramVerifier{*count, std::move(*salt_bytes), std::move(*stored_key_bytes),
                         std::move(*server_key_bytes)};
}

std::optional<std::string> fault_of(std::string_view user, ScramVerifier const& verifier,
                                    ScramLimits const& limits) {
    if (!is_prepared(user)) return "the name holds characters that SCRAM names may not have here";
    if (verifier.iterations < kScramIterationsMin)
        return fmt::format("fewer than {} iterations", kScramIterationsMin);
    if (verifier.iterations > limits.iterations_max)
        return fmt::format("more than {} iterations", limits.iterations_max);
    if (verifier.salt.size() < kSaltSizeMin || verifier.salt.size() > kSaltSizeMax)
        return "the salt is not 8 to 64 bytes";
    if (verifier.stored_key.size() != kSha256Size || verifier.server_key.size() != kSha256Size)
        return "the keys are not 32 bytes each";
    return std::nullopt;
}

/// As many bytes as wanted that look random and depend on secret, purpose and user alone.
std::string derived(std::string_view secret, char purpose, std::string_view user,
                    std::size_t size) {
    std::string bytes;
    for (char block = 0; bytes.size() < size; ++block)
        bytes += hmac_sha256(secret, std::string{purpose, block}.append(user));
    bytes.resize(size);
    return bytes;
}

}  // namespace

ScramVerifier make_scram_verifier(std::string_view password, std::string_view salt,
                                  std::uint32_t iterations) {
    MQ_ASSERT(iterations >= 1);
    auto salted = pbkdf2_sha256(password, salt, iterations);
    return {iterations, std::string{salt}, sha256(hmac_sha256(salted, "Client Key")),
            hmac_sha256(salted, "Server Key")};
}

std::string to_text(ScramVerifier const& verifier) {
    return fmt::format("{}{}:{}${}:{}", kMethodMark, verifier.iterations, to_base64(verifier.salt),
                       to_base64(verifier.stored_key), to_base64(verifier.server_key));
}

FileResult<ScramFile> ScramFile::parse(std::string_view text, std::string_view name,
                                       std::string_view server_secret, ScramLimits const& limits) {
    MQ_ASSERT(server_secret.size() >= kServerSecretSizeMin);
    ScramFile file;
    file.server_secret_ = server_secret;
    auto take = [&](std::string_view user, std::string_view value) -> std::optional<std::string> {
        auto verifier = split_verifier(value);
        if (!verifier) return std::string{kForm};
        if (auto fault = fault_of(user, *verifier, limits)) return fault;
        if (!file.users_.add(user, std::move(*verifier))) return "is there twice";
        return std::nullopt;
    };
    if (auto error = read_user_lines(text, name, {limits.bytes_max, limits.users_max}, take))
        return std::move(*error);
    return file;
}

ScramFile::Found ScramFile::find(std::string_view user) const {
    auto const* known = users_.find(user);
    auto const* stand_in = users_.stand_in(user);
    // Made for known users too: it takes as long for those.
    ScramVerifier unknown{
        stand_in ? stand_in->iterations : kScramIterationsMin,
        derived(server_secret_, 's', user, stand_in ? stand_in->salt.size() : kUsualSaltSize),
        derived(server_secret_, 'k', user, kSha256Size),
        derived(server_secret_, 'v', user, kSha256Size)};
    if (known) return {*known, true};
    return {std::move(unknown), false};
}

}  // namespace spoke::broker
