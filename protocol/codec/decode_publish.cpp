#include "protocol/codec/decode_publish.hpp"

#include <cstring>

#include "protocol/base/assert.hpp"
#include "protocol/codec/decode_properties.hpp"
#include "protocol/codec/frame_check.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::mqtt {
namespace {

/// Fixed header flags (3.3.1).
constexpr std::uint8_t kRetain = 0x01;
constexpr std::uint8_t kDup = 0x08;

/// The properties that every hop writes anew; the others go on as they came.
constexpr bool is_forwarded(PropertyId id) noexcept {
    return id != PropertyId::topic_alias && id != PropertyId::message_expiry_interval &&
           id != PropertyId::subscription_identifier;
}

/// In MQTT 5 the topic may be empty, if an alias stands for it: that shows later.
std::string_view read_topic(Reader& reader) noexcept {
    auto const* field = reader.position();
    auto topic = as_text(reader.binary());
    if (is_ascii_topic_name(topic) || topic.empty()) return topic;
    reader.check_utf8(topic, field);
    if (!is_valid_topic_name(topic)) {
        reader.fail(ReasonCode::topic_name_invalid, rule::kPublishTopicWildcard, field);
    }
    return topic;
}

void read_properties(Reader& reader, PublishView& view) noexcept {
    PropertyReader properties{reader, Place::publish};
    auto const* start = reader.position();
    auto const* at = start;
    for (Property property; properties.next(property); at = reader.position()) {
        if (property.id == PropertyId::topic_alias) {
            view.topic_alias = static_cast<std::uint16_t>(property.number);
        } else if (property.id == PropertyId::message_expiry_interval) {
            view.message_expiry_interval = property.number;
        }
        if (is_forwarded(property.id)) {
            view.forwarded_size += static_cast<std::uint32_t>(reader.position() - at);
        }
    }
    view.properties = {start, at};
}

/// Walks a property field that was checked before. `visit(property, bytes)`, where `bytes` are the
/// whole of the property as it stands there, until it gives false.
template <class Visit>
void for_each_checked(Bytes properties, Visit visit) {
    Reader reader{properties, Version::v5, Sender::server};
    Property property;
    while (!reader.at_end()) {
        auto const* at = reader.position();
        auto const* row = find_property_row(reader.u8());
        MQ_ASSERT(row != nullptr);
        read_value(reader, *row, property);
        MQ_ASSERT(!reader.failed());
        if (!visit(property, Bytes{at, reader.position()})) return;
    }
}

/// Apart from decode_publish(), so that the compiler has one result to fill there.
[[gnu::noinline, gnu::cold]] void set_error(Result<PublishView>& result, DecodeError const& error) {
    result = error;
}

}  // namespace

Result<PublishView> decode_publish(Bytes frame, Version version, Sender sender) {
    Reader reader{frame, version, sender};
    auto header = read_header(reader, frame);
    if (reader.failed()) return *reader.error();
    MQ_ASSERT(header.type() == PacketType::publish);
    // Filled where it is returned: to copy fields that were just written costs more than to read
    // them.
    Result<PublishView> result{PublishView{}};
    auto& view = *result;
    view.qos = Qos{static_cast<std::uint8_t>(header.flags() >> 1 & 3)};
    view.retain = (header.flags() & kRetain) != 0;
    view.dup = (header.flags() & kDup) != 0;
    view.topic = read_topic(reader);
    if (view.qos != Qos::at_most_once) view.id = reader.packet_id();
    if (version == Version::v5) read_properties(reader, view);
    if (view.topic.empty() && !view.topic_alias) {
        reader.fail(ReasonCode::protocol_error, rule::kTopicEmpty,
                    frame.data() + header.header_size);
    }
    view.payload = reader.rest();
    if (reader.failed()) set_error(result, *reader.error());
    return result;
}

Publish to_publish(PublishView const& view) {
    Publish packet{.topic = std::string{view.topic},
                   .payload = Buffer(view.payload.begin(), view.payload.end()),
                   .qos = view.qos,
                   .retain = view.retain,
                   .dup = view.dup,
                   .id = view.id};
    for_each_checked(view.properties, [&packet](Property const& property, Bytes) {
        store_property(property, packet);
        return true;
    });
    return packet;
}

std::byte* copy_forwarded_properties(PublishView const& publish, std::byte* out) noexcept {
    auto copy = [&out](Bytes bytes) {
        if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
        out += bytes.size();
    };
    if (publish.forwarded_size == publish.properties.size()) {
        copy(publish.properties);
        return out;
    }
    for_each_checked(publish.properties, [&copy](Property const& property, Bytes bytes) {
        if (is_forwarded(property.id)) copy(bytes);
        return true;
    });
    return out;
}

void append_forwarded_without(PublishView const& publish, std::string_view name, Buffer& out) {
    for_each_checked(publish.properties, [&](Property const& property, Bytes bytes) {
        bool is_named = property.id == PropertyId::user_property && as_text(property.bytes) == name;
        if (is_forwarded(property.id) && !is_named) {
            out.insert(out.end(), bytes.begin(), bytes.end());
        }
        return true;
    });
}

std::optional<Bytes> find_correlation_data(Bytes properties) noexcept {
    std::optional<Bytes> found;
    for_each_checked(properties, [&found](Property const& property, Bytes) {
        auto is_it = property.id == PropertyId::correlation_data;
        if (is_it) found = property.bytes;
        return !is_it;
    });
    return found;
}

std::optional<std::string_view> find_user_property(Bytes properties,
                                                   std::string_view name) noexcept {
    std::optional<std::string_view> found;
    for_each_checked(properties, [&](Property const& property, Bytes) {
        auto is_it = property.id == PropertyId::user_property && as_text(property.bytes) == name;
        if (is_it) found = property.value;
        return !is_it;
    });
    return found;
}

}  // namespace spoke::mqtt
