#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {

void read_body(Reader& reader, UnsubAck& packet) {
    packet.id = reader.packet_id();
    if (reader.version() != Version::v5) return;
    read_properties(reader, Place::unsuback, packet);
    if (reader.at_end())
        reader.fail(ReasonCode::protocol_error, rule::kNoReasons, reader.position());
    while (!reader.at_end()) packet.reasons.push_back(reader.reason_code(PacketType::unsuback));
}

}  // namespace spoke::mqtt
