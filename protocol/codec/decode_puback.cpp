#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {
namespace {

/// PUBACK, PUBREC, PUBREL and PUBCOMP have one layout (3.4.2, 3.5.2, 3.6.2, 3.7.2). In MQTT 5 the
/// properties may be left out, and so may the reason before them.
void read_acknowledgement(Reader& reader, PacketType type, auto& packet) {
    packet.id = reader.packet_id();
    if (reader.version() != Version::v5 || reader.at_end()) return;
    packet.reason = reader.reason_code(type);
    if (reader.at_end()) return;
    read_properties(reader, Place{static_cast<std::uint8_t>(type)}, packet);
}

}  // namespace

void read_body(Reader& reader, PubAck& packet) {
    read_acknowledgement(reader, PacketType::puback, packet);
}

void read_body(Reader& reader, PubRec& packet) {
    read_acknowledgement(reader, PacketType::pubrec, packet);
}

void read_body(Reader& reader, PubRel& packet) {
    read_acknowledgement(reader, PacketType::pubrel, packet);
}

void read_body(Reader& reader, PubComp& packet) {
    read_acknowledgement(reader, PacketType::pubcomp, packet);
}

}  // namespace spoke::mqtt
