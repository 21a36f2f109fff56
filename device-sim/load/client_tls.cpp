#include "device-sim/load/client_tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <csignal>

namespace spoke::sim::load {

void TlsContextDeleter::operator()(SSL_CTX* context) const noexcept {
    SSL_CTX_free(context);
}

void TlsSessionDeleter::operator()(SSL_SESSION* session) const noexcept {
    SSL_SESSION_free(session);
}

void TlsDeleter::operator()(SSL* tls) const noexcept {
    // Or OpenSSL takes the session for a broken one, which is not to be resumed.
    SSL_set_shutdown(tls, SSL_SENT_SHUTDOWN);
    SSL_free(tls);
}

ClientTls::ClientTls(bool resume) : context_{SSL_CTX_new(TLS_client_method())} {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    SSL_CTX_set_mode(context(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context(), SSL_SESS_CACHE_OFF);
    if (!resume) return;
    SSL_CTX_set_session_cache_mode(context(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context(), this);
    SSL_CTX_sess_set_new_cb(context(), [](SSL* tls, SSL_SESSION* session) {
        auto& self = *static_cast<ClientTls*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls)));
        if (self.session_) return 0;
        self.session_.reset(session);
        return 1;
    });
}

ClientTlsStream::ClientTlsStream(ClientTls const& tls, int socket) : tls_{SSL_new(tls.context())} {
    SSL_set_fd(tls_.get(), socket);
    SSL_set_connect_state(tls_.get());
    if (tls.session() == nullptr) return;
    // A copy: OpenSSL takes one for used up when a connection that resumed it gets a new ticket.
    std::unique_ptr<SSL_SESSION, TlsSessionDeleter> session{SSL_SESSION_dup(tls.session())};
    SSL_set_session(tls_.get(), session.get());
}

ssize_t ClientTlsStream::send(Bytes bytes) {
    ERR_clear_error();
    std::size_t size = 0;
    int done = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &size);
    return result_of(done, static_cast<ssize_t>(size));
}

ssize_t ClientTlsStream::receive(std::span<std::byte> into) {
    ERR_clear_error();
    std::size_t size = 0;
    int done = 1;
    while (size < into.size() && done == 1) {
        std::size_t more = 0;
        done = SSL_read_ex(tls_.get(), into.data() + size, into.size() - size, &more);
        size += more;
    }
    return result_of(size > 0 ? 1 : done, static_cast<ssize_t>(size));
}

bool ClientTlsStream::is_resumed() const {
    return SSL_session_reused(tls_.get()) == 1;
}

ssize_t ClientTlsStream::result_of(int done, ssize_t size) {
    awaits_input_ = false;
    if (done == 1) return size;
    int error = SSL_get_error(tls_.get(), done);
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    awaits_input_ = error == SSL_ERROR_WANT_READ;
    errno = awaits_input_ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

}  // namespace spoke::sim::load
