#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {

void encode(Disconnect const& packet, Version version, Buffer& out) {
    auto has_properties = version == Version::v5 && properties_size(packet) != 0;
    auto has_reason = version == Version::v5 && packet.reason != ReasonCode::normal_disconnection;
    append_packet(first_byte(PacketType::disconnect), out, [&](auto& body) {
        if (has_reason || has_properties) write_reason(body, packet.reason);
        if (has_properties) write_properties(body, packet);
    });
}

}  // namespace spoke::mqtt
