#pragma once

#include <memory>
#include <string>

#include "broker/net/tls_context.hpp"
#include "broker/net/tls_records.hpp"
#include "broker/net/transport.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// TLS over another layer. OpenSSL reads and writes memory that all connections of a thread share:
/// one read of the layer below serves many records, and records made together leave in one write.
/// An idle connection owns no buffer; with TLS 1.3 OpenSSL's state, too, is freed when the
/// handshake is over, and TlsRecords takes its place.
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

    /// For SSL_CTX_set_keylog_callback(): how OpenSSL tells the secrets of TLS 1.3.
    static void on_key_line(SSL const* ssl, char const* line) noexcept;

private:
    struct Io;  // what the calls of one thread share

    [[nodiscard]] static Io& io() noexcept;
    /// Makes the shared memory this connection's for one call.
    void enter(Io& io) noexcept;
    void leave(Io& io) noexcept;

    /// The secrets that TlsRecords goes on with.
    struct Secrets {
        Buffer client{};
        Buffer server{};
    };

    IoResult read_open(Io& io, std::span<std::byte> into) noexcept;
    IoResult read_ssl(Io& io, std::span<std::byte> into) noexcept;
    IoResult read_records(Io& io, std::span<std::byte> into) noexcept;
    /// `before`: how much of the output was there before the last step of the handshake.
    void hand_over(Io& io, std::size_t before);
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
    [[nodiscard]] std::size_t next_record(std::span<iovec const>& pieces, std::size_t& offset,
                                          std::byte const*& from) noexcept;
    [[nodiscard]] std::size_t encrypt(std::span<iovec const>& pieces, std::size_t& offset) noexcept;
    /// Writes what OpenSSL has put out; false if the layer below is full or gone.
    bool flush(Io& io) noexcept;
    void update_flags() noexcept;

    std::unique_ptr<Transport> below_;
    TlsContext const& context_;  // the listener's, which outlives all its connections
    SslPtr ssl_;                 // made with the first byte, freed when it is not needed any more
    std::unique_ptr<TlsRecords> records_{};
    std::unique_ptr<Secrets> secrets_{};  // during the handshake
    Buffer unread_{};  // ciphertext for which the reader had no room, or no whole record
    Buffer plain_{};   // the rest of a record for which the reader had no room
    Buffer unsent_{};  // ciphertext for which the layer below had no room
    std::unique_ptr<std::string> identity_{};
    std::unique_ptr<std::string> failure_{};
    bool below_closed_ = false;  // the peer's end, or an error
    bool peer_ended_ = false;    // its close_notify came
    bool more_inside_ = false;   // the last read ended for want of room
    bool held_back_ = false;     // `unsent_` was not offered yet: it goes out with what comes next
    bool ends_ = false;          // shut_down_write() was called
    bool below_ended_ = false;   // and has reached the layer below
};

}  // namespace spoke::broker
