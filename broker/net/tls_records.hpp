#pragma once

#include <openssl/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// The records of one open TLS 1.3 connection (RFC 8446, 5), the server's side: what is left of TLS
/// when the handshake is over. OpenSSL makes the handshake and does the cryptography; its state
/// for a connection is some 14 KB, of which this needs the two traffic secrets.
class TlsRecords {
public:
    static constexpr std::size_t kPlainMax = 16'384;
    static constexpr std::size_t kHeaderSize = 5;
    static constexpr std::size_t kRecordMax = kHeaderSize + kPlainMax + 256;

    /// What the handshake agreed on; secrets are as long as the hash.
    struct Agreed {
        EVP_CIPHER const* cipher;
        EVP_MD const* hash;
        Bytes client_secret;
        Bytes server_secret;
        std::uint64_t records_sent;  // under the server's secret: the tickets
    };
    explicit TlsRecords(Agreed const& agreed);
    ~TlsRecords();
    TlsRecords(TlsRecords const&) = delete;
    TlsRecords& operator=(TlsRecords const&) = delete;

    enum class Alert : std::uint8_t {
        close_notify = 0,
        unexpected_message = 10,
        bad_record_mac = 20,
        record_overflow = 22,
        decode_error = 50,
        illegal_parameter = 47,
        internal_error = 80,
    };
    struct Opened {
        std::size_t size = 0;            // of the record, taken from the front; 0: it is not whole
        std::span<std::byte> plain{};    // what it says to the application, within the record
        bool is_end = false;             // the peer's close_notify, or another alert
        std::optional<Alert> problem{};  // what the peer is to be told; nothing more can be read
    };
    /// Decrypts the next record where it lies. A key update is carried out; the answer that it may
    /// ask for is appended to `output`.
    [[nodiscard]] Opened open(std::span<std::byte> bytes, Buffer& output);

    /// Appends one record with all of `plain`, at most kPlainMax bytes, in pieces.
    void seal(std::span<Bytes const> plain, Buffer& output);
    void seal_alert(Alert alert, Buffer& output);

private:
    static constexpr std::size_t kHashMax = 48;
    static constexpr std::size_t kKeyMax = 32;
    static constexpr std::size_t kNonceSize = 12;
    static constexpr std::size_t kTagSize = 16;

    struct Direction {
        std::array<std::byte, kHashMax> secret;
        std::array<std::byte, kKeyMax> key;
        std::array<std::byte, kNonceSize> iv;
        std::uint64_t sequence = 0;
    };
    void derive_keys(Direction& direction) const;
    void next_secret(Direction& direction) const;
    void expand(std::span<std::byte const> secret, std::string_view label,
                std::span<std::byte> into) const;
    [[nodiscard]] static std::array<std::byte, kNonceSize> next_nonce(Direction& direction);
    void seal_as(std::byte type, std::span<Bytes const> plain, Buffer& output);
    void update_own_keys(Buffer& output);
    [[nodiscard]] Opened take_handshake(Opened opened, std::span<std::byte const> message,
                                        Buffer& output);

    EVP_CIPHER const* cipher_;
    EVP_MD const* hash_;
    Direction in_;
    Direction out_;
};

}  // namespace spoke::broker
