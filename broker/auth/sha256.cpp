#include "broker/auth/sha256.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

unsigned char const* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<unsigned char const*>(text.data());
}

unsigned char* bytes_of(std::string& text) noexcept {
    return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace

std::string sha256(std::string_view bytes) {
    std::string hash(kSha256Size, '\0');
    auto done =
        EVP_Digest(bytes.data(), bytes.size(), bytes_of(hash), nullptr, EVP_sha256(), nullptr);
    MQ_ASSERT(done == 1);
    return hash;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
    std::string code(kSha256Size, '\0');
    auto const* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes),
                            bytes.size(), bytes_of(code), nullptr);
    MQ_ASSERT(done != nullptr);
    return code;
}

std::string pbkdf2_sha256(std::string_view password, std::string_view salt,
                          std::uint32_t iterations) {
    std::string key(kSha256Size, '\0');
    auto done =
        PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                          static_cast<int>(key.size()), bytes_of(key));
    MQ_ASSERT(done == 1);
    return key;
}

bool is_same_secret(std::string_view one, std::string_view other) noexcept {
    return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace spoke::broker
