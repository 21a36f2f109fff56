#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace spoke::broker {

/// How a listener speaks TLS; the option table says what each means to a user.
struct TlsSettings {
    struct KeyPair {
        std::string certificate_file{};  // PEM: the certificate, then its chain
        std::string key_file{};          // PEM; empty: in certificate_file
    };
    enum class Version : std::uint8_t { v1_2, v1_3 };
    enum class ClientCertificate : std::uint8_t { none, optional, required };
    /// Which part of a client's certificate is its user name.
    enum class Identity : std::uint8_t { none, common_name, san_dns, san_email, san_uri };

    [[nodiscard]] bool is_on() const noexcept { return !certificates.empty() || !psk_file.empty(); }

    std::vector<KeyPair> certificates{};  // the first for every client that names no other server
    std::string ca_file{};                // PEM: who may sign clients
    std::string crl_file{};               // PEM: of every authority in a client's chain
    std::string psk_file{};               // lines "identity:hexkey"
    std::string psk_hint{};               // told to TLS 1.2 clients; empty: none
    Version version_min = Version::v1_2;
    Version version_max = Version::v1_3;
    std::string ciphers{};       // of TLS 1.2, OpenSSL's format; empty: OpenSSL's own choice
    std::string ciphersuites{};  // of TLS 1.3; empty: OpenSSL's own choice
    std::string curves{};        // key exchange groups; empty: OpenSSL's own choice
    ClientCertificate client_certificate = ClientCertificate::none;
    Identity identity = Identity::none;
    std::uint8_t tickets = 1;  // per full handshake; 0: no resumption
    std::chrono::seconds ticket_lifetime{7'200};
    bool websocket = false;  // offers "http/1.1" to ALPN instead of "mqtt"
};

}  // namespace spoke::broker
