#include "protocol/codec/writer.hpp"

namespace spoke::mqtt {
namespace {

std::uint8_t options_byte(SubscriptionOptions const& options, Version version) noexcept {
    auto byte = static_cast<unsigned>(options.qos);
    if (version == Version::v5) {
        if (options.no_local) byte |= 0x04;
        if (options.retain_as_published) byte |= 0x08;
        byte |= static_cast<unsigned>(options.retain_handling) << 4;
    }
    return static_cast<std::uint8_t>(byte);
}

}  // namespace

void encode(Subscribe const& packet, Version version, Buffer& out) {
    MQ_ASSERT(!packet.subscriptions.empty());
    append_packet(first_byte(PacketType::subscribe, kRequestFlags), out, [&](auto& body) {
        write_packet_id(body, packet.id);
        if (version == Version::v5) write_properties(body, packet);
        for (auto const& subscription : packet.subscriptions) {
            body.utf8(subscription.filter);
            body.u8(options_byte(subscription.options, version));
        }
    });
}

}  // namespace spoke::mqtt
