#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {
namespace {

/// Return codes of 3.1.1 are 0, 1, 2 and 0x80, which have the same meaning in MQTT 5; 3.1 has no
/// 0x80.
ReasonCode read_reason(Reader& reader) {
    auto const* field = reader.position();
    auto reason = reader.reason_code(PacketType::suback);
    auto is_known =
        !is_error(reason) || reader.version() == Version::v5 ||
        (reader.version() == Version::v3_1_1 && reason == ReasonCode::unspecified_error);
    if (!is_known) reader.fail(ReasonCode::protocol_error, rule::kSubAckReason, field);
    return reason;
}

}  // namespace

void read_body(Reader& reader, SubAck& packet) {
    packet.id = reader.packet_id();
    if (reader.version() == Version::v5) read_properties(reader, Place::suback, packet);
    if (reader.at_end())
        reader.fail(ReasonCode::protocol_error, rule::kNoReasons, reader.position());
    while (!reader.at_end()) packet.reasons.push_back(read_reason(reader));
}

}  // namespace spoke::mqtt
