#include "broker/net/transport_ws.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace spoke::broker {

using Status = IoResult::Status;

namespace {

iovec piece_of(Bytes bytes) noexcept {
    return {const_cast<std::byte*>(bytes.data()), bytes.size()};  // nothing writes to it
}

Bytes bytes_of(iovec const& piece) noexcept {
    return {static_cast<std::byte const*>(piece.iov_base), piece.iov_len};
}

}  // namespace

WebSocketTransport::WebSocketTransport(std::unique_ptr<Transport> below,
                                       WebSocketSettings const& settings, UnitSize unit_size)
    : below_(std::move(below)),
      settings_(settings),
      unit_size_(unit_size),
      opening_(std::make_unique<Opening>()) {
    set_open(false);
    update_flags();
}

// --- reading ---

IoResult WebSocketTransport::read_some(std::span<std::byte> into) noexcept {
    auto result = gave_up_ || closing_ ? below_->read_some(into) : read_frames(into);
    update_flags();
    return result;
}

IoResult WebSocketTransport::read_frames(std::span<std::byte> into) {
    if (close_) return give_up();  // behind what was read before it
    auto result = below_->read_some(into);
    if (result.status != Status::done) return result;
    auto bytes = into.first(result.size);
    auto frames = bytes.subspan(opening_ ? read_request(bytes) : 0);
    auto unwrapped = frames_.unwrap(frames);
    if (!opening_) close_ = unwrapped.close;
    if (frames.data() != bytes.data()) std::memmove(bytes.data(), frames.data(), unwrapped.size);
    flush_own();
    if (unwrapped.size > 0) return {Status::done, unwrapped.size};
    return close_ ? give_up() : IoResult{Status::would_block};
}

/// Gives how many of the bytes belong to the request.
std::size_t WebSocketTransport::read_request(std::span<std::byte> bytes) {
    auto step = opening_->reader.read(bytes, settings_);
    if (!step.answer) return step.used;
    auto reply = as_bytes(step.answer->reply);
    own_.assign(reply.begin(), reply.end());
    if (step.answer->is_accepted()) {
        opening_ = nullptr;
        set_open(true);
        return step.used;
    }
    opening_->problem = std::move(step.answer->problem);
    close_ = CloseCode::none;
    return bytes.size();
}

IoResult WebSocketTransport::give_up() noexcept {
    gave_up_ = true;
    return {Status::failed};
}

std::string WebSocketTransport::failure() const {
    if (opening_ && !opening_->problem.empty()) return "WebSocket refused: " + opening_->problem;
    if (!close_) return below_->failure();
    switch (*close_) {
        case CloseCode::protocol_error:
            return "WebSocket closed: a frame breaks the protocol (1002)";
        case CloseCode::unsupported_data:
            return "WebSocket closed: a text message came (1003)";
        case CloseCode::invalid_data:
            return "WebSocket closed: the reason to close is no UTF-8 (1007)";
        case CloseCode::none:
            return "WebSocket closed by the client";
        case CloseCode::normal:
            break;
    }
    return fmt::format("WebSocket closed by the client ({})", static_cast<unsigned>(*close_));
}

// --- writing ---

IoResult WebSocketTransport::write_some(std::span<iovec const> pieces) noexcept {
    auto result = write_frames(pieces);
    update_flags();
    return result;
}

