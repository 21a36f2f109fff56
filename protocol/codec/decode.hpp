#pragma once

#include <cstdint>
#include <optional>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode_error.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

/// Decodes one whole packet.
/// In      `frame`: exactly one packet from its fixed header on (read_fixed_header said how long);
///         `version`: that of the connection; CONNECT brings its own and ignores the argument.
/// Out     the packet, owning its bytes.
/// Errors  what the bytes alone can show: malformed_packet (0x81), protocol_error (0x82), and the
/// special
///         codes the specification gives (topic_name_invalid, topic_alias_invalid). The same
///         for 3.1.1, where any of them ends the connection without a word. A CONNECT with an
///         unknown protocol name is malformed; one with a known name and another level is
///         unsupported_protocol_version.
[[nodiscard]] Result<Packet> decode(Bytes frame, Version version, Sender sender);

/// The protocol level that a CONNECT claims, whether or not the rest of it is sound.
/// In      `frame`: a CONNECT from its fixed header on, perhaps cut.
/// Out     nullopt if it is no CONNECT, its protocol name is unknown, or it ends before the level.
[[nodiscard]] std::optional<std::uint8_t> claimed_protocol_level(Bytes frame) noexcept;

/// The version in whose form a CONNECT that could not be decoded may be answered: v5 if it claims a
/// level of 5 or more under the name MQTT, else v3_1_1. Bit 7 of the level, by which some brokers
/// mark their bridges, counts for nothing here. Out     nullopt where claimed_protocol_level() has
/// none: then the connection is closed in silence.
[[nodiscard]] std::optional<Version> connack_version(Bytes frame) noexcept;

}  // namespace spoke::mqtt
