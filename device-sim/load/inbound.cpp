#include "device-sim/load/inbound.hpp"

#include <array>

namespace spoke::sim::load {
namespace {

std::uint16_t read_u16(Bytes bytes) noexcept {
    return static_cast<std::uint16_t>(static_cast<unsigned>(bytes[0]) << 8 |
                                      static_cast<unsigned>(bytes[1]));
}

/// The length of a property field with the bytes that say it; nullopt if it does not fit.
std::optional<std::size_t> property_field_size(Bytes body) noexcept {
    std::size_t length = 0;
    for (std::size_t at = 0; at < 4 && at < body.size(); ++at) {
        auto byte = static_cast<unsigned>(body[at]);
        length |= std::size_t{byte & 0x7F} << (7 * at);
        if ((byte & 0x80) != 0) continue;
        auto size = at + 1 + length;
        if (size > body.size()) return std::nullopt;
        return size;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Delivery> read_delivery(Frame const& frame, mqtt::Version version) {
    auto body = frame.body();
    auto qos = (frame.first() >> 1) & 3;
    if (qos == 3 || body.size() < 2) return std::nullopt;
    std::size_t at = 2 + std::size_t{read_u16(body)};
    if (at + (qos != 0 ? 2 : 0) > body.size()) return std::nullopt;

    Delivery delivery;
    delivery.topic = as_text(body.subspan(2, at - 2));
    delivery.qos = static_cast<mqtt::Qos>(qos);
    delivery.dup = (frame.first() & 8) != 0;
    delivery.retain = (frame.first() & 1) != 0;
    if (qos != 0) {
        delivery.id = mqtt::PacketId{read_u16(body.subspan(at))};
        at += 2;
    }
    if (version == mqtt::Version::v5) {
        auto properties = property_field_size(body.subspan(at));
        if (!properties) return std::nullopt;
        at += *properties;
    }
    delivery.payload = body.subspan(at);
    return delivery;
}

std::optional<Acknowledgement> read_acknowledgement(Frame const& frame) noexcept {
    auto body = frame.body();
    if (body.size() < 2) return std::nullopt;
    Acknowledgement acknowledgement{.id = mqtt::PacketId{read_u16(body)}};
    if (body.size() > 2) acknowledgement.reason = static_cast<std::uint8_t>(body[2]);
    return acknowledgement;
}

void append_acknowledgement(mqtt::PacketType type, mqtt::PacketId id, Buffer& out) {
    constexpr unsigned kPubRelFlags = 2;
    auto first = static_cast<unsigned>(type) << 4;
    if (type == mqtt::PacketType::pubrel) first |= kPubRelFlags;
    std::array const bytes{static_cast<std::byte>(first), std::byte{2},
                           static_cast<std::byte>(id.value >> 8),
                           static_cast<std::byte>(id.value & 0xFF)};
    out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace spoke::sim::load
