#include "broker/net/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "broker/net/tls_psk_file.hpp"
#include "broker/net/transport_tls.hpp"

namespace spoke::broker {

namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using CrlPtr = std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)>;
constexpr long kDaysToWarn = 30;

using SessionPtr = std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)>;

/// What callbacks need beside OpenSSL's own state; each SSL_CTX owns one.
struct Extras {
    std::shared_ptr<PskTable const> keys{};
    /// Host names in lower case, "*.example.org" too; only in the context connections begin with.
    std::map<std::string, SslCtxPtr, std::less<>> by_name{};
};

int extras_index() {
    static int const index = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* extras, CRYPTO_EX_DATA*, int, long, void*) {
            delete static_cast<Extras*>(extras);
        });
    return index;
}

Extras& extras_of(SSL_CTX const* context) {
    return *static_cast<Extras*>(SSL_CTX_get_ex_data(context, extras_index()));
}

Extras const& extras_of(SSL const* ssl) {
    return extras_of(SSL_get_SSL_CTX(ssl));
}

void require(bool success, std::string const& what) {
    if (success) return;
    auto reason = take_tls_error();
    throw std::runtime_error(
        fmt::format("{}: {}", what, reason.empty() ? "unknown TLS error" : reason));
}

BioPtr open_file(std::string const& what, std::string const& path) {
    BioPtr file{BIO_new_file(path.c_str(), "r"), BIO_free};
    require(file != nullptr, fmt::format("cannot read the {} {}", what, path));
    return file;
}

/// Calls take(object) for each that `read` finds in the PEM file; at least one must be there.
template <class Read, class Take>
void each_in_pem(std::string const& what, std::string const& path, Read read, Take take) {
    auto file = open_file(what, path);
    for (bool first = true;; first = false) {
        auto object = read(file.get());
        if (!object) {
            bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            require(!first && at_end, fmt::format("cannot load the {} {}", what, path));
            ERR_clear_error();
            return;
        }
        take(object.get());
    }
}

// --- pre-shared keys ---

/// TLS 1.2.
unsigned on_psk_1_2(SSL* ssl, char const* identity, unsigned char* key, unsigned size) {
    if (SSL_version(ssl) >= TLS1_3_VERSION) return 0;
    auto const& keys = *extras_of(ssl).keys;
    auto found = keys.find(std::string_view{identity});
    if (found == keys.end() || found->second.size() > size) return 0;
    std::memcpy(key, found->second.data(), found->second.size());
    return static_cast<unsigned>(found->second.size());
}

/// TLS 1.3. The identity travels in the session that is used in the end, also when it is resumed: a
/// client may offer several keys, and an identity is not shown before its key was proved.
int on_psk_1_3(SSL* ssl, unsigned char const* identity, std::size_t size, SSL_SESSION** session) {
    constexpr unsigned char kAes128GcmSha256[] = {0x13, 0x01};  // SHA-256: RFC 8446, 4.2.11
    *session = nullptr;
    auto const& keys = *extras_of(ssl).keys;
    auto found = keys.find(std::string_view{reinterpret_cast<char const*>(identity), size});
    if (found == keys.end()) return 1;
    SessionPtr made{SSL_SESSION_new(), SSL_SESSION_free};
    auto const& key = found->second;
    bool good =
        made &&
        SSL_SESSION_set1_master_key(made.get(), reinterpret_cast<unsigned char const*>(key.data()),
                                    key.size()) == 1 &&
        SSL_SESSION_set_cipher(made.get(), SSL_CIPHER_find(ssl, kAes128GcmSha256)) == 1 &&
        SSL_SESSION_set_protocol_version(made.get(), TLS1_3_VERSION) == 1 &&
        SSL_SESSION_set1_ticket_appdata(made.get(), identity, size) == 1;
    if (!good) return 0;
    *session = made.release();
    return 1;
}

void use_keys(SSL_CTX* context, TlsSettings const& settings) {
    SSL_CTX_set_psk_server_callback(context, on_psk_1_2);
    SSL_CTX_set_psk_find_session_callback(context, on_psk_1_3);
    if (!settings.psk_hint.empty()) {
        require(SSL_CTX_use_psk_identity_hint(context, settings.psk_hint.c_str()) == 1,
                "bad tls_psk_hint");
    }
}

// --- what the client asks for ---