class WebSocketTransport::Batch {
public:
    [[nodiscard]] bool is_full() const noexcept { return count_ == kPartsMax; }
    void add(Bytes payload, FrameHeader const& header, std::uint64_t frame_left) {
        auto& part = parts_[count_++] = {header, payload, frame_left};
        if (header.size > 0) add_bytes(Bytes{part.header.bytes}.first(header.size));
        add_bytes(payload);
    }
    [[nodiscard]] std::span<Part const> parts() const noexcept { return {parts_.data(), count_}; }
    [[nodiscard]] std::span<iovec const> bytes() const noexcept {
        return {out_.data(), out_count_};
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    void add_bytes(Bytes bytes) {
        out_[out_count_++] = piece_of(bytes);
        size_ += bytes.size();
    }

    std::array<Part, kPartsMax> parts_;
    std::array<iovec, 2 * kPartsMax> out_;
    std::size_t count_ = 0;
    std::size_t out_count_ = 0;
    std::size_t size_ = 0;
};

IoResult WebSocketTransport::write_frames(std::span<iovec const> pieces) {
    if (!flush_own()) return {Status::would_block};
    std::size_t moved = 0;
    std::size_t skipped = 0;  // of the first piece
    while (!pieces.empty()) {
        Batch batch;
        for (auto left = frame_left_; !pieces.empty() && !batch.is_full();) {
            auto payload = bytes_of(pieces.front()).subspan(skipped);
            FrameHeader header{};
            if (left == 0 && !payload.empty()) {
                left = unit_size_(payload);
                header = frame_header(Opcode::binary, left);
            }
            auto part = payload.first(std::min<std::uint64_t>(payload.size(), left));
            if (!part.empty()) batch.add(part, header, left);
            left -= part.size();
            skipped += part.size();
            if (part.size() < payload.size()) continue;
            pieces = pieces.subspan(1);
            skipped = 0;
        }
        auto result = below_->write_some(batch.bytes());
        if (result.status != Status::done)
            return moved > 0 ? IoResult{Status::done, moved} : result;
        moved += account(batch.parts(), result.size);
        if (result.size < batch.size()) break;
    }
    return {Status::done, moved};
}

/// Gives how much of the payload is done with, when `written` bytes of the parts are written.
std::size_t WebSocketTransport::account(std::span<Part const> parts, std::size_t written) {
    std::size_t moved = 0;
    for (auto const& part : parts) {
        if (written == 0) break;
        std::size_t header = part.header.size;
        if (header > 0 && written <= header) {
            keep_start(Bytes{part.header.bytes}.first(header).subspan(written), part);
            return moved + 1;
        }
        auto payload = std::min(written - header, part.payload.size());
        frame_left_ = part.frame_left - payload;
        moved += payload;
        written -= header + payload;
    }
    return moved;
}

/// A frame has begun, but none of its payload is written. Its first byte is taken along with the
/// rest of the header: so its owner knows that it has begun, and will not drop the packet.
void WebSocketTransport::keep_start(Bytes header_rest, Part const& part) {
    own_.assign(header_rest.begin(), header_rest.end());
    own_.push_back(part.payload[0]);
    frame_left_ = part.frame_left - 1;
}

bool WebSocketTransport::flush_own() {
    while (fill_own()) {
        auto piece = piece_of(own_);
        auto result = below_->write_some({&piece, 1});
        if (result.status != Status::done) {
            // What cannot be said any more need not be kept; the next read tells the end.
            if (result.status != Status::would_block) Buffer{}.swap(own_);
            return false;
        }
        own_.erase(own_.begin(), own_.begin() + static_cast<std::ptrdiff_t>(result.size));
        if (own_.empty()) Buffer{}.swap(own_);
    }
    return true;
}

/// Whether this layer has something to write before payload may follow.
bool WebSocketTransport::fill_own() {
    if (!own_.empty()) return true;
    if (opening_ || frame_left_ > 0 || close_written_) return false;
    if (auto ping = frames_.take_ping()) {
        put_control(Opcode::pong, ping->view());
        return true;
    }
    if (!closing_) return false;
    close_written_ = true;
    auto code = static_cast<std::uint16_t>(close_.value_or(CloseCode::normal));
    std::array bytes{static_cast<std::byte>(code >> 8), static_cast<std::byte>(code & 0xFF)};
    put_control(Opcode::close, close_ == CloseCode::none ? Bytes{} : Bytes{bytes});
    return true;
}

void WebSocketTransport::put_control(Opcode opcode, Bytes payload) {
    auto header = frame_header(opcode, payload.size());
    auto head = Bytes{header.bytes}.first(header.size);
    own_.assign(head.begin(), head.end());
    own_.insert(own_.end(), payload.begin(), payload.end());
}

void WebSocketTransport::shut_down_write() noexcept {
    closing_ = true;
    close_below();
    update_flags();
}

/// In the middle of a frame there is no room for a close frame: then the stream just ends.
void WebSocketTransport::close_below() {
    flush_own();
    if (!own_.empty() || half_closed_) return;
    half_closed_ = true;
    below_->shut_down_write();
}

void WebSocketTransport::on_writable() noexcept {
    if (below_->wants_write()) below_->on_writable();
    if (closing_) {
        close_below();
    } else if (below_->is_open()) {
        flush_own();
    }
    update_flags();
}

void WebSocketTransport::update_flags() noexcept {
    set_has_input(below_->has_input() || (close_ && !gave_up_ && !closing_));
    set_wants_write(below_->wants_write() || !own_.empty());
}

}  // namespace spoke::broker
