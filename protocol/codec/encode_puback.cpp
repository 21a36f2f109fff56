#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {
namespace {

/// In the shortest form: small devices expect two bytes for plain success.
void append_acknowledgement(std::uint8_t first, auto const& packet, Version version, Buffer& out) {
    auto has_properties = version == Version::v5 && properties_size(packet) != 0;
    auto has_reason = version == Version::v5 && packet.reason != ReasonCode::success;
    append_packet(first, out, [&](auto& body) {
        write_packet_id(body, packet.id);
        if (has_reason || has_properties) write_reason(body, packet.reason);
        if (has_properties) write_properties(body, packet);
    });
}

}  // namespace

void encode(PubAck const& packet, Version version, Buffer& out) {
    append_acknowledgement(first_byte(PacketType::puback), packet, version, out);
}

void encode(PubRec const& packet, Version version, Buffer& out) {
    append_acknowledgement(first_byte(PacketType::pubrec), packet, version, out);
}

void encode(PubRel const& packet, Version version, Buffer& out) {
    append_acknowledgement(first_byte(PacketType::pubrel, kRequestFlags), packet, version, out);
}

void encode(PubComp const& packet, Version version, Buffer& out) {
    append_acknowledgement(first_byte(PacketType::pubcomp), packet, version, out);
}

}  // namespace spoke::mqtt