int on_server_name(SSL* ssl, int*, void*) {
    auto const* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    auto const& by_name = extras_of(ssl).by_name;
    std::string wanted{name};
    std::ranges::transform(wanted, wanted.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    auto found = by_name.find(wanted);
    auto dot = wanted.find('.');
    if (found == by_name.end() && dot != std::string::npos) {
        found = by_name.find("*" + wanted.substr(dot));
    }
    if (found != by_name.end()) SSL_set_SSL_CTX(ssl, found->second.get());
    return SSL_TLSEXT_ERR_OK;
}

/// RFC 7301, 3.2: a client that offers protocols, but not ours, is refused.
int on_alpn(SSL*, unsigned char const** chosen, unsigned char* chosen_size,
            unsigned char const* offered, unsigned offered_size, void* argument) {
    auto const& wanted = *static_cast<std::string_view const*>(argument);
    std::string_view rest{reinterpret_cast<char const*>(offered), offered_size};
    while (!rest.empty()) {
        auto size = static_cast<unsigned char>(rest[0]);
        auto name = rest.substr(1, size);
        if (name == wanted) {
            *chosen = reinterpret_cast<unsigned char const*>(name.data());
            *chosen_size = size;
            return SSL_TLSEXT_ERR_OK;
        }
        rest.remove_prefix(std::min<std::size_t>(rest.size(), 1U + size));
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void use_alpn(SSL_CTX* context, TlsSettings const& settings) {
    static constexpr std::string_view kMqtt = "mqtt";
    static constexpr std::string_view kHttp = "http/1.1";
    auto const& protocol = settings.websocket ? kHttp : kMqtt;
    SSL_CTX_set_alpn_select_cb(context, on_alpn, const_cast<std::string_view*>(&protocol));
}

// --- settings ---

int number_of(TlsSettings::Version version) {
    return version == TlsSettings::Version::v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

void set_algorithms(SSL_CTX* context, TlsSettings const& settings) {
    require(SSL_CTX_set_min_proto_version(context, number_of(settings.version_min)) == 1 &&
                SSL_CTX_set_max_proto_version(context, number_of(settings.version_max)) == 1,
            "bad TLS version");
    if (!settings.ciphers.empty()) {
        require(SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) == 1,
                fmt::format("bad tls_ciphers \"{}\"", settings.ciphers));
    }
    // A pre-shared key goes with SHA-256, so with clients that have keys such a suite must win.
    std::string suites = settings.ciphersuites;
    if (suites.empty() && !settings.psk_file.empty()) {
        suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
    }
    if (!settings.psk_file.empty()) SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (!suites.empty()) {
        require(SSL_CTX_set_ciphersuites(context, suites.c_str()) == 1,
                fmt::format("bad tls_ciphersuites \"{}\"", suites));
    }
    if (!settings.curves.empty()) {
        require(SSL_CTX_set1_groups_list(context, settings.curves.c_str()) == 1,
                fmt::format("bad tls_curves \"{}\"", settings.curves));
    }
}

void set_resumption(SSL_CTX* context, TlsSettings const& settings) {
    static constexpr unsigned char kSessionContext[] = "spoke";
    // Tickets alone: nothing is kept here for a session that may come back.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
    SSL_CTX_set_num_tickets(context, settings.tickets);
    if (settings.tickets == 0) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_timeout(context, static_cast<long>(settings.ticket_lifetime.count()));
}

void use_authorities(SSL_CTX* context, TlsSettings const& settings) {
    if (settings.client_certificate == TlsSettings::ClientCertificate::none) return;
    if (settings.ca_file.empty()) {
        throw std::runtime_error("client certificates need a tls_ca");
    }
    bool required = settings.client_certificate == TlsSettings::ClientCertificate::required;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    auto* store = SSL_CTX_get_cert_store(context);
    each_in_pem(
        "CA file", settings.ca_file,
        [](BIO* file) {
            return X509Ptr{PEM_read_bio_X509_AUX(file, nullptr, nullptr, nullptr), X509_free};
        },
        [&](X509* authority) {
            require(X509_STORE_add_cert(store, authority) == 1 &&
                        SSL_CTX_add_client_CA(context, authority) == 1,
                    fmt::format("cannot use the CA file {}", settings.ca_file));
        });
    if (settings.crl_file.empty()) return;
    each_in_pem(
        "CRL file", settings.crl_file,
        [](BIO* file) {
            return CrlPtr{PEM_read_bio_X509_CRL(file, nullptr, nullptr, nullptr), X509_CRL_free};
        },
        [&](X509_CRL* list) {
            require(X509_STORE_add_crl(store, list) == 1,
                    fmt::format("cannot use the CRL file {}", settings.crl_file));
        });
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

void use_certificate(SSL_CTX* context, TlsSettings::KeyPair const& pair) {
    auto const& key = pair.key_file.empty() ? pair.certificate_file : pair.key_file;
    // A key with a passphrase is an error, not a question on the terminal.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
    (void)open_file("certificate", pair.certificate_file);
    (void)open_file("key", key);
    require(SSL_CTX_use_certificate_chain_file(context, pair.certificate_file.c_str()) == 1,
            fmt::format("cannot load the certificate {}", pair.certificate_file));
    require(
        SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1 &&
            SSL_CTX_check_private_key(context) == 1,
        fmt::format("cannot use the key {} with the certificate {}", key, pair.certificate_file));
}

/// The host names a certificate is for, in lower case.
std::vector<std::string> names_of(X509* certificate) {
    std::vector<std::string> names;
    std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all{
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        GENERAL_NAMES_free};
    for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
        auto const* name = sk_GENERAL_NAME_value(all.get(), i);
        if (name->type != GEN_DNS) continue;
        std::string text{reinterpret_cast<char const*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))};
        std::ranges::transform(text, text.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        names.push_back(std::move(text));
    }
    return names;
}

std::chrono::system_clock::time_point end_of(X509 const* certificate) {
    std::tm time{};
    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time);
    return std::chrono::system_clock::from_time_t(::timegm(&time));
}

SslCtxPtr make_context(TlsSettings const& settings, TlsSettings::KeyPair const* pair,
                       std::shared_ptr<PskTable const> const& keys) {
    SslCtxPtr made{SSL_CTX_new(TLS_server_method())};
    require(made != nullptr, "no TLS context");
    auto* context = made.get();
    auto extras = std::make_unique<Extras>();
    extras->keys = keys;
    require(SSL_CTX_set_ex_data(context, extras_index(), extras.get()) == 1, "no TLS context");
    extras.release();  // NOLINT(bugprone-unused-return-value): the context owns it
    // An idle connection holds no record buffers, and clients' authorities sign no servers.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_keylog_callback(context, TlsTransport::on_key_line);
    set_algorithms(context, settings);
    set_resumption(context, settings);
    use_authorities(context, settings);
    use_alpn(context, settings);
    if (keys) use_keys(context, settings);
    if (pair != nullptr) use_certificate(context, *pair);
    return made;
}

struct Loaded {
    SslCtxPtr context;
    std::vector<TlsContext::Certificate> certificates;
};

Loaded load(TlsSettings const& settings) {
    ERR_clear_error();
    auto const& pairs = settings.certificates;
    std::shared_ptr<PskTable const> keys;
    if (!settings.psk_file.empty()) {
        keys = std::make_shared<PskTable const>(read_psk_file(settings.psk_file));
    }
    Loaded loaded;
    loaded.context = make_context(settings, pairs.empty() ? nullptr : &pairs.front(), keys);
    auto& by_name = extras_of(loaded.context.get()).by_name;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        SslCtxPtr other = i == 0 ? nullptr : make_context(settings, &pairs[i], keys);
        auto* context = i == 0 ? loaded.context.get() : other.get();
        auto* certificate = SSL_CTX_get0_certificate(context);
        loaded.certificates.push_back({pairs[i].certificate_file, end_of(certificate)});
        if (i == 0) continue;
        for (auto const& name : names_of(certificate)) {
            SSL_CTX_up_ref(context);
            by_name.try_emplace(name, SslCtxPtr{context});
        }
    }
    SSL_CTX_set_tlsext_servername_callback(loaded.context.get(), on_server_name);
    return loaded;
}

}  // namespace

