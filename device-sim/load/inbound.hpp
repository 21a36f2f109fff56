#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::sim::load {

/// The load generator's own short way through the packets that come by the million. It is apart
/// from protocol/codec so that a mistake there does not hide by being made at both ends.

/// One packet in the read buffer.
struct Frame {
    Bytes bytes;  // from the fixed header on
    std::uint8_t header_size = 0;

    [[nodiscard]] std::uint8_t first() const noexcept {
        return static_cast<std::uint8_t>(bytes.front());
    }
    [[nodiscard]] mqtt::PacketType type() const noexcept {
        return mqtt::PacketType{static_cast<std::uint8_t>(first() >> 4)};
    }
    [[nodiscard]] Bytes body() const noexcept { return bytes.subspan(header_size); }
};

enum class Cut : std::uint8_t { whole, more_needed, malformed };

/// Cuts the first packet off `input` into `frame`.
/// Out     `malformed` if the length takes more than four bytes.
[[nodiscard]] inline Cut cut_frame(Bytes input, Frame& frame) noexcept {
    constexpr std::size_t kHeaderMax = 5;
    std::size_t length = 0;
    int shift = 0;
    for (std::size_t at = 1; at < kHeaderMax; ++at, shift += 7) {
        if (at >= input.size()) return Cut::more_needed;
        auto byte = static_cast<unsigned>(input[at]);
        length |= std::size_t{byte & 0x7F} << shift;
        if ((byte & 0x80) != 0) continue;
        auto size = at + 1 + length;
        if (size > input.size()) return Cut::more_needed;
        frame.bytes = input.first(size);
        frame.header_size = static_cast<std::uint8_t>(at + 1);
        return Cut::whole;
    }
    return Cut::malformed;
}

/// A PUBLISH that came from the broker; views into the read buffer.
struct Delivery {
    std::string_view topic;
    Bytes payload;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool dup = false;
    bool retain = false;
    mqtt::PacketId id{};
};

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
struct Acknowledgement {
    mqtt::PacketId id{};
    std::uint8_t reason = 0;

    [[nodiscard]] bool is_error() const noexcept { return reason >= 0x80; }
};

/// Errors: nullopt if the lengths inside do not fit, or QoS is 3.
[[nodiscard]] std::optional<Delivery> read_delivery(Frame const& frame, mqtt::Version version);

/// Errors: nullopt if there is no packet id.
[[nodiscard]] std::optional<Acknowledgement> read_acknowledgement(Frame const& frame) noexcept;

/// Appends PUBACK, PUBREC, PUBREL or PUBCOMP of success: the same four bytes in both versions.
void append_acknowledgement(mqtt::PacketType type, mqtt::PacketId id, Buffer& out);

}  // namespace spoke::sim::load
