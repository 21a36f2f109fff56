#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {

void encode(PingReq, Version, Buffer& out) {
    append_packet(first_byte(PacketType::pingreq), out, [](auto&) {});
}

void encode(PingResp, Version, Buffer& out) {
    append_packet(first_byte(PacketType::pingresp), out, [](auto&) {});
}

void encode(Packet const& packet, Version version, Buffer& out) {
    std::visit(
        [&](auto const& kind) {
            if constexpr (std::is_same_v<decltype(kind), Connect const&>) {
                encode(kind, out);
            } else {
                encode(kind, version, out);
            }
        },
        packet);
}

}  // namespace spoke::mqtt
