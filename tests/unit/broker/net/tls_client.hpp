#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tests/unit/broker/net/byte_stream.hpp"
#include "tests/unit/broker/net/socket_client.hpp"

namespace spoke::test {

struct SessionDeleter {
    void operator()(SSL_SESSION* session) const noexcept;
};
using TlsSession = std::unique_ptr<SSL_SESSION, SessionDeleter>;

struct TlsClientOptions {
    std::string ca_file{};  // empty: the server is not verified
    std::string certificate_file{};
    std::string key_file{};
    std::string server_name{};
    std::string alpn{};  // names, each behind a byte with its length
    std::string ciphers{};
    std::string ciphersuites{};
    std::string curves{};
    std::string psk_identity{};
    std::string psk_key{};  // as bytes
    int version_min = 0;    // OpenSSL's numbers; 0: any
    int version_max = 0;
    SSL_SESSION* session = nullptr;  // to be resumed
    bool single_bytes = false;       // of ciphertext, each in a write of its own
};

/// The client's end of TLS over a blocking socket. All errors throw std::runtime_error with
/// OpenSSL's reason.
class TlsStream final : public ByteStream {
public:
    /// Connects and makes the handshake.
    TlsStream(std::uint16_t port, TlsClientOptions const& options);
    ~TlsStream() override;

    ssize_t send(Bytes bytes) override;
    ssize_t receive(std::span<std::byte> into) override;

    [[nodiscard]] std::string version() const;
    [[nodiscard]] std::string alpn() const;
    [[nodiscard]] std::string server_common_name() const;
    [[nodiscard]] bool is_resumed() const;
    /// Whether the server has said that nothing more comes, and did not just close the socket.
    [[nodiscard]] bool has_close_notify() const;
    /// The newest session that the server gave a ticket for; null if it gave none.
    [[nodiscard]] TlsSession take_session();
    /// Asks the server for new keys, as TLS 1.3 can.
    void update_keys();
    /// The server's answer to an attempt to renegotiate, as TLS 1.2 could: OpenSSL's reason.
    [[nodiscard]] std::string renegotiate();

private:
    [[noreturn]] void fail(std::string const& what) const;

    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// A client over TLS; the stream, which the client owns, can be asked about the handshake.
struct TlsClient {
    TlsStream* stream;
    SocketClient mqtt;
};
[[nodiscard]] TlsClient tls_client(std::uint16_t port, TlsClientOptions const& options);

}  // namespace spoke::test
