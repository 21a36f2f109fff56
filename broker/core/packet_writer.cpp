#include "broker/core/packet_writer.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "broker/core/delivery.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::broker {

namespace {

/// From here on a payload is shared by reference instead of copied into each receiver's bytes.
constexpr std::size_t kSharedBodyMin = 8 * 1024;

std::byte* put_u16(std::byte* out, std::uint32_t value) noexcept {
    *out++ = static_cast<std::byte>(value >> 8);
    *out++ = static_cast<std::byte>(value);
    return out;
}

std::byte* put_u32(std::byte* out, std::uint32_t value) noexcept {
    return put_u16(put_u16(out, value >> 16), value & 0xFFFF);
}

std::byte* put_bytes(std::byte* out, Bytes bytes) noexcept {
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    return out + bytes.size();
}

std::byte* put_text(std::byte* out, std::string_view text) noexcept {
    return put_bytes(put_u16(out, static_cast<std::uint32_t>(text.size())), as_bytes(text));
}

constexpr std::size_t kDeliveryDigits = 16;
constexpr std::uint32_t kDeliveryPropertySize =
    1 + 2 + static_cast<std::uint32_t>(kDeliveryProperty.size() + 2 + kDeliveryDigits);

std::byte* put_delivery(std::byte* out, DeliveryNumber number) noexcept {
    std::array<char, kDeliveryDigits> digits;
    auto rest = number.value;
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, rest >>= 4) {
        *digit = "0123456789abcdef"[rest & 0xF];
    }
    *out++ = std::byte{0x26};
    out = put_text(out, kDeliveryProperty);
    return put_text(out, {digits.data(), digits.size()});
}

}  // namespace

/// The sizes of one PUBLISH as it goes to one receiver.
struct PacketWriter::Layout {
    PublishShape shape;
    Publication::Parts parts;
    OutboundAliases::Use alias{};
    bool v5 = false;
    bool has_expiry = false;
    bool names_delivery = false;
    bool body_apart = false;
    std::uint32_t properties_size = 0;
    std::uint32_t remaining_length = 0;
    std::size_t packet_size = 0;

    Layout(Link& link, Publication& publication, PublishShape const& wanted,
           SubscriptionIds const& ids)
        : shape(wanted), parts(publication.parts()), v5(link.is_v5()) {
        parts.topic.remove_prefix(link.mount_size);
        has_expiry = v5 && publication.deadline != kNever;
        names_delivery = link.names_deliveries && shape.qos != mqtt::Qos::at_most_once;
        if (link.aliases_out) {
            alias = link.aliases_out->find(parts.topic);
            // A packet that may still be dropped must not be the one that sets an alias.
            if (!alias.is_set && publication.deadline != kNever) alias = {};
        }
        measure(ids);
        // Nor is one dropped for the alias that it would have set.
        if (packet_size > link.maximum_packet_size && alias.alias != 0 && !alias.is_set) {
            alias = {};
            measure(ids);
        }
        body_apart = parts.payload.size() >= kSharedBodyMin;
    }
    void measure(SubscriptionIds const& ids) {
        if (v5) {
            properties_size = (has_expiry ? 5U : 0U) + (alias.alias != 0 ? 3U : 0U) +
                              (names_delivery ? kDeliveryPropertySize : 0U) +
                              static_cast<std::uint32_t>(parts.properties.size());
            ids.each([this](std::uint32_t id) {
                properties_size +=
                    1 + static_cast<std::uint32_t>(mqtt::variable_byte_integer_size(id));
            });
        }
        std::size_t remaining = 2 + (alias.is_set ? 0 : parts.topic.size()) +
                                (shape.qos == mqtt::Qos::at_most_once ? 0U : 2U) +
                                parts.payload.size();
        if (v5) remaining += mqtt::variable_byte_integer_size(properties_size) + properties_size;
        remaining_length = static_cast<std::uint32_t>(remaining);
        packet_size = remaining > mqtt::kVariableByteIntegerMax
                          ? SIZE_MAX
                          : 1 + mqtt::variable_byte_integer_size(remaining_length) + remaining;
    }
    [[nodiscard]] std::size_t head_size() const noexcept {
        return packet_size - (body_apart ? parts.payload.size() : 0);
    }
};

PacketWriter::Written PacketWriter::write_publish(Link& link, Publication& publication,
                                                  PublishShape const& shape,
                                                  SubscriptionIds const& ids, WallTime now) {
    bool plain = ids.empty() && !link.aliases_out && !shape.dup && link.mount_size == 0 &&
                 !link.names_deliveries;
    if (plain && publication.payload_size() < kSharedBodyMin) {
        auto frame = publication.take_frame(link.is_v5(), shape.qos, shape.retain, shape.id);
        if (!frame.empty() && frame.size() <= link.maximum_packet_size) {
            link.out.append_borrowed(pool_, frame);
            return Written::written;
        }
    }
    bool shared = plain && shape.qos == mqtt::Qos::at_most_once && publication.deadline == kNever &&
                  !publication.wants_receipt;
    if (shared) {
        auto& encoded = publication.encoded(link.is_v5(), shape.retain);
        if (!encoded.bytes.empty() && encoded.round == arena_.round() &&
            encoded.bytes.size() <= link.maximum_packet_size) {
            link.out.append_borrowed(pool_, encoded.bytes);
            return Written::written;
        }
    }
    Layout layout(link, publication, shape, ids);
    if (layout.packet_size > link.maximum_packet_size) return Written::too_large;
    write_encoded(link, publication, layout, ids, now);
    return Written::written;
}

