#include "tests/conformance/harness/scram_client.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <stdexcept>

namespace spoke::test {

namespace {

unsigned char const* raw(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

unsigned char* raw(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

std::string hmac(std::string_view key, std::string_view text) {
    std::string out(SHA256_DIGEST_LENGTH, '\0');
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(text), text.size(), raw(out),
         nullptr);
    return out;
}

std::string sha256(std::string_view text) {
    std::string out(SHA256_DIGEST_LENGTH, '\0');
    SHA256(raw(text), text.size(), raw(out));
    return out;
}

std::string in_base64(std::string_view text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
    auto size = EVP_EncodeBlock(raw(out), raw(text), static_cast<int>(text.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

std::string of_base64(std::string_view text) {
    std::string out(text.size(), '\0');
    auto size = EVP_DecodeBlock(raw(out), raw(text), static_cast<int>(text.size()));
    if (size < 0) throw std::runtime_error("no base64");
    auto padding = text.ends_with("==") ? 2U : text.ends_with('=') ? 1U : 0U;
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
}

/// The value of an attribute, "r=...".
std::string attribute(std::string_view message, char name) {
    std::string const start{name, '='};
    std::size_t at = 0;
    while (message.substr(at, 2) != start) {
        at = message.find(',', at);
        if (at == std::string_view::npos) throw std::runtime_error("no server-first message");
        ++at;
    }
    return std::string{message.substr(at + 2, message.find(',', at) - at - 2)};
}

}  // namespace

std::string ScramClient::answers(std::string_view server_first) {
    auto salt = of_base64(attribute(server_first, 's'));
    std::string salted(SHA256_DIGEST_LENGTH, '\0');
    PKCS5_PBKDF2_HMAC(password_.data(), static_cast<int>(password_.size()), raw(salt),
                      static_cast<int>(salt.size()), std::stoi(attribute(server_first, 'i')),
                      EVP_sha256(), SHA256_DIGEST_LENGTH, raw(salted));
    auto without_proof = "c=biws,r=" + attribute(server_first, 'r');
    auto message = first_bare() + "," + std::string{server_first} + "," + without_proof;
    auto client_key = hmac(salted, "Client Key");
    auto signature = hmac(sha256(client_key), message);
    std::string proof = client_key;
    for (std::size_t i = 0; i < proof.size(); ++i)
        proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    wanted_ = "v=" + in_base64(hmac(hmac(salted, "Server Key"), message));
    return without_proof + ",p=" + in_base64(proof);
}

}  // namespace spoke::test
