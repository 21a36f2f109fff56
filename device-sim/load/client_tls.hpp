#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "protocol/base/bytes.hpp"

namespace spoke::sim::load {

struct TlsContextDeleter {
    void operator()(SSL_CTX* context) const noexcept;
};
struct TlsSessionDeleter {
    void operator()(SSL_SESSION* session) const noexcept;
};
struct TlsDeleter {
    void operator()(SSL* tls) const noexcept;
};

/// TLS for all clients of a run. The broker's certificate is not looked at: what is measured is the
/// broker. Outlives the clients; one thread.
class ClientTls {
public:
    /// `resume`: every connection after the first resumes that one's session.
    explicit ClientTls(bool resume);
    ClientTls(ClientTls const&) = delete;
    ClientTls& operator=(ClientTls const&) = delete;

    [[nodiscard]] SSL_CTX* context() const noexcept { return context_.get(); }
    [[nodiscard]] SSL_SESSION* session() const noexcept { return session_.get(); }

private:
    std::unique_ptr<SSL_CTX, TlsContextDeleter> context_;
    std::unique_ptr<SSL_SESSION, TlsSessionDeleter> session_{};
};

/// One connection's. As the system's calls on a non-blocking socket: what was moved, or -1 with
/// EAGAIN or another errno; the handshake happens within them.
class ClientTlsStream {
public:
    ClientTlsStream(ClientTls const& tls, int socket);

    [[nodiscard]] ssize_t send(Bytes bytes);
    /// Fills `into` as far as there is something.
    [[nodiscard]] ssize_t receive(std::span<std::byte> into);
    [[nodiscard]] bool is_resumed() const;
    /// A send() that did not move all waits for the peer's bytes, not for room.
    [[nodiscard]] bool awaits_input() const noexcept { return awaits_input_; }

private:
    ssize_t result_of(int done, ssize_t size);

    std::unique_ptr<SSL, TlsDeleter> tls_;
    bool awaits_input_ = false;
};

}  // namespace spoke::sim::load