void SslDeleter::operator()(SSL* ssl) const noexcept {
    SSL_free(ssl);
}

void SslCtxDeleter::operator()(SSL_CTX* context) const noexcept {
    SSL_CTX_free(context);
}

TlsContext::TlsContext(TlsSettings settings) : settings_(std::move(settings)) {
    reload();
}

void TlsContext::reload() {
    auto loaded = load(settings_);
    std::lock_guard lock{mutex_};
    std::swap(current_, loaded.context);
    std::swap(certificates_, loaded.certificates);
}

SslPtr TlsContext::make_ssl() const {
    std::lock_guard lock{mutex_};
    return SslPtr{SSL_new(current_.get())};
}

std::vector<TlsContext::Certificate> TlsContext::certificates() const {
    std::lock_guard lock{mutex_};
    return certificates_;
}

std::vector<std::string> TlsContext::files() const {
    std::vector<std::string> files;
    auto add = [&](std::string const& file) {
        if (!file.empty()) files.push_back(file);
    };
    for (auto const& pair : settings_.certificates) {
        add(pair.certificate_file);
        add(pair.key_file);
    }
    if (settings_.client_certificate != TlsSettings::ClientCertificate::none) {
        add(settings_.ca_file);
        add(settings_.crl_file);
    }
    add(settings_.psk_file);
    return files;
}

void log_days_to_expiry(TlsContext const& context, std::string const& listener,
                        std::chrono::system_clock::time_point now) {
    for (auto const& certificate : context.certificates()) {
        auto left = std::chrono::floor<std::chrono::days>(certificate.ends - now).count();
        if (left < 0) {
            spdlog::error("{}: the certificate {} has expired", listener, certificate.file);
        } else {
            auto level = left < kDaysToWarn ? spdlog::level::warn : spdlog::level::info;
            spdlog::log(level, "{}: the certificate {} expires in {} days", listener,
                        certificate.file, left);
        }
    }
}

std::string take_tls_error() {
    auto code = ERR_peek_error();
    ERR_clear_error();
    if (code == 0) return {};
    if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
    auto const* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : fmt::format("TLS error {:#x}", code);
}

std::string psk_identity(SSL const* ssl) {
    if (auto const* identity = SSL_get_psk_identity(ssl)) return identity;
    void* data = nullptr;
    std::size_t size = 0;
    auto* session = SSL_get_session(ssl);
    if (session == nullptr || SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1) {
        return {};
    }
    return {static_cast<char const*>(data), size};
}

}  // namespace spoke::broker
