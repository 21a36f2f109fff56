#include "protocol/link/stream.hpp"

#include <fmt/format.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <utility>

#include "protocol/base/assert.hpp"
#include "protocol/link/tls_files.hpp"

namespace spoke::mqtt {
namespace {

using Kind = Progress::Kind;

int clamp_to_int(std::size_t size) noexcept {
    return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

Progress system_failure(Kind when_blocked) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {.kind = when_blocked};
    return {.kind = Kind::failed, .error = system_error_text(errno)};
}

// An address is checked against the certificate's addresses and not sent as SNI, which knows names
// only (RFC 6066).
void expect_host(SSL* ssl, std::string const& host, bool verify) {
    auto* address = a2i_IPADDRESS(host.c_str());
    bool is_address = address != nullptr;
    ASN1_OCTET_STRING_free(address);
    if (!is_address) SSL_set_tlsext_host_name(ssl, host.c_str());
    if (!verify) return;
    if (is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    } else {
        SSL_set1_host(ssl, host.c_str());
    }
}

}  // namespace

std::string system_error_text(int error) {
    auto text = boost::system::error_code(error, boost::system::system_category()).message();
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    }
    return text;
}

void Stream::SslDeleter::operator()(SSL* ssl) const noexcept {
    SSL_free(ssl);
}

Stream::Stream(int descriptor) noexcept : descriptor_(descriptor) {}

Stream::Stream(int descriptor, TlsContext const& tls, std::string const& host)
    : ssl_(SSL_new(tls.context.get())), descriptor_(descriptor) {
    auto* bio = BIO_new(tls.socket_bio.get());
    MQ_ASSERT(ssl_ != nullptr && bio != nullptr);
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_connect_state(ssl_.get());
    expect_host(ssl_.get(), tls.server_name.empty() ? host : tls.server_name, tls.verify);
}

Progress Stream::handshake() {
    if (!ssl_) return {};
    ERR_clear_error();
    return tls_result(SSL_do_handshake(ssl_.get()), 0);
}

Progress Stream::read(std::span<std::byte> into) {
    if (!ssl_) {
        auto got = ::recv(descriptor_, into.data(), into.size(), 0);
        if (got > 0) return {.bytes = static_cast<std::size_t>(got)};
        return got == 0 ? Progress{.kind = Kind::ended} : system_failure(Kind::want_read);
    }
    ERR_clear_error();
    auto got = SSL_read(ssl_.get(), into.data(), clamp_to_int(into.size()));
    return tls_result(got, got > 0 ? static_cast<std::size_t>(got) : 0);
}

Progress Stream::write(Bytes bytes) {
    if (!ssl_) {
        auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) return {.bytes = static_cast<std::size_t>(sent)};
        return system_failure(Kind::want_write);
    }
    ERR_clear_error();
    auto sent = SSL_write(ssl_.get(), bytes.data(), clamp_to_int(bytes.size()));
    return tls_result(sent, sent > 0 ? static_cast<std::size_t>(sent) : 0);
}

Progress Stream::tls_result(int result, std::size_t bytes) {
    if (result > 0) return {.bytes = bytes};
    auto saved = errno;
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return {.kind = Kind::want_read};
        case SSL_ERROR_WANT_WRITE:
            return {.kind = Kind::want_write};
        case SSL_ERROR_ZERO_RETURN:
            return {.kind = Kind::ended};
        case SSL_ERROR_SYSCALL:
            ERR_clear_error();
            if (saved == 0) return {.kind = Kind::ended};
            return {.kind = Kind::failed, .error = system_error_text(saved)};
        default:
            break;
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        return {.kind = Kind::ended};
    }
    auto verified = SSL_get_verify_result(ssl_.get());
    auto text = tls_error_text();
    if (verified != X509_V_OK) {
        text += fmt::format(": {}", X509_verify_cert_error_string(verified));
    }
    return {.kind = Kind::failed, .error = std::move(text)};
}

void Stream::finish_writing() noexcept {
    if (ssl_ && SSL_is_init_finished(ssl_.get()) != 0) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    ::shutdown(descriptor_, SHUT_WR);
}

}  // namespace spoke::mqtt
