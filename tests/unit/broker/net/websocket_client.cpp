#include "tests/unit/broker/net/websocket_client.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace spoke::test {

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::uint8_t value(std::byte byte) {
    return static_cast<std::uint8_t>(byte);
}

[[noreturn]] void unexpected(std::string const& what) {
    throw std::runtime_error("WebSocket: " + what);
}

/// The size of the header at the front and of the payload behind it; nothing if more is needed.
std::optional<std::pair<std::size_t, std::size_t>> sizes_of(Bytes raw) {
    if (raw.size() < 2) return std::nullopt;
    if (value(raw[1]) >= 0x80) unexpected("a server must not mask");
    std::size_t length = value(raw[1]);
    std::size_t length_bytes = length == 127 ? 8 : length == 126 ? 2 : 0;
    if (raw.size() < 2 + length_bytes) return std::nullopt;
    if (length_bytes > 0) length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) length = length << 8 | value(raw[2 + i]);
    return std::pair{2 + length_bytes, length};
}

}  // namespace

std::string upgrade_request(std::string_view path) {
    return "GET " + std::string{path} +
           " HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
}

WebSocketClient::WebSocketClient(std::uint16_t port, Options options)
    : SocketClient(port, options) {
    open();
}

WebSocketClient::WebSocketClient(std::unique_ptr<ByteStream> stream)
    : SocketClient(std::move(stream)) {
    open();
}

void WebSocketClient::open() {
    sends_raw(as_bytes(upgrade_request()));
    for (;;) {
        auto text = as_text(raw_);
        auto end = text.find(kHeadEnd);
        if (end != std::string_view::npos) {
            if (!text.starts_with("HTTP/1.1 101 ")) unexpected("refused: " + std::string{text});
            raw_.erase(raw_.begin(), raw_.begin() + static_cast<std::ptrdiff_t>(end + 4));
            return;
        }
        Buffer more(1024);
        more.resize(SocketClient::read(more));
        if (more.empty()) unexpected("the stream ended in the handshake");
        raw_.insert(raw_.end(), more.begin(), more.end());
    }
}

WebSocketClient& WebSocketClient::sends_raw(Bytes bytes) {
    SocketClient::write(bytes);
    return *this;
}

void WebSocketClient::write(Bytes bytes) {
    sends_frame(kBinary, bytes);
}

bool WebSocketClient::next_frame(Frame& frame) {
    for (;;) {
        auto sizes = sizes_of(raw_);
        if (sizes && sizes->first + sizes->second <= raw_.size()) {
            auto payload = Bytes{raw_}.subspan(sizes->first, sizes->second);
            frame = {value(raw_[0]), Buffer(payload.begin(), payload.end())};
            raw_.erase(raw_.begin(),
                       raw_.begin() + static_cast<std::ptrdiff_t>(sizes->first + sizes->second));
            return true;
        }
        Buffer more(64 * 1024);
        more.resize(SocketClient::read(more));
        if (more.empty()) return false;
        raw_.insert(raw_.end(), more.begin(), more.end());
    }
}

std::size_t WebSocketClient::read(std::span<std::byte> into) {
    if (payloads_.empty()) {
        Frame frame;
        if (!next_frame(frame)) return 0;
        if (frame.first == kClose) return 0;  // nothing may follow; the packets end here
        if (frame.first != kBinary)
            unexpected("a frame came that starts with " + std::to_string(frame.first));
        payloads_.push_back(std::move(frame.payload));
    }
    auto& payload = payloads_.front();
    auto size = std::min(payload.size(), into.size());
    std::copy_n(payload.begin(), size, into.begin());
    payload.erase(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
    if (payload.empty()) payloads_.pop_front();
    return size;
}

WebSocketClient& WebSocketClient::gets_frame(std::uint8_t first, Bytes payload) {
    Frame frame;
    for (;;) {
        if (!next_frame(frame)) unexpected("the stream ended where a frame was expected");
        if (frame.first != kBinary) break;
        payloads_.push_back(std::move(frame.payload));
    }
    if (frame.first != first || !std::ranges::equal(frame.payload, payload))
        unexpected("another frame came: " + std::to_string(frame.first) + " '" +
                   std::string{as_text(frame.payload)} + "'");
    return *this;
}

WebSocketClient& WebSocketClient::stream_ends() {
    Frame frame;
    if (next_frame(frame)) unexpected("a frame came where the end was expected");
    return *this;
}

}  // namespace spoke::test
