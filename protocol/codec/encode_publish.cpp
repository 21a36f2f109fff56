#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {
namespace {

std::uint8_t publish_flags(Publish const& packet) noexcept {
    auto flags = static_cast<unsigned>(packet.qos) << 1;
    if (packet.retain) flags |= 0x01;
    if (packet.dup) flags |= 0x08;
    return static_cast<std::uint8_t>(flags);
}

}  // namespace

void encode(Publish const& packet, Version version, Buffer& out) {
    MQ_ASSERT(!packet.dup || packet.qos != Qos::at_most_once);  // [MQTT-3.3.1-2]
    append_packet(first_byte(PacketType::publish, publish_flags(packet)), out, [&](auto& body) {
        body.utf8(packet.topic);
        if (packet.qos != Qos::at_most_once) write_packet_id(body, packet.id);
        if (version == Version::v5) write_properties(body, packet);
        body.raw(packet.payload);
    });
}

}  // namespace spoke::mqtt
