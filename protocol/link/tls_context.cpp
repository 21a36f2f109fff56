#include "protocol/link/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>

#include "protocol/link/stream.hpp"
#include "protocol/link/tls_files.hpp"

namespace spoke::mqtt {
namespace {

int descriptor_of(BIO* bio) noexcept {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

bool would_block() noexcept {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

int bio_write(BIO* bio, char const* data, int size) {
    BIO_clear_retry_flags(bio);
    auto sent = ::send(descriptor_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (sent < 0 && would_block()) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    auto got = ::recv(descriptor_of(bio), data, static_cast<std::size_t>(size), 0);
    if (got < 0 && would_block()) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(got);
}

long bio_ctrl(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int bio_create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
}

// OpenSSL's own socket BIO uses write(), which raises SIGPIPE when the server is gone.
std::unique_ptr<BIO_METHOD, BioMethodDeleter> make_socket_bio() {
    std::unique_ptr<BIO_METHOD, BioMethodDeleter> method{
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "spoke socket")};
    BIO_meth_set_write(method.get(), bio_write);
    BIO_meth_set_read(method.get(), bio_read);
    BIO_meth_set_ctrl(method.get(), bio_ctrl);
    BIO_meth_set_create(method.get(), bio_create);
    return method;
}

void require(bool success, std::string const& what, std::string const& file) {
    if (!success) throw std::runtime_error(fmt::format("{} {}: {}", what, file, tls_error_text()));
}

void load_authorities(SSL_CTX* context, TlsOptions const& options) {
    if (!options.verify) return;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (options.ca_file.empty()) {
        require(SSL_CTX_set_default_verify_paths(context) == 1, "cannot load", "the system's CAs");
    } else {
        require(SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) == 1,
                "cannot load the CA file", options.ca_file);
    }
}

void load_certificate(SSL_CTX* context, TlsOptions const& options) {
    if (options.certificate_file.empty()) return;
    auto const& certificate = options.certificate_file;
    auto const& key = options.key_file.empty() ? certificate : options.key_file;
    require(SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1,
            "cannot load the certificate", certificate);
    require(SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1,
            "cannot load the key", key);
    require(SSL_CTX_check_private_key(context) == 1,
            "key and certificate do not belong together:", key);
}

}  // namespace

void SslCtxDeleter::operator()(SSL_CTX* context) const noexcept {
    SSL_CTX_free(context);
}

void BioMethodDeleter::operator()(BIO_METHOD* method) const noexcept {
    BIO_meth_free(method);
}

std::string tls_error_text() {
    auto code = ERR_peek_error();
    ERR_clear_error();
    if (code == 0) return "unknown TLS error";
    if (ERR_SYSTEM_ERROR(code)) return system_error_text(ERR_GET_REASON(code));
    auto const* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : fmt::format("TLS error {:#x}", code);
}

std::shared_ptr<TlsContext const> load_tls(TlsOptions const& options) {
    ERR_clear_error();
    auto tls = std::make_shared<TlsContext>();
    tls->context.reset(SSL_CTX_new(TLS_client_method()));
    tls->socket_bio = make_socket_bio();
    tls->server_name = options.server_name;
    tls->verify = options.verify;
    auto* context = tls->context.get();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    load_authorities(context, options);
    load_certificate(context, options);
    return tls;
}

}  // namespace spoke::mqtt
