#pragma once

#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode_error.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

/// Which end of the connection wrote the packet: some properties, packets and reason codes go one way only.
enum class Sender : std::uint8_t { client, server };

/// Decodes one whole packet.
/// In      `frame`: exactly one packet from its fixed header on (read_fixed_header said how long);
///         `version`: that of the connection; CONNECT brings its own and ignores the argument.
/// Out     the packet, owning its bytes.
/// Errors  what the bytes alone can show: malformed_packet (0x81), protocol_error (0x82), and the special
///         codes the specification gives (topic_name_invalid, topic_alias_invalid, unsupported_protocol_version).
[[nodiscard]] Result<Packet> decode(Bytes frame, Version version, Sender sender);

}  // namespace spoke::mqtt
