#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "broker/net/transport.hpp"
#include "broker/net/websocket_frames.hpp"
#include "broker/net/websocket_upgrade.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// WebSocket (RFC 6455), the server's side, over the layer below. What is read is the payload of
/// the client's binary messages; what is written goes out as binary frames.
///
/// Every piece of a gathered write becomes a frame of its own, as a frame cannot be taken back:
/// when the socket takes only half of one, the other half is the rest of that piece, which its
/// owner keeps and gives again. One frame around many pieces would oblige him to write them all
/// later, even those which have expired meanwhile. No payload is copied.
///
/// Closing: on shut_down_write(), and when the client's part of the stream has come to its end, be
/// it by a close frame or by an error. Pings are answered; none are sent, as MQTT has its own.
class WebSocketTransport final : public Transport {
public:
    /// `settings` outlives it.
    WebSocketTransport(std::unique_ptr<Transport> below, WebSocketSettings const& settings);

    [[nodiscard]] int descriptor() const noexcept override { return below_->descriptor(); }
    IoResult read_some(std::span<std::byte> into) noexcept override;
    IoResult write_some(std::span<iovec const> pieces) noexcept override;
    void shut_down_write() noexcept override;
    void on_writable() noexcept override;
    [[nodiscard]] std::string failure() const override;
    [[nodiscard]] std::unique_ptr<std::string> take_identity() override {
        return below_->take_identity();
    }
    [[nodiscard]] std::string peer() const override { return below_->peer(); }

private:
    /// What exists until the request is answered.
    struct Opening {
        UpgradeReader reader{};
        std::string problem{};  // the request was refused
    };
    /// What a write is made of; without a header it is the rest of a frame.
    struct Frame {
        FrameHeader header;
        Bytes payload;
    };
    static constexpr std::size_t kFramesMax = 64;  // in one write

    [[nodiscard]] IoResult read_frames(std::span<std::byte> into);
    [[nodiscard]] std::size_t read_request(std::span<std::byte> bytes);
    [[nodiscard]] IoResult give_up() noexcept;
    [[nodiscard]] IoResult write_frames(std::span<iovec const> pieces);
    [[nodiscard]] std::size_t account(std::span<Frame const> frames, std::size_t written);
    void keep_start(Bytes header_rest, Bytes payload);
    void close_below();
    /// Writes what this layer has to say itself, between frames; true if nothing of it is left.
    bool flush_own();
    [[nodiscard]] bool fill_own();
    void put_control(Opcode opcode, Bytes payload);
    void update_flags() noexcept;

    std::unique_ptr<Transport> below_;
    WebSocketSettings const& settings_;
    std::unique_ptr<Opening> opening_;
    FrameReader frames_{};
    Buffer own_{};                      // bytes of this layer which the one below has not taken
    std::uint64_t frame_left_ = 0;      // payload still owed to the frame whose header is written
    std::optional<CloseCode> close_{};  // why no more is read
    bool gave_up_ = false;              // that was told
    bool closing_ = false;              // shut_down_write() was called
    bool close_written_ = false;
    bool half_closed_ = false;  // the layer below was shut down
};

}  // namespace spoke::broker
