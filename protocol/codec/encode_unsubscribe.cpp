#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {

void encode(Unsubscribe const& packet, Version version, Buffer& out) {
    MQ_ASSERT(!packet.filters.empty());
    append_packet(first_byte(PacketType::unsubscribe, kRequestFlags), out, [&](auto& body) {
        write_packet_id(body, packet.id);
        if (version == Version::v5) write_properties(body, packet);
        for (auto const& filter : packet.filters) body.utf8(filter);
    });
}

}  // namespace spoke::mqtt
