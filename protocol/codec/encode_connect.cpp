#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {
namespace {

/// 3.1.1 knows no password without a user name [MQTT-3.1.2-22].
bool has_password(Connect const& packet) noexcept {
    return packet.password && (packet.version == Version::v5 || packet.user_name);
}

std::uint8_t connect_flags(Connect const& packet) noexcept {
    auto flags = 0u;
    if (packet.clean_start) flags |= 0x02;
    if (packet.will) {
        flags |= 0x04 | static_cast<unsigned>(packet.will->qos) << 3;
        if (packet.will->retain) flags |= 0x20;
    }
    if (has_password(packet)) flags |= 0x40;
    if (packet.user_name) flags |= 0x80;
    return static_cast<std::uint8_t>(flags);
}

void write_will(auto& out, Will const& will, Version version) {
    if (version == Version::v5) write_properties(out, will);
    out.utf8(will.topic);
    out.binary(will.payload);
}

}  // namespace

void encode(Connect const& packet, Buffer& out) {
    append_packet(first_byte(PacketType::connect), out, [&packet](auto& body) {
        body.utf8(packet.version == Version::v3_1 ? "MQIsdp" : "MQTT");
        body.u8(static_cast<std::uint8_t>(packet.version));
        body.u8(connect_flags(packet));
        body.u16(packet.keep_alive);
        if (packet.version == Version::v5) write_properties(body, packet);
        body.utf8(packet.client_id);
        if (packet.will) write_will(body, *packet.will, packet.version);
        if (packet.user_name) body.utf8(*packet.user_name);
        if (has_password(packet)) body.binary(*packet.password);
    });
}

}  // namespace spoke::mqtt
