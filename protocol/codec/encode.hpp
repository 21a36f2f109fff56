#pragma once

#include <cstddef>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

/// Appends the packet as it goes on the wire, in the shortest form (no reason and no properties
/// where both may be left out). What 3.1.1 has no place for is left out. Encoding then decoding
/// gives the same value. Errors  none: values that cannot be encoded (a string above 65535 bytes)
/// are our own mistake and assert.
void encode(Connect const& packet, Buffer& out);
void encode(ConnAck const& packet, Version version, Buffer& out);
void encode(Publish const& packet, Version version, Buffer& out);
void encode(PubAck const& packet, Version version, Buffer& out);
void encode(PubRec const& packet, Version version, Buffer& out);
void encode(PubRel const& packet, Version version, Buffer& out);
void encode(PubComp const& packet, Version version, Buffer& out);
void encode(Subscribe const& packet, Version version, Buffer& out);
void encode(SubAck const& packet, Version version, Buffer& out);
void encode(Unsubscribe const& packet, Version version, Buffer& out);
void encode(UnsubAck const& packet, Version version, Buffer& out);
void encode(PingReq packet, Version version, Buffer& out);
void encode(PingResp packet, Version version, Buffer& out);
void encode(Disconnect const& packet, Version version, Buffer& out);
void encode(Auth const& packet, Version version, Buffer& out);
void encode(Packet const& packet, Version version, Buffer& out);

/// Bytes that `value` takes as a variable byte integer: 1..4.
[[nodiscard]] constexpr std::size_t variable_byte_integer_size(std::uint32_t value) noexcept {
    return value < 128 ? 1 : value < 16'384 ? 2 : value < 2'097'152 ? 3 : 4;
}

/// Writes `value` (at most kVariableByteIntegerMax) to `out`; gives one past the last byte written.
constexpr std::byte* write_variable_byte_integer(std::uint32_t value, std::byte* out) noexcept {
    while (value >= 128) {
        *out++ = static_cast<std::byte>((value & 0x7F) | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<std::byte>(value);
    return out;
}

}  // namespace spoke::mqtt
