#pragma once

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "broker/auth/sha256.hpp"
#include "protocol/base/base64.hpp"

namespace spoke::test {

/// The client's side of SCRAM-SHA-256 (RFC 5802), for a server that behaves. Its parts can be
/// exchanged to play a client that does not.
class ScramClient {
public:
    ScramClient(std::string_view user, std::string_view password, std::string_view nonce = "fyko")
        : bare_(fmt::format("n={},r={}", encoded(user), nonce)), password_(password) {}

    std::string gs2_header = "n,,";
    std::string extensions{};  // ",x=1" and the like, in client-final

    [[nodiscard]] std::string first() const { return gs2_header + bare_; }

    /// Answers server-first.
    [[nodiscard]] std::string final(std::string_view server_first) {
        auto without_proof = fmt::format("c={},r={}{}", to_base64(gs2_header),
                                         value(server_first, "r="), extensions);
        auto salt = from_base64(value(server_first, "s="));
        unsigned iterations = 0;
        auto count = value(server_first, "i=");
        std::from_chars(count.data(), count.data() + count.size(), iterations);
        auto salted = broker::pbkdf2_sha256(password_, salt.value(), iterations);
        auto client_key = broker::hmac_sha256(salted, "Client Key");
        auto signed_text = fmt::format("{},{},{}", bare_, server_first, without_proof);
        auto signature = broker::hmac_sha256(broker::sha256(client_key), signed_text);
        for (std::size_t at = 0; at < client_key.size(); ++at)
            client_key[at] = static_cast<char>(client_key[at] ^ signature[at]);
        server_signature_ =
            broker::hmac_sha256(broker::hmac_sha256(salted, "Server Key"), signed_text);
        return fmt::format("{},p={}", without_proof, to_base64(client_key));
    }

    /// Whether server-final shows that the server knows the password too.
    [[nodiscard]] bool trusts(std::string_view server_final) const {
        return server_final == "v=" + to_base64(server_signature_);
    }

private:
    static std::string encoded(std::string_view user) {
        std::string text;
        for (char character : user) {
            if (character == ',') {
                text += "=2C";
            } else if (character == '=') {
                text += "=3D";
            } else {
                text += character;
            }
        }
        return text;
    }

    /// What stands behind `name` in a message, up to the next comma.
    static std::string_view value(std::string_view message, std::string_view name) {
        auto begin = message.find(name) + name.size();
        return message.substr(begin, message.find(',', begin) - begin);
    }

    std::string bare_;
    std::string password_;
    std::string server_signature_;
};

}  // namespace spoke::test
