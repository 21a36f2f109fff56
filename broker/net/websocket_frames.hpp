#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// RFC 6455, 5.2.
enum class Opcode : std::uint8_t {
    continuation = 0x0,
    text = 0x1,
    binary = 0x2,
    close = 0x8,
    ping = 0x9,
    pong = 0xA,
};

/// What a close frame says, RFC 6455, 7.4.1. Peers may send others.
enum class CloseCode : std::uint16_t {
    none = 0,  // a close frame without a code
    normal = 1000,
    protocol_error = 1002,
    unsupported_data = 1003,
    invalid_data = 1007,
};

/// A frame the server writes: FIN set, never masked (RFC 6455, 5.1). For data only its header is
/// made, as the payload is written from where it is.
struct FrameHeader {
    static constexpr std::size_t kSizeMax = 10;
    std::array<std::byte, kSizeMax> bytes;
    std::size_t size;
};
[[nodiscard]] FrameHeader frame_header(Opcode opcode, std::uint64_t payload_size) noexcept;

/// The payload of a control frame: at most 125 bytes (RFC 6455, 5.5).
struct ControlPayload {
    static constexpr std::size_t kSizeMax = 125;
    std::uint8_t size = 0;
    std::array<std::byte, kSizeMax> bytes;

    [[nodiscard]] Bytes view() const noexcept { return {bytes.data(), size}; }
};

/// Takes the frames of a client apart. The payload of binary messages is one stream of bytes to
/// MQTT [MQTT-6.0.0-2], so it is unmasked where it lies and handed on as it comes: neither a frame
/// nor a message is ever put together, and neither has a limit of its own.
///
/// By hand, and not with wslay, whose contexts hold a buffer of 4 KiB each through which every byte
/// is copied: several times what an idle connection costs here in all. The tests let wslay judge.
class FrameReader {
public:
    struct Unwrapped {
        std::size_t size = 0;  // bytes of payload, now at the front
        /// Set when nothing more is to be read: what the close frame of the answer says. What
        /// stands behind the frame that caused it is dropped.
        std::optional<CloseCode> close{};
    };
    /// Takes the next bytes of the stream, cut anywhere.
    /// Errors  1002 for what RFC 6455 forbids: no mask, reserved bits or opcodes, a control frame
    ///         that is long or in fragments, a length in a longer form than needed, a fragment that
    ///         continues nothing, a message inside another; 1003 for a text message; 1007 for a
    ///         close reason that is no UTF-8.
    ///         A peer's close frame gives its own code back.
    /// Cost    one pass, no memory except for the payload of a control frame.
    [[nodiscard]] Unwrapped unwrap(std::span<std::byte> bytes);

    /// The latest ping not yet answered, once; null if there is none. Earlier ones need no answer
    /// (RFC 6455, 5.5.3).
    [[nodiscard]] std::unique_ptr<ControlPayload> take_ping() noexcept { return std::move(ping_); }

private:
    static constexpr std::size_t kHeadMax = 14;  // 2 bytes, 8 of length, 4 of mask

    using Verdict = std::optional<CloseCode>;  // what ends the connection, if anything does

    [[nodiscard]] Verdict take_head_byte(std::byte byte);
    [[nodiscard]] std::size_t head_wanted() const noexcept;
    [[nodiscard]] Verdict check_start() const noexcept;
    [[nodiscard]] Verdict begin_payload();
    [[nodiscard]] Verdict end_frame();
    [[nodiscard]] std::size_t take_payload(std::span<std::byte> bytes, std::byte* to) noexcept;
    void unmask(std::byte* to, std::byte const* from, std::size_t size) noexcept;
    [[nodiscard]] Opcode opcode() const noexcept {
        return static_cast<Opcode>(head_[0] & std::byte{0x0F});
    }
    [[nodiscard]] bool is_final() const noexcept {
        return (head_[0] & std::byte{0x80}) != std::byte{};
    }

    std::array<std::byte, kHeadMax> head_{};
    std::uint8_t head_size_ = 0;                 // bytes of it that have come; 0: between frames
    bool in_payload_ = false;                    // the head is whole
    bool in_message_ = false;                    // a fragment came whose message goes on
    std::array<std::byte, 4> mask_{};            // turned so that its first byte is the next one's
    std::uint64_t left_ = 0;                     // payload of this frame that has not come yet
    std::unique_ptr<ControlPayload> control_{};  // of the control frame that is coming
    std::unique_ptr<ControlPayload> ping_{};
};

}  // namespace spoke::broker
