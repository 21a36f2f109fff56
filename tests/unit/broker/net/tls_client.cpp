#include "tests/unit/broker/net/tls_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <utility>

namespace spoke::test {

struct TlsStream::Parts {
    int socket = -1;
    SSL_CTX* context = nullptr;
    SSL* ssl = nullptr;
    std::string psk_identity{};
    std::string psk_key{};
    TlsSession session{};

    Parts() = default;
    Parts(Parts const&) = delete;
    Parts& operator=(Parts const&) = delete;
    ~Parts() {
        // Or OpenSSL takes the session for a broken one, which is not to be resumed.
        if (ssl != nullptr) SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN);
        SSL_free(ssl);
        SSL_CTX_free(context);
        if (socket >= 0) ::close(socket);
    }
};

namespace {

int connected_socket(std::uint16_t port) {
    constexpr timeval kDeadline{30, 0};
    int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kDeadline, sizeof kDeadline);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kDeadline, sizeof kDeadline);
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket);
        throw std::runtime_error("connect");
    }
    return socket;
}

int bio_send(BIO* bio, char const* data, int size) {
    bool single = BIO_get_app_data(bio) != nullptr;
    int descriptor = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
    std::size_t step = single ? 1 : static_cast<std::size_t>(size);
    int sent = 0;
    while (sent < size) {
        auto now = ::send(descriptor, data + sent, step, MSG_NOSIGNAL);
        if (now <= 0) return -1;
        sent += static_cast<int>(now);
    }
    return sent;
}

int bio_receive(BIO* bio, char* data, int size) {
    int descriptor = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
    return static_cast<int>(::recv(descriptor, data, static_cast<std::size_t>(size), 0));
}

/// Without SIGPIPE, and able to write single bytes.
BIO* make_bio(int descriptor, bool single_bytes) {
    static BIO_METHOD* const method = [] {
        auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "test socket");
        BIO_meth_set_write(made, bio_send);
        BIO_meth_set_read(made, bio_receive);
        BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long {
            return command == BIO_CTRL_FLUSH ? 1 : 0;
        });
        return made;
    }();
    static char mark;
    auto* bio = BIO_new(method);
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
    if (single_bytes) BIO_set_app_data(bio, &mark);
    BIO_set_init(bio, 1);
    return bio;
}

void require(bool success, char const* what) {
    if (!success) throw std::runtime_error(what);
}

void set_options(SSL_CTX* context, TlsClientOptions const& options) {
    SSL_CTX_set_min_proto_version(context, options.version_min);
    SSL_CTX_set_max_proto_version(context, options.version_max);
    if (!options.ca_file.empty()) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        require(SSL_CTX_load_verify_file(context, options.ca_file.c_str()) == 1, "CA");
    }
    if (!options.certificate_file.empty()) {
        require(SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) == 1,
                "certificate");
        require(
            SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) == 1,
            "key");
    }
    if (!options.ciphers.empty()) {
        require(SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) == 1, "ciphers");
    }
    if (!options.ciphersuites.empty()) {
        require(SSL_CTX_set_ciphersuites(context, options.ciphersuites.c_str()) == 1, "suites");
    }
    if (!options.curves.empty()) {
        require(SSL_CTX_set1_groups_list(context, options.curves.c_str()) == 1, "curves");
    }
    if (!options.alpn.empty()) {
        SSL_CTX_set_alpn_protos(context,
                                reinterpret_cast<unsigned char const*>(options.alpn.data()),
                                static_cast<unsigned>(options.alpn.size()));
    }
}

}  // namespace

void SessionDeleter::operator()(SSL_SESSION* session) const noexcept {
    SSL_SESSION_free(session);
}

