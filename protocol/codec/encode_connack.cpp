#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {
namespace {

/// Session present is new in 3.1.1.
bool session_present(ConnAck const& packet, Version version) noexcept {
    return packet.session_present && version != Version::v3_1;
}

}  // namespace

void encode(ConnAck const& packet, Version version, Buffer& out) {
    auto return_code = connect_return_code(packet.reason);
    if (version != Version::v5 && !return_code) return;  // [MQTT-3.2.2-6]
    append_packet(first_byte(PacketType::connack), out, [&](auto& body) {
        body.u8(session_present(packet, version) ? 1 : 0);
        if (version != Version::v5) return body.u8(*return_code);
        write_reason(body, packet.reason);
        write_properties(body, packet);
    });
}

}  // namespace spoke::mqtt
