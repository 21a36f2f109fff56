#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {

void encode(UnsubAck const& packet, Version version, Buffer& out) {
    MQ_ASSERT(version != Version::v5 || !packet.reasons.empty());
    append_packet(first_byte(PacketType::unsuback), out, [&](auto& body) {
        write_packet_id(body, packet.id);
        if (version != Version::v5) return;
        write_properties(body, packet);
        for (auto reason : packet.reasons) write_reason(body, reason);
    });
}

}  // namespace spoke::mqtt
