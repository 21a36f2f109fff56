#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/link/tls_context.hpp"

using SSL = struct ssl_st;

namespace spoke::mqtt {

/// What one attempt to move bytes came to.
struct Progress {
    enum class Kind : std::uint8_t { moved, want_read, want_write, ended, failed };
    Kind kind = Kind::moved;
    std::size_t bytes = 0;  // moved: how many, at least 1
    std::string error{};    // failed: "connection reset by peer"
};

/// Bytes over a connected, non-blocking descriptor, plain or through TLS. Never blocks, waits for
/// nothing: the owner waits for the descriptor and tries again. Does not own the descriptor.
class Stream {
public:
    Stream() = default;
    /// Plain TCP.
    explicit Stream(int descriptor) noexcept;
    /// TLS as the client. `host` is what was connected to: for SNI and the host check, unless the
    /// context names another.
    Stream(int descriptor, TlsContext const& tls, std::string const& host);
    Stream(Stream&&) noexcept = default;
    Stream& operator=(Stream&&) noexcept = default;
    ~Stream() = default;

    /// Goes on with the TLS handshake. `moved` (of 0 bytes): it is complete. Plain TCP: always
    /// complete.
    [[nodiscard]] Progress handshake();
    [[nodiscard]] Progress read(std::span<std::byte> into);
    [[nodiscard]] Progress write(Bytes bytes);
    /// Says that nothing more will be written (close_notify, FIN). Reading goes on.
    void finish_writing() noexcept;

    /// Whether decrypted bytes may be waiting which the descriptor's readiness does not show.
    [[nodiscard]] bool may_hold_bytes() const noexcept { return ssl_ != nullptr; }

private:
    struct SslDeleter {
        void operator()(SSL* ssl) const noexcept;
    };

    [[nodiscard]] Progress tls_result(int result, std::size_t bytes);

    std::unique_ptr<SSL, SslDeleter> ssl_;
    int descriptor_ = -1;
};

/// "connection refused": the system's text for an errno value, in the style of our own.
[[nodiscard]] std::string system_error_text(int error);

}  // namespace spoke::mqtt
