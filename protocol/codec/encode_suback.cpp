#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {
namespace {

/// 3.1.1 has one code for every failure; 3.1 has none, and granting QoS 0 is the least it can say.
ReasonCode reason_in(Version version, ReasonCode reason) noexcept {
    if (version == Version::v5 || !is_error(reason)) return reason;
    return version == Version::v3_1 ? ReasonCode::granted_qos_0 : ReasonCode::unspecified_error;
}

}  // namespace

void encode(SubAck const& packet, Version version, Buffer& out) {
    MQ_ASSERT(!packet.reasons.empty());
    append_packet(first_byte(PacketType::suback), out, [&](auto& body) {
        write_packet_id(body, packet.id);
        if (version == Version::v5) write_properties(body, packet);
        for (auto reason : packet.reasons) write_reason(body, reason_in(version, reason));
    });
}

}  // namespace spoke::mqtt
