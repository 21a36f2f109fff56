#include "broker/config/tls_options.hpp"

#include "broker/config/config.hpp"

namespace spoke::broker {
namespace {

using namespace std::chrono_literals;
using options::OptionError;
using options::OptionTable;

void server_options(OptionTable& table, TlsConfig& c) {
    table
        .text("tls_certificate", c.certificate,
              "PEM file with the certificate of the server and the chain up to its authority. With "
              "it the listener speaks TLS and nothing else. The file, and every other one of these "
              "options, is read again when it changes and on SIGHUP: new connections use it, those "
              "that are there stay, and tickets given before are worth nothing any more. While a "
              "new file is bad, the log says so and what was read before stays in use. Empty: no "
              "TLS, unless tls_psk_file is set.")
        .text("tls_key", c.key,
              "PEM file with the private key of tls_certificate, without a passphrase. Empty: it "
              "is in the file of the certificate.")
        .texts("tls_more_certificates", c.more_certificates,
               "More certificates, shown to clients that call the server by a name in one of them "
               "(SNI; the DNS names in the certificate, wildcards included). Whoever calls it "
               "otherwise, or not at all, is shown tls_certificate.")
        .texts("tls_more_keys", c.more_keys,
               "Their keys, in the same order. Empty: each is in the file of its certificate.")
        .choice("tls_version_min", c.version_min,
                {{"1.2", TlsConfig::Version::v1_2}, {"1.3", TlsConfig::Version::v1_3}},
                "Oldest version of TLS.")
        .choice("tls_version_max", c.version_max,
                {{"1.2", TlsConfig::Version::v1_2}, {"1.3", TlsConfig::Version::v1_3}},
                "Newest version of TLS.")
        .text("tls_ciphers", c.ciphers,
              "Ciphers of TLS 1.2 as OpenSSL writes them: \"ECDHE+AESGCM:ECDHE+CHACHA20\". Empty: "
              "OpenSSL's own list.")
        .text("tls_ciphersuites", c.ciphersuites,
              "Cipher suites of TLS 1.3 as OpenSSL writes them: \"TLS_AES_128_GCM_SHA256\". "
              "Empty: OpenSSL's own list; with tls_psk_file those with SHA-256 first, as "
              "pre-shared keys need it.")
        .text("tls_curves", c.curves,
              "Groups of the key exchange, the preferred first: \"X25519:P-256\". Empty: OpenSSL's "
              "own list.")
        .number(
            "tls_tickets", c.tickets, {0, 8}, "tickets",
            "Session tickets a client gets with a handshake of TLS 1.3, one of TLS 1.2: with one "
            "it resumes its session without certificates. 0: no resumption.")
        .duration("tls_ticket_lifetime", c.ticket_lifetime, {1min, 168h},
                  "How long a ticket is good for.")
        .number("handshakes_max", c.handshakes_max, {1, 1'000'000}, "connections",
                "Connections of a TLS or WebSocket listener that may be in their handshake at "
                "once, shared out evenly among the threads (at least one each). Above it new ones "
                "wait in the kernel, see backlog, until another is done, has failed, or its "
                "connect_timeout is over.");
}

void client_options(OptionTable& table, TlsConfig& c) {
    table
        .choice("tls_client_certificate", c.client_certificate,
                {{"none", TlsConfig::ClientCertificate::none},
                 {"optional", TlsConfig::ClientCertificate::optional},
                 {"required", TlsConfig::ClientCertificate::required}},
                "Are clients asked for a certificate. One that is shown must be good, also if it "
                "is optional. A client with a pre-shared key needs none.")
        .text("tls_ca", c.ca, "PEM file with the authorities that may sign clients' certificates.")
        .text("tls_crl", c.crl,
              "PEM file with the revocation lists of all authorities in a client's chain; a client "
              "of an authority without a list, or with an outdated one, is refused. Empty: nothing "
              "is revoked.")
        .choice("tls_identity", c.identity,
                {{"none", TlsConfig::Identity::none},
                 {"cn", TlsConfig::Identity::common_name},
                 {"san_dns", TlsConfig::Identity::san_dns},
                 {"san_email", TlsConfig::Identity::san_email},
                 {"san_uri", TlsConfig::Identity::san_uri}},
                "What of a client's certificate is its user name, which then needs no password: "
                "the common name, or the first alternative name of that kind. A certificate "
                "without one is refused.")
        .text("tls_psk_file", c.psk_file,
              "File of lines \"identity:hexkey\": clients that have such a key need no "
              "certificate, nor does the listener; the identity is the user name. TLS 1.2 with the "
              "PSK ciphers, TLS 1.3 with SHA-256. Empty: none.")
        .text("tls_psk_hint", c.psk_hint, "Told to TLS 1.2 clients before they choose a key.");
}

}  // namespace

void tls_options(OptionTable& table, ListenerConfig& listener) {
    server_options(table, listener.tls);
    client_options(table, listener.tls);
}

void check_tls(ListenerConfig const& listener) {
    auto const& c = listener.tls;
    bool on = !c.certificate.empty() || !c.psk_file.empty();
    if (!on && (!c.key.empty() || !c.more_certificates.empty() || !c.ca.empty() ||
                c.client_certificate != TlsConfig::ClientCertificate::none))
        throw OptionError{
            "listener: TLS needs a tls_certificate or a tls_psk_file, the other tls_ options alone "
            "would leave it in the clear"};
    if (c.certificate.empty() && !(c.key.empty() && c.more_certificates.empty()))
        throw OptionError{"listener: tls_key and tls_more_certificates need a tls_certificate"};
    if (!c.more_keys.empty() && c.more_keys.size() != c.more_certificates.size())
        throw OptionError{
            "listener: tls_more_keys must be as many as tls_more_certificates, or none"};
    if (c.version_min > c.version_max)
        throw OptionError{"listener: tls_version_min is above tls_version_max"};
    bool asks = c.client_certificate != TlsConfig::ClientCertificate::none;
    if (asks && c.ca.empty()) throw OptionError{"listener: tls_client_certificate needs a tls_ca"};
    if (!asks && c.identity != TlsConfig::Identity::none)
        throw OptionError{"listener: tls_identity needs a tls_client_certificate"};
    if (!asks && !c.crl.empty())
        throw OptionError{"listener: tls_crl needs a tls_client_certificate"};
}

}  // namespace spoke::broker
