#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {

void encode(Auth const& packet, Version version, Buffer& out) {
    MQ_ASSERT(version == Version::v5);
    append_packet(first_byte(PacketType::auth), out, [&packet](auto& body) {
        if (packet == Auth{}) return;
        write_reason(body, packet.reason);
        write_properties(body, packet);
    });
}

}  // namespace spoke::mqtt