void PacketWriter::write_encoded(Link& link, Publication& publication, Layout const& layout,
                                 SubscriptionIds const& ids, WallTime now) {
    std::size_t head_size = layout.head_size();
    std::unique_ptr<std::byte[]> own;
    std::byte* head = nullptr;
    if (head_size > in_arena_max()) {
        own = std::make_unique_for_overwrite<std::byte[]>(head_size);
        head = own.get();
    } else {
        head = reserve(head_size);
    }
    std::byte* out = head;
    *out++ = static_cast<std::byte>(0x30 | (layout.shape.dup ? 8 : 0) |
                                    (static_cast<unsigned>(layout.shape.qos) << 1) |
                                    (layout.shape.retain ? 1 : 0));
    out = mqtt::write_variable_byte_integer(layout.remaining_length, out);
    std::string_view topic = layout.alias.is_set ? std::string_view{} : layout.parts.topic;
    out = put_u16(out, static_cast<std::uint32_t>(topic.size()));
    out = put_bytes(out, as_bytes(topic));
    if (layout.shape.qos != mqtt::Qos::at_most_once) out = put_u16(out, layout.shape.id.value);
    std::uint32_t expiry_at = 0;
    if (layout.v5) {
        out = mqtt::write_variable_byte_integer(layout.properties_size, out);
        if (layout.has_expiry) {
            *out++ = std::byte{0x02};
            expiry_at = static_cast<std::uint32_t>(out - head);
            out = put_u32(out, remaining_expiry(publication.deadline, now));
        }
        if (layout.alias.alias != 0) {
            *out++ = std::byte{0x23};
            out = put_u16(out, layout.alias.alias);
        }
        ids.each([&out](std::uint32_t id) {
            *out++ = std::byte{0x0B};
            out = mqtt::write_variable_byte_integer(id, out);
        });
        // Before the publisher's own, which may have the same name.
        if (layout.names_delivery) out = put_delivery(out, layout.shape.delivery);
        out = put_bytes(out, layout.parts.properties);
    }
    if (!layout.body_apart) out = put_bytes(out, layout.parts.payload);
    MQ_ASSERT(out == head + head_size);

    std::span<std::byte> bytes{head, head_size};
    // A resend belongs to a delivery that has begun: it does not expire any more [MQTT-4.3.3-7].
    bool timed = publication.deadline != kNever && !layout.shape.dup;
    bool is_apart = timed || publication.wants_receipt;
    OutQueue::Apart about;
    if (is_apart) {
        about = {publication.share(), expiry_at, layout.shape.id,
                 layout.body_apart,   timed,     publication.wants_receipt};
    }
    if (own) {
        link.out.append_owned(pool_, std::move(own), head_size, std::move(about));
    } else if (is_apart) {
        link.out.append_apart(pool_, bytes, std::move(about));
    } else {
        link.out.append_borrowed(pool_, bytes);
        bool shareable = layout.shape.qos == mqtt::Qos::at_most_once && ids.empty() &&
                         layout.alias.alias == 0 && !layout.body_apart && link.mount_size == 0;
        if (shareable) {
            publication.encoded(layout.v5, layout.shape.retain) = {bytes, arena_.round()};
        }
    }
    if (layout.body_apart) {
        link.out.append_body(pool_, publication.share(), publication.share()->payload());
    }
    if (layout.alias.alias != 0 && !layout.alias.is_set) {
        link.aliases_out->set(layout.parts.topic, layout.alias.alias);
    }
}

void PacketWriter::prepare() {
    make_room(in_arena_max());
}

void PacketWriter::make_room(std::size_t size) {
    if (arena_.room() >= size) return;
    port_.flush_touched();
    arena_.reset();
}

std::byte* PacketWriter::reserve(std::size_t size) {
    make_room(size);
    return arena_.keep(size);
}

void PacketWriter::write(Link& link, Bytes packet) {
    if (packet.size() > in_arena_max()) {
        auto own = std::make_unique_for_overwrite<std::byte[]>(packet.size());
        std::memcpy(own.get(), packet.data(), packet.size());
        link.out.append_owned(pool_, std::move(own), packet.size(), {});
        return;
    }
    std::byte* place = reserve(packet.size());
    std::memcpy(place, packet.data(), packet.size());
    link.out.append_borrowed(pool_, {place, packet.size()});
}

void PacketWriter::write_short_ack(Link& link, std::uint8_t first, mqtt::PacketId id) {
    std::byte* place = reserve(4);
    place[0] = std::byte{first};
    place[1] = std::byte{2};
    put_u16(place + 2, id.value);
    link.out.append_borrowed(pool_, {place, 4});
}

}  // namespace spoke::broker
