#pragma once

#include <openssl/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/net/tls_settings.hpp"

namespace spoke::broker {

struct SslDeleter {
    void operator()(SSL* ssl) const noexcept;
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
struct SslCtxDeleter {
    void operator()(SSL_CTX* context) const noexcept;
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, SslCtxDeleter>;

/// What a listener's TLS connections begin with: settings, and what its files said when they were
/// last read. Any thread.
class TlsContext {
public:
    /// Reads the files. Throws std::runtime_error with one line that names the file or option and
    /// says what is wrong.
    explicit TlsContext(TlsSettings settings);

    /// Reads all files anew. New connections use what they say from here on; those that are there
    /// stay as they are. Tickets given before are worth nothing any more, so that a resumed session
    /// cannot pass by a new CRL, CA or PSK file.
    /// Errors  as the constructor; then all stays as it was.
    void reload();

    /// A connection's state, in the server's role. Null: out of memory.
    [[nodiscard]] SslPtr make_ssl() const;

    struct Certificate {
        std::string file;
        std::chrono::system_clock::time_point ends;
    };
    [[nodiscard]] std::vector<Certificate> certificates() const;
    /// All that reload() reads.
    [[nodiscard]] std::vector<std::string> files() const;
    [[nodiscard]] TlsSettings const& settings() const noexcept { return settings_; }

private:
    TlsSettings settings_;
    mutable std::mutex mutex_;
    SslCtxPtr current_;
    std::vector<Certificate> certificates_;
};

/// One line for each certificate on `now`: how many days it is good for; a warning below 30, an
/// error when it has expired.
void log_days_to_expiry(TlsContext const& context, std::string const& listener,
                        std::chrono::system_clock::time_point now);

/// The reason of OpenSSL's first error in this thread's queue, which it empties; empty if none.
[[nodiscard]] std::string take_tls_error();

/// The identity of the pre-shared key that a finished handshake used; empty if none.
[[nodiscard]] std::string psk_identity(SSL const* ssl);

}  // namespace spoke::broker
