#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {

/// The empty form stands for success without properties (3.15.2.1), and so a packet that spells out
/// the same is taken, although neither has the method that every other AUTH must have (3.15.2.2.2).
void read_body(Reader& reader, Auth& packet) {
    auto const* field = reader.position();
    if (reader.at_end()) {
        if (reader.sender() == Sender::client) {
            reader.fail(ReasonCode::protocol_error, rule::kAuthReason, field);  // [MQTT-3.15.2-1]
        }
        return;
    }
    packet.reason = reader.reason_code(PacketType::auth);
    read_properties(reader, Place::auth, packet);
    if (!packet.authentication_method && packet != Auth{}) {
        reader.fail(ReasonCode::protocol_error, rule::kAuthMethod, field);
    }
}

}  // namespace spoke::mqtt
