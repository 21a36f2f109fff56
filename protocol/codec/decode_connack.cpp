#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {
namespace {

ReasonCode read_reason(Reader& reader) {
    if (reader.version() == Version::v5) return reader.reason_code(PacketType::connack);
    auto const* field = reader.position();
    if (auto reason = reason_of_return_code(reader.u8())) return *reason;
    reader.fail(ReasonCode::protocol_error, rule::kConnAckReason, field);
    return ReasonCode::unspecified_error;
}

}  // namespace

void read_body(Reader& reader, ConnAck& packet) {
    auto const* field = reader.position();
    auto flags = reader.u8();
    if (reader.version() == Version::v3_1)
        flags = 0;  // 3.1: reserved, and without a rule for its value
    if (flags > 1) reader.fail(ReasonCode::malformed_packet, rule::kConnAckFlags, field);
    packet.session_present = flags == 1;
    packet.reason = read_reason(reader);
    if (packet.session_present && packet.reason != ReasonCode::success) {
        reader.fail(ReasonCode::protocol_error, rule::kSessionPresent, field);
    }
    if (reader.version() != Version::v5) return;
    auto const* properties = reader.position();
    read_properties(reader, Place::connack, packet);
    if (packet.authentication_data && !packet.authentication_method) {
        reader.fail(ReasonCode::protocol_error, rule::kDataNeedsMethod, properties);
    }
}

}  // namespace spoke::mqtt