TlsStream::TlsStream(std::uint16_t port, TlsClientOptions const& options)
    : parts_(std::make_unique<Parts>()) {
    ERR_clear_error();
    auto& parts = *parts_;
    parts.context = SSL_CTX_new(TLS_client_method());
    set_options(parts.context, options);
    SSL_CTX_set_session_cache_mode(parts.context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(parts.context, [](SSL* ssl, SSL_SESSION* session) {
        static_cast<Parts*>(SSL_get_app_data(ssl))->session.reset(session);
        return 1;
    });
    parts.psk_identity = options.psk_identity;
    parts.psk_key = options.psk_key;
    if (!parts.psk_identity.empty()) {
        SSL_CTX_set_psk_client_callback(
            parts.context,
            [](SSL* ssl, char const*, char* identity, unsigned identity_size, unsigned char* key,
               unsigned key_size) -> unsigned {
                auto const& own = *static_cast<Parts*>(SSL_get_app_data(ssl));
                if (own.psk_identity.size() >= identity_size || own.psk_key.size() > key_size) {
                    return 0;
                }
                std::memcpy(identity, own.psk_identity.c_str(), own.psk_identity.size() + 1);
                std::memcpy(key, own.psk_key.data(), own.psk_key.size());
                return static_cast<unsigned>(own.psk_key.size());
            });
    }
    parts.socket = connected_socket(port);
    parts.ssl = SSL_new(parts.context);
    SSL_set_app_data(parts.ssl, &parts);
    auto* bio = make_bio(parts.socket, options.single_bytes);
    SSL_set_bio(parts.ssl, bio, bio);
    if (!options.server_name.empty()) {
        SSL_set_tlsext_host_name(parts.ssl, options.server_name.c_str());
    }
    if (options.session != nullptr) SSL_set_session(parts.ssl, options.session);
    if (SSL_connect(parts.ssl) != 1) fail("handshake");
}

TlsStream::~TlsStream() = default;

void TlsStream::fail(std::string const& what) const {
    auto code = ERR_peek_error();
    ERR_clear_error();
    auto const* reason = code != 0 ? ERR_reason_error_string(code) : "the stream is broken";
    throw std::runtime_error(what + ": " + (reason != nullptr ? reason : "?"));
}

ssize_t TlsStream::send(Bytes bytes) {
    std::size_t sent = 0;
    ERR_clear_error();
    if (SSL_write_ex(parts_->ssl, bytes.data(), bytes.size(), &sent) != 1) fail("send");
    return static_cast<ssize_t>(sent);
}

ssize_t TlsStream::receive(std::span<std::byte> into) {
    std::size_t size = 0;
    ERR_clear_error();
    int done = SSL_read_ex(parts_->ssl, into.data(), into.size(), &size);
    if (done == 1) return static_cast<ssize_t>(size);
    if (SSL_get_error(parts_->ssl, done) == SSL_ERROR_ZERO_RETURN) return 0;
    fail("receive");
}

std::string TlsStream::version() const {
    return SSL_get_version(parts_->ssl);
}

std::string TlsStream::alpn() const {
    unsigned char const* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(parts_->ssl, &name, &size);
    return {reinterpret_cast<char const*>(name), size};
}

std::string TlsStream::server_common_name() const {
    char name[256] = "";
    auto* certificate = SSL_get0_peer_certificate(parts_->ssl);
    if (certificate == nullptr) return "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof name);
    return name;
}

bool TlsStream::is_resumed() const {
    return SSL_session_reused(parts_->ssl) == 1;
}

bool TlsStream::has_close_notify() const {
    return (SSL_get_shutdown(parts_->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

TlsSession TlsStream::take_session() {
    return std::move(parts_->session);
}

void TlsStream::update_keys() {
    if (SSL_key_update(parts_->ssl, SSL_KEY_UPDATE_REQUESTED) != 1) fail("key update");
}

std::string TlsStream::renegotiate() {
    ERR_clear_error();
    SSL_renegotiate(parts_->ssl);
    try {
        if (SSL_do_handshake(parts_->ssl) != 1) fail("renegotiation");
    } catch (std::runtime_error const& error) {
        return error.what();
    }
    return {};
}

TlsClient tls_client(std::uint16_t port, TlsClientOptions const& options) {
    auto stream = std::make_unique<TlsStream>(port, options);
    auto* raw = stream.get();
    return {raw, SocketClient{std::move(stream)}};
}

}  // namespace spoke::test
