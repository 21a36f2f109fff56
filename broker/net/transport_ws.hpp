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
/// Each MQTT packet becomes a frame of its own. More of them in one, or one in many, would be right
/// as well [MQTT-6.0.0-2], but widespread clients (Paho C 1.3.12 among them) leave what stands
/// behind the first packet of a frame until the next one comes. A packet that has begun is written
/// to its end, so its frame is, too, and no payload is copied.
///
/// Closing: on shut_down_write(), and when the client's part of the stream has come to its end, be
/// it by a close frame or by an error. Pings are answered; none are sent, as MQTT has its own.
class WebSocketTransport final : public Transport {
public:
    /// `settings` outlives it.
    /// `unit_size(bytes)` gives the size of the packet that `bytes` begin with.
    using UnitSize = std::uint64_t (*)(Bytes bytes);
    WebSocketTransport(std::unique_ptr<Transport> below, WebSocketSettings const& settings,
                       UnitSize unit_size);

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
    /// What a write is made of: a frame or some of it; without a header not its beginning.
    struct Part {
        FrameHeader header;
        Bytes payload;
        std::uint64_t frame_left;  // payload of the frame from here on
    };
    /// Parts side by side, as they are given to the layer below.
    class Batch;
    static constexpr std::size_t kPartsMax = 64;  // in one write

    [[nodiscard]] IoResult read_frames(std::span<std::byte> into);
    [[nodiscard]] std::size_t read_request(std::span<std::byte> bytes);
    [[nodiscard]] IoResult give_up() noexcept;
    [[nodiscard]] IoResult write_frames(std::span<iovec const> pieces);
    [[nodiscard]] std::size_t account(std::span<Part const> parts, std::size_t written);
    void keep_start(Bytes header_rest, Part const& part);
    void close_below();
    /// Writes what this layer has to say itself, between frames; true if nothing of it is left.
    bool flush_own();
    [[nodiscard]] bool fill_own();
    void put_control(Opcode opcode, Bytes payload);
    void update_flags() noexcept;

    std::unique_ptr<Transport> below_;
    WebSocketSettings const& settings_;
    UnitSize unit_size_;
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
