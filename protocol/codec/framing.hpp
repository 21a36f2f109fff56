#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode_error.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::mqtt {

/// The fixed header of a packet (MQTT 5, 2.1).
struct FixedHeader {
    std::uint8_t first = 0;        // type and flags as they came
    std::uint8_t header_size = 0;  // 2..5 bytes
    std::uint32_t remaining_length = 0;

    [[nodiscard]] PacketType type() const noexcept {
        return PacketType{static_cast<std::uint8_t>(first >> 4)};
    }
    [[nodiscard]] std::uint8_t flags() const noexcept { return first & 0x0F; }
    [[nodiscard]] std::size_t packet_size() const noexcept {
        return header_size + std::size_t{remaining_length};
    }
};

/// Reads the fixed header at the start of `input`, which may hold less or more than one packet.
/// Spec    MQTT 5 2.1, 1.5.5: at most four length bytes, in the shortest form [MQTT-1.5.5-1];
/// reserved
///         flag bits [MQTT-2.1.3-1]; type 0 is malformed. Rules are named as in MQTT 5.
/// Out     nullopt if more bytes are needed to know; else the header, whether or not the body is
/// there yet. Errors  malformed_packet; packet_too_large if the whole packet is longer than
/// `packet_size_max` bytes, so
///         that nothing is buffered for it. Both versions refuse over-long length forms.
[[nodiscard]] Result<std::optional<FixedHeader>> read_fixed_header(Bytes input,
                                                                   std::uint32_t packet_size_max);

}  // namespace spoke::mqtt
