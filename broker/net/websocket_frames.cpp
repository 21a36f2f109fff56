#include "broker/net/websocket_frames.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/topic/utf8.hpp"

namespace spoke::broker {

namespace {

constexpr std::uint8_t kSize16 = 126;  // the length stands in the next 2 bytes
constexpr std::uint8_t kSize64 = 127;  // in the next 8

constexpr bool is_control(Opcode opcode) noexcept {
    return (static_cast<std::uint8_t>(opcode) & 8) != 0;
}

std::uint64_t read_big_endian(Bytes bytes) noexcept {
    std::uint64_t value = 0;
    for (auto byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
}

/// Whether a peer may send this code: those registered or set free for libraries and applications
/// (RFC 6455, 7.4.2), without those that only stand for what never went over the wire.
bool may_be_sent(std::uint16_t code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

CloseCode answer_to_close(ControlPayload const& close) noexcept {
    auto payload = close.view();
    if (payload.empty()) return CloseCode::none;
    if (payload.size() == 1) return CloseCode::protocol_error;
    auto code = static_cast<std::uint16_t>(read_big_endian(payload.first(2)));
    if (!may_be_sent(code)) return CloseCode::protocol_error;
    if (!mqtt::is_valid_utf8(as_text(payload.subspan(2)))) return CloseCode::invalid_data;
    return static_cast<CloseCode>(code);
}

}  // namespace

FrameHeader frame_header(Opcode opcode, std::uint64_t payload_size) noexcept {
    FrameHeader header{};
    header.bytes[0] = std::byte{0x80} | static_cast<std::byte>(opcode);
    std::size_t length_bytes = 0;
    if (payload_size < kSize16) {
        header.bytes[1] = static_cast<std::byte>(payload_size);
    } else {
        length_bytes = payload_size <= 0xFFFF ? 2 : 8;
        header.bytes[1] = std::byte{length_bytes == 2 ? kSize16 : kSize64};
    }
    for (std::size_t i = 0; i < length_bytes; ++i) {
        header.bytes[2 + i] =
            static_cast<std::byte>(payload_size >> (8 * (length_bytes - 1 - i)) & 0xFF);
    }
    header.size = 2 + length_bytes;
    return header;
}

FrameReader::Unwrapped FrameReader::unwrap(std::span<std::byte> bytes) {
    Unwrapped result;
    std::size_t at = 0;
    while (at < bytes.size() && !result.close) {
        if (!in_payload_) {
            result.close = take_head_byte(bytes[at++]);
            continue;
        }
        auto size = take_payload(bytes.subspan(at), bytes.data() + result.size);
        at += size;
        if (!control_) result.size += size;
        if (left_ == 0) result.close = end_frame();
    }
    return result;
}

FrameReader::Verdict FrameReader::take_head_byte(std::byte byte) {
    head_[head_size_++] = byte;
    if (head_size_ == 2) {
        if (auto wrong = check_start()) return wrong;
    }
    if (head_size_ < head_wanted()) return std::nullopt;
    return begin_payload();
}

std::size_t FrameReader::head_wanted() const noexcept {
    if (head_size_ < 2) return 2;
    auto length = static_cast<std::uint8_t>(head_[1] & std::byte{0x7F});
    std::size_t length_bytes = length == kSize64 ? 8 : length == kSize16 ? 2 : 0;
    return 2 + length_bytes + mask_.size();
}

FrameReader::Verdict FrameReader::check_start() const noexcept {
    bool reserved = (head_[0] & std::byte{0x70}) != std::byte{};
    bool masked = (head_[1] & std::byte{0x80}) != std::byte{};
    if (reserved || !masked) return CloseCode::protocol_error;
    switch (opcode()) {
        case Opcode::continuation:
            if (!in_message_) return CloseCode::protocol_error;
            return std::nullopt;
        case Opcode::binary:
            if (in_message_) return CloseCode::protocol_error;
            return std::nullopt;
        case Opcode::text:
            return CloseCode::unsupported_data;  // [MQTT-6.0.0-1]
        case Opcode::close:
        case Opcode::ping:
        case Opcode::pong: {
            bool is_long = (head_[1] & std::byte{0x7F}) > std::byte{ControlPayload::kSizeMax};
            if (is_long || !is_final()) return CloseCode::protocol_error;
            return std::nullopt;
        }
    }
    return CloseCode::protocol_error;  // an opcode that means nothing yet
}

FrameReader::Verdict FrameReader::begin_payload() {
    auto head = Bytes{head_}.first(head_size_);
    auto length = head.subspan(2, head_size_ - 2 - mask_.size());
    left_ = length.empty() ? static_cast<std::uint8_t>(head_[1] & std::byte{0x7F})
                           : read_big_endian(length);
    bool longer_than_needed =
        (length.size() == 2 && left_ < kSize16) || (length.size() == 8 && left_ <= 0xFFFF);
    bool too_large = left_ >> 63 != 0;
    if (longer_than_needed || too_large) return CloseCode::protocol_error;
    std::ranges::copy(head.last(mask_.size()), mask_.begin());
    if (is_control(opcode())) {
        control_ = std::make_unique<ControlPayload>();
    } else {
        in_message_ = !is_final();
    }
    in_payload_ = true;
    return left_ == 0 ? end_frame() : std::nullopt;
}

std::size_t FrameReader::take_payload(std::span<std::byte> bytes, std::byte* to) noexcept {
    auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    if (control_) {
        to = control_->bytes.data() + control_->size;
        control_->size = static_cast<std::uint8_t>(control_->size + size);
    }
    unmask(to, bytes.data(), size);
    left_ -= size;
    return size;
}

FrameReader::Verdict FrameReader::end_frame() {
    in_payload_ = false;
    head_size_ = 0;
    if (!control_) return std::nullopt;
    auto control = std::move(control_);
    if (opcode() == Opcode::close) return answer_to_close(*control);
    if (opcode() == Opcode::ping) ping_ = std::move(control);
    return std::nullopt;  // a pong nobody asked for is allowed and means nothing
}

/// `to` is not behind `from`: the two may overlap.
void FrameReader::unmask(std::byte* to, std::byte const* from, std::size_t size) noexcept {
    std::uint64_t mask = 0;
    std::memcpy(&mask, mask_.data(), mask_.size());
    std::memcpy(reinterpret_cast<std::byte*>(&mask) + mask_.size(), mask_.data(), mask_.size());
    std::size_t done = 0;
    for (; size - done >= sizeof mask; done += sizeof mask) {
        std::uint64_t word = 0;
        std::memcpy(&word, from + done, sizeof word);
        word ^= mask;
        std::memcpy(to + done, &word, sizeof word);
    }
    for (std::size_t i = 0; done < size; ++done, ++i) to[done] = from[done] ^ mask_[i % 4];
    std::rotate(mask_.begin(), mask_.begin() + static_cast<std::ptrdiff_t>(size % 4), mask_.end());
}

}  // namespace spoke::broker
