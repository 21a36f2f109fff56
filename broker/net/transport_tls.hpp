#pragma once

#include <memory>
#include <string>

#include "broker/net/tls_context.hpp"
#include "broker/net/transport.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// TLS over another layer. OpenSSL reads and writes memory that all connections of a thread share:
/// one read of the layer below serves many records, and records made together leave in one write.
/// An idle connection owns OpenSSL's state and no buffer.
///
/// OpenSSL never sees a full socket: what of its output the layer below does not take waits in
/// `unsent_`, and until that has gone no more is encrypted. So a write counted as done is not asked
/// for again, whatever becomes of the out-queue meanwhile.
class TlsTransport final : public Transport {
public:
    TlsTransport(std::unique_ptr<Transport> below, TlsContext const& context);
    ~TlsTransport() override;

    [[nodiscard]] int descriptor() const noexcept override { return below_->descriptor(); }
    IoResult read_some(std::span<std::byte> into) noexcept override;
    IoResult write_some(std::span<iovec const> pieces) noexcept override;
    void shut_down_write() noexcept override;
    void on_writable() noexcept override;
    [[nodiscard]] std::string failure() const override;
    [[nodiscard]] std::unique_ptr<std::string> take_identity() override;
    [[nodiscard]] std::string peer() const override { return below_->peer(); }

private:
    struct Io;  // what the calls of one thread share

    [[nodiscard]] static Io& io() noexcept;
    /// Makes the shared memory this connection's for one call.
    void enter(Io& io) noexcept;
    void leave(Io& io) noexcept;

    IoResult read_open(Io& io, std::span<std::byte> into) noexcept;
    /// Reads ciphertext, about as much as makes `room` bytes of plaintext; false if there is none
    /// now.
    bool fill(Io& io, std::size_t room) noexcept;
    /// Carries the handshake on; done when it is.
    IoResult::Status open(Io& io) noexcept;
    [[nodiscard]] std::string handshake_error() const;
    /// What is wrong with who the peer is; empty if nothing.
    [[nodiscard]] std::string check_peer();
    void log_opened() const;
    IoResult::Status give_up(std::string why) noexcept;
    IoResult discard(std::span<std::byte> scratch) noexcept;
    [[nodiscard]] std::size_t encrypt(std::span<iovec const>& pieces, std::size_t& offset) noexcept;
    /// Writes what OpenSSL has put out; false if the layer below is full or gone.
    bool flush(Io& io) noexcept;
    void update_flags() noexcept;

    std::unique_ptr<Transport> below_;
    TlsContext const& context_;  // the listener's, which outlives all its connections
    SslPtr ssl_;                 // made with the first byte, freed when nothing more is written
    Buffer unread_{};            // ciphertext for which the reader had no room
    Buffer unsent_{};            // ciphertext for which the layer below had no room
    std::unique_ptr<std::string> identity_{};
    std::unique_ptr<std::string> failure_{};
    bool below_closed_ = false;  // the peer's end, or an error
    bool ends_ = false;          // shut_down_write() was called
    bool below_ended_ = false;   // and has reached the layer below
};

}  // namespace spoke::broker
