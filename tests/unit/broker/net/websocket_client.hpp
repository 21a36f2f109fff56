#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "tests/unit/broker/net/client_frames.hpp"
#include "tests/unit/broker/net/socket_client.hpp"

namespace spoke::test {

/// A SocketClient whose packets travel in binary frames, one for each write unless a test sends
/// frames of its own. Written by hand, apart from the broker's code; what a server must not send
/// throws std::runtime_error.
class WebSocketClient final : public SocketClient {
public:
    /// Connects and makes the opening handshake.
    explicit WebSocketClient(std::uint16_t port, Options options = {});
    /// Makes the handshake on a stream that is open.
    explicit WebSocketClient(std::unique_ptr<ByteStream> stream);

    /// Bytes as they are: frames of any kind, or none.
    WebSocketClient& sends_raw(Bytes bytes);
    WebSocketClient& sends_frame(std::uint8_t first, Bytes payload) {
        return sends_raw(client_frame(first, payload));
    }
    WebSocketClient& sends_frame(std::uint8_t first, std::string_view payload) {
        return sends_frame(first, as_bytes(payload));
    }
    /// The next frame from the server that holds no packets: its first byte and its payload.
    /// Packets that come before it are kept.
    WebSocketClient& gets_frame(std::uint8_t first, Bytes payload);
    /// The end of the stream comes next, without another frame.
    WebSocketClient& stream_ends();

protected:
    void write(Bytes bytes) override;
    std::size_t read(std::span<std::byte> into) override;

private:
    void open();

    struct Frame {
        std::uint8_t first;
        Buffer payload;
    };
    /// Takes what has come of frames apart, after a read if there is none; false at the end.
    bool next_frame(Frame& frame);

    Buffer raw_{};
    std::deque<Buffer> payloads_{};  // of binary frames not yet read as packets
};

/// The request that WebSocketClient sends.
[[nodiscard]] std::string upgrade_request(std::string_view path = "/mqtt");

}  // namespace spoke::test
