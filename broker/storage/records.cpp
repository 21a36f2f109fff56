#include "broker/storage/records.hpp"

#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "broker/storage/crc32c.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kChecksumSize = 4;
constexpr std::size_t kSessionBytes = 5;
constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kNumberedKeySize = 1 + kSessionBytes + kNumberBytes;
constexpr std::size_t kTopicSizeMax = UINT16_MAX;

// Flags in the first byte of values. Those of messages, wills, subscriptions and deliveries begin
// with a QoS.
constexpr unsigned kQos = 0x03;
constexpr unsigned kIsConnected = 0x01;  // of sessions
constexpr unsigned kHasUserName = 0x02;
constexpr unsigned kHasExpiry = 0x04;
constexpr unsigned kHasWillTime = 0x08;
constexpr unsigned kHasWill = 0x10;
constexpr unsigned kAllOfSession = 0x1F;
constexpr unsigned kWillRetain = 0x04;  // of wills
constexpr unsigned kHasDelay = 0x08;
constexpr unsigned kNoLocal = 0x04;  // of subscriptions
constexpr unsigned kAsPublished = 0x08;
constexpr unsigned kDeliveryRetain = 0x04;  // of deliveries
constexpr unsigned kHasDeadline = 0x08;
constexpr unsigned kIsShared = 0x10;  // its message
constexpr unsigned kHasShare = 0x20;  // it came by a share group
constexpr unsigned kHasIds = 0x40;
constexpr unsigned kHasProgress = 0x80;
constexpr unsigned kMessageRetain = 0x04;  // of messages
constexpr unsigned kExpires = 0x08;
constexpr unsigned kHasReceipt = 0x10;
constexpr unsigned kAllOfRetained = 0x0F;
constexpr unsigned kAllOfMessage = 0x1F;
constexpr std::uint64_t kWantsReceipt = 0x01;  // more flags of deliveries

void append_fixed(std::uint64_t number, std::size_t size, std::string& out) {
    for (auto shift = size * 8; shift > 0;) {
        shift -= 8;
        out.push_back(static_cast<char>(number >> shift));
    }
}

void append_varint(std::uint64_t number, std::string& out) {
    for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
    out.push_back(static_cast<char>(number));
}

void append_text(std::string_view text, std::string& out) {
    append_varint(text.size(), out);
    out.append(text);
}

void append_deadline(Deadline deadline, std::string& out) {
    append_fixed(static_cast<std::uint64_t>(deadline), 8, out);
}

std::string begin_key(RecordFamily family, SessionNumber session) {
    MQ_ASSERT(session.value < kSessionNumberEnd);
    std::string key(1, static_cast<char>(family));
    append_fixed(session.value, kSessionBytes, key);
    return key;
}

void append_checksum(std::string_view key, std::string& out) {
    append_fixed(crc32c(out, crc32c(key)), kChecksumSize, out);
}

/// Reads the fields of one value from the left. The first error sticks: what is read after it is 0
/// or empty.
class FieldReader {
public:
    explicit FieldReader(std::string_view bytes) noexcept : left_(bytes) {}

    [[nodiscard]] std::uint64_t fixed(std::size_t size) noexcept {
        std::uint64_t number = 0;
        for (char byte : take(size)) number = number << 8 | static_cast<unsigned char>(byte);
        return number;
    }
    [[nodiscard]] std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(fixed(1)); }
    [[nodiscard]] Deadline deadline() noexcept { return static_cast<Deadline>(fixed(8)); }
    [[nodiscard]] std::uint64_t varint(std::uint64_t max = UINT64_MAX) noexcept {
        std::uint64_t number = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            std::uint64_t byte = u8();
            auto bits = byte & 0x7F;
            if (shift == 63 && bits > 1) break;
            number |= bits << shift;
            if (byte < 0x80) {
                if (number > max) break;
                return number;
            }
        }
        fail();
        return 0;
    }
    [[nodiscard]] std::uint32_t varint32() noexcept {
        return static_cast<std::uint32_t>(varint(UINT32_MAX));
    }
    [[nodiscard]] std::string_view text() noexcept { return take(varint()); }
    [[nodiscard]] std::string_view take(std::size_t size) noexcept {
        if (size > left_.size()) {
            fail();
            return {};
        }
        auto taken = left_.substr(0, size);
        left_.remove_prefix(size);
        return taken;
    }
    [[nodiscard]] std::string_view rest() noexcept { return take(left_.size()); }
    void require(bool holds) noexcept {
        if (!holds) fail();
    }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] bool is_done() const noexcept { return !failed_ && left_.empty(); }

private:
    void fail() noexcept {
        failed_ = true;
        left_ = {};
    }

    std::string_view left_;
    bool failed_ = false;
};

mqtt::Qos read_qos(std::uint8_t flags, FieldReader& reader) {
    auto qos = flags & kQos;
    reader.require(qos <= 2);
    return qos <= 2 ? static_cast<mqtt::Qos>(qos) : mqtt::Qos::at_most_once;
}

/// The fields of a value, once its checksum is seen to be right.
RecordResult<std::string_view> checked(std::string_view key, std::string_view value) {
    if (value.size() < kChecksumSize) return RecordError::cut;
    auto fields = value.substr(0, value.size() - kChecksumSize);
    FieldReader checksum{value.substr(fields.size())};
    if (checksum.fixed(kChecksumSize) != crc32c(fields, crc32c(key))) {
        return RecordError::wrong_checksum;
    }
    return fields;
}

bool is_of(RecordFamily family, std::string_view key, std::size_t size_min, std::size_t size_max) {
    return key.size() >= size_min && key.size() <= size_max &&
           key.front() == static_cast<char>(family);
}

SessionNumber session_in(std::string_view key) noexcept {
    FieldReader reader{key.substr(1, kSessionBytes)};
    return SessionNumber{reader.fixed(kSessionBytes)};
}

void append_will(mqtt::Will const& will, std::string& out) {
    auto flags = static_cast<unsigned>(will.qos);
    if (will.retain) flags |= kWillRetain;
    if (will.will_delay_interval) flags |= kHasDelay;
    append_fixed(flags, 1, out);
    if (will.will_delay_interval) append_varint(*will.will_delay_interval, out);
    // Only the codec knows how properties are written, so topic, properties and payload are kept as
    // the PUBLISH that the will is to become.
    mqtt::Publish publish{
        .topic = will.topic, .payload = will.payload, .properties = will.properties};
    Buffer packet;
    mqtt::encode(publish, mqtt::Version::v5, packet);
    append_text(as_text(packet), out);
}

std::optional<mqtt::Will> read_will(FieldReader& reader) {
    auto flags = reader.u8();
    reader.require(flags < 0x10);
    mqtt::Will will;
    will.qos = read_qos(flags, reader);
    will.retain = (flags & kWillRetain) != 0;
    if ((flags & kHasDelay) != 0) will.will_delay_interval = reader.varint32();
    auto bytes = reader.text();
    if (reader.failed()) return std::nullopt;
    auto packet = mqtt::decode(as_bytes(bytes), mqtt::Version::v5, mqtt::Sender::server);
    auto* publish = packet ? std::get_if<mqtt::Publish>(&*packet) : nullptr;
    reader.require(publish != nullptr);
    if (!publish) return std::nullopt;
    will.topic = std::move(publish->topic);
    will.payload = std::move(publish->payload);
    will.properties = std::move(publish->properties);
    return will;
}

std::vector<std::uint32_t> read_ids(FieldReader& reader) {
    std::vector<std::uint32_t> ids;
    // Each takes a byte at least, so a count that is too high ends at the end of the value.
    for (auto count = reader.varint(); count > 0 && !reader.failed(); --count) {
        ids.push_back(static_cast<std::uint32_t>(reader.varint(mqtt::kVariableByteIntegerMax)));
        reader.require(ids.back() != 0);
    }
    return ids;
}

StoredProgress read_progress(FieldReader& reader) {
    auto state = reader.u8();
    reader.require(state >= static_cast<std::uint8_t>(OutboundState::awaiting_puback) &&
                   state <= static_cast<std::uint8_t>(OutboundState::awaiting_pubcomp));
    StoredProgress progress;
    if (!reader.failed()) progress.state = static_cast<OutboundState>(state);
    progress.send_number = reader.varint();
    progress.released = reader.varint32();
    return progress;
}

void append_message_start(Message const& message, unsigned more_flags, std::string& out) {
    auto flags = static_cast<unsigned>(message.qos()) | more_flags;
    if (message.retain()) flags |= kMessageRetain;
    if (message.deadline() != kNever) flags |= kExpires;
    append_fixed(flags, 1, out);
    if (message.deadline() != kNever) append_deadline(message.deadline(), out);
}

ReceiptRequest read_receipt_request(FieldReader& reader) {
    ReceiptRequest request;
    request.mount_size = static_cast<std::uint16_t>(reader.varint(kTopicSizeMax));
    request.topic = reader.text();
    reader.require(!request.topic.empty() && request.topic.size() <= kTopicSizeMax &&
                   request.mount_size < request.topic.size());
    return request;
}

struct MessageStart {
    MessageParts parts{};
    std::size_t properties_size = 0;
};
MessageStart read_message_start(FieldReader& reader, unsigned known_flags) {
    auto flags = reader.u8();
    reader.require((flags & ~known_flags) == 0);
    MessageStart start;
    start.parts.qos = read_qos(flags, reader);
    start.parts.retain = (flags & kMessageRetain) != 0;
    if ((flags & kExpires) != 0) start.parts.deadline = reader.deadline();
    if ((flags & kHasReceipt) != 0) start.parts.receipt = read_receipt_request(reader);
    start.properties_size = reader.varint32();
    return start;
}

RecordResult<MessagePtr> make_message(MessageStart& start, FieldReader& reader) {
    start.parts.forwarded_properties = as_bytes(reader.take(start.properties_size));
    auto payload = reader.rest();
    reader.require(payload.size() <= UINT32_MAX);
    if (!reader.is_done()) return RecordError::malformed;
    start.parts.payload = as_bytes(payload);
    return Message::make(start.parts);
}

}  // namespace

std::string_view describe(RecordError error) noexcept {
    switch (error) {
        case RecordError::bad_key:
            return "bad key";
        case RecordError::cut:
            return "value is cut";
        case RecordError::wrong_checksum:
            return "wrong checksum";
        case RecordError::malformed:
            return "malformed value";
    }
    return "unknown error";
}

void throw_exception_from_error(RecordError, boost::source_location const& where) {
    assertion_failed("value() of a failed decode", where.file_name(),
                     static_cast<int>(where.line()));
}

std::optional<RecordFamily> family_of(std::string_view key) noexcept {
    if (key.empty()) return std::nullopt;
    auto family = static_cast<RecordFamily>(key.front());
    switch (family) {
        case RecordFamily::message:
        case RecordFamily::delivery:
        case RecordFamily::inbound:
        case RecordFamily::meta:
        case RecordFamily::retained:
        case RecordFamily::session:
        case RecordFamily::subscription:
            return family;
    }
    return std::nullopt;
}

// --- Keys ------------------------------------------------------------------------------------

std::string meta_key(MetaField field) {
    return {static_cast<char>(RecordFamily::meta), static_cast<char>(field)};
}

std::string session_key(SessionNumber session) {
    return begin_key(RecordFamily::session, session);
}

std::string subscription_key(SessionNumber session, std::string_view filter) {
    return begin_key(RecordFamily::subscription, session).append(filter);
}

std::string inbound_key(SessionNumber session, mqtt::PacketId id) {
    auto key = begin_key(RecordFamily::inbound, session);
    append_fixed(id.value, 2, key);
    return key;
}

std::string delivery_key(SessionNumber session, DeliveryNumber number) {
    auto key = begin_key(RecordFamily::delivery, session);
    append_fixed(number.value, kNumberBytes, key);
    return key;
}

std::string message_key(SessionNumber session, StoredAs as) {
    MQ_ASSERT(as.message_back < as.number.value);
    auto key = begin_key(RecordFamily::message, as.owns_message() ? session : SessionNumber{});
    append_fixed(as.number.value - as.message_back, kNumberBytes, key);
    return key;
}

std::string retained_key(std::string_view topic) {
    return std::string(1, static_cast<char>(RecordFamily::retained)).append(topic);
}

std::optional<NumberedKey> parse_numbered_key(std::string_view key) noexcept {
    if (key.size() != kNumberedKeySize) return std::nullopt;
    auto family = family_of(key);
    if (family != RecordFamily::message && family != RecordFamily::delivery) return std::nullopt;
    FieldReader number{key.substr(1 + kSessionBytes)};
    return NumberedKey{session_in(key), DeliveryNumber{number.fixed(kNumberBytes)}};
}

// --- Meta ------------------------------------------------------------------------------------

void encode_meta(std::string_view key, std::uint64_t number, std::string& out) {
    out.clear();
    append_fixed(number, 8, out);
    append_checksum(key, out);
}

RecordResult<MetaRecord> decode_meta(std::string_view key, std::string_view value) {
    if (!is_of(RecordFamily::meta, key, 2, 2)) return RecordError::bad_key;
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader reader{*fields};
    MetaRecord record{static_cast<MetaField>(key[1]), reader.fixed(8)};
    if (!reader.is_done()) return RecordError::malformed;
    return record;
}

// --- Sessions --------------------------------------------------------------------------------

void encode_session(std::string_view key, StoredSession const& session, std::string& out) {
    out.clear();
    unsigned flags = 0;
    if (session.is_connected) flags |= kIsConnected;
    if (session.user_name) flags |= kHasUserName;
    if (session.expires_at != kNever) flags |= kHasExpiry;
    if (session.will_at != kNever) flags |= kHasWillTime;
    if (session.will) flags |= kHasWill;
    append_fixed(flags, 1, out);
    append_varint(session.expiry_interval, out);
    append_text(session.client_id, out);
    append_text(session.listener, out);
    append_text(session.mount_point, out);
    if (session.user_name) append_text(*session.user_name, out);
    if (session.expires_at != kNever) append_deadline(session.expires_at, out);
    if (session.will_at != kNever) append_deadline(session.will_at, out);
    if (session.will) append_will(*session.will, out);
    append_checksum(key, out);
}

RecordResult<StoredSession> decode_session(std::string_view key, std::string_view value) {
    if (!is_of(RecordFamily::session, key, 1 + kSessionBytes, 1 + kSessionBytes)) {
        return RecordError::bad_key;
    }
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader reader{*fields};
    auto flags = reader.u8();
    reader.require((flags & ~kAllOfSession) == 0);
    StoredSession session;
    session.number = session_in(key);
    session.is_connected = (flags & kIsConnected) != 0;
    session.expiry_interval = reader.varint32();
    session.client_id = reader.text();
    session.listener = reader.text();
    session.mount_point = reader.text();
    if ((flags & kHasUserName) != 0) session.user_name = reader.text();
    if ((flags & kHasExpiry) != 0) session.expires_at = reader.deadline();
    if ((flags & kHasWillTime) != 0) session.will_at = reader.deadline();
    if ((flags & kHasWill) != 0) session.will = read_will(reader);
    if (!reader.is_done()) return RecordError::malformed;
    return session;
}

// --- Subscriptions and inbound ids -----------------------------------------------------------

void encode_subscription(std::string_view key, StoredSubscription const& subscription,
                         std::string& out) {
    out.clear();
    auto flags = static_cast<unsigned>(subscription.qos);
    if (subscription.no_local) flags |= kNoLocal;
    if (subscription.retain_as_published) flags |= kAsPublished;
    append_fixed(flags, 1, out);
    append_varint(subscription.identifier, out);
    append_checksum(key, out);
}

RecordResult<SubscriptionRecord> decode_subscription(std::string_view key, std::string_view value) {
    if (!is_of(RecordFamily::subscription, key, 2 + kSessionBytes,
               1 + kSessionBytes + kTopicSizeMax)) {
        return RecordError::bad_key;
    }
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader reader{*fields};
    auto flags = reader.u8();
    reader.require(flags < 0x10);
    SubscriptionRecord record{session_in(key), key.substr(1 + kSessionBytes), {}};
    record.subscription.qos = read_qos(flags, reader);
    record.subscription.no_local = (flags & kNoLocal) != 0;
    record.subscription.retain_as_published = (flags & kAsPublished) != 0;
    record.subscription.identifier =
        static_cast<std::uint32_t>(reader.varint(mqtt::kVariableByteIntegerMax));
    if (!reader.is_done()) return RecordError::malformed;
    return record;
}

void encode_inbound(std::string_view key, std::string& out) {
    out.clear();
    append_checksum(key, out);
}

RecordResult<InboundRecord> decode_inbound(std::string_view key, std::string_view value) {
    if (!is_of(RecordFamily::inbound, key, 3 + kSessionBytes, 3 + kSessionBytes)) {
        return RecordError::bad_key;
    }
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader id{key.substr(1 + kSessionBytes)};
    InboundRecord record{session_in(key), mqtt::PacketId{static_cast<std::uint16_t>(id.fixed(2))}};
    if (!fields->empty() || record.id == mqtt::PacketId{}) return RecordError::malformed;
    return record;
}

// --- Deliveries ------------------------------------------------------------------------------

void encode_delivery(std::string_view key, StoredDelivery const& delivery,
                     std::optional<StoredProgress> const& progress, std::string& out) {
    out.clear();
    auto flags = static_cast<unsigned>(delivery.qos);
    if (delivery.retain) flags |= kDeliveryRetain;
    if (delivery.deadline != kNever) flags |= kHasDeadline;
    if (!delivery.as.owns_message()) flags |= kIsShared;
    if (delivery.share != ShareId{}) flags |= kHasShare;
    if (!delivery.ids.empty()) flags |= kHasIds;
    if (progress) flags |= kHasProgress;
    append_fixed(flags, 1, out);
    append_varint(delivery.message_size, out);
    if (delivery.deadline != kNever) append_deadline(delivery.deadline, out);
    if (!delivery.as.owns_message()) append_varint(delivery.as.message_back, out);
    if (delivery.share != ShareId{}) append_fixed(delivery.share.value, 8, out);
    if (!delivery.ids.empty()) {
        std::uint64_t count = 0;
        delivery.ids.each([&](std::uint32_t) { ++count; });
        append_varint(count, out);
        delivery.ids.each([&](std::uint32_t id) { append_varint(id, out); });
    }
    if (progress) {
        append_fixed(static_cast<std::uint64_t>(progress->state), 1, out);
        append_varint(progress->send_number, out);
        append_varint(progress->released, out);
    }
    if (delivery.wants_receipt) append_varint(kWantsReceipt, out);
    append_checksum(key, out);
}

RecordResult<DeliveryRecord> decode_delivery(std::string_view key, std::string_view value) {
    auto place = parse_numbered_key(key);
    if (!place || family_of(key) != RecordFamily::delivery) return RecordError::bad_key;
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader reader{*fields};
    auto flags = reader.u8();
    DeliveryRecord record;
    auto& delivery = record.delivery;
    delivery.session = place->session;
    delivery.as.number = place->number;
    delivery.qos = read_qos(flags, reader);
    reader.require(delivery.qos != mqtt::Qos::at_most_once);
    delivery.retain = (flags & kDeliveryRetain) != 0;
    delivery.message_size = reader.varint32();
    if ((flags & kHasDeadline) != 0) delivery.deadline = reader.deadline();
    if ((flags & kIsShared) != 0) {
        delivery.as.message_back = reader.varint32();
        reader.require(delivery.as.message_back != 0);
    }
    reader.require(delivery.as.message_back < delivery.as.number.value);
    if ((flags & kHasShare) != 0) delivery.share = ShareId{reader.fixed(8)};
    if ((flags & kHasIds) != 0) delivery.ids = SubscriptionIds{read_ids(reader)};
    if ((flags & kHasProgress) != 0) record.progress = read_progress(reader);
    if (!reader.is_done()) {
        delivery.wants_receipt = true;
        reader.require(reader.varint() == kWantsReceipt);
    }
    if (!reader.is_done()) return RecordError::malformed;
    return record;
}

// --- Messages --------------------------------------------------------------------------------

void encode_message(std::string_view key, Message const& message, std::string& out) {
    out.clear();
    append_message_start(message, message.wants_receipt() ? kHasReceipt : 0, out);
    if (message.wants_receipt()) {
        append_varint(message.receipt_request().mount_size, out);
        append_text(message.receipt_request().topic, out);
    }
    append_varint(message.forwarded_properties().size(), out);
    out.append(as_text(message.encoded_topic()));
    out.append(as_text(message.forwarded_properties()));
    out.append(as_text(message.payload()));
    append_checksum(key, out);
}

RecordResult<MessagePtr> decode_message(std::string_view key, std::string_view value) {
    if (!parse_numbered_key(key) || family_of(key) != RecordFamily::message) {
        return RecordError::bad_key;
    }
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader reader{*fields};
    auto start = read_message_start(reader, kAllOfMessage);
    start.parts.topic = reader.take(reader.fixed(2));
    // The topic for receipts has its mount point in common with the message's own.
    reader.require(start.parts.receipt.mount_size <= start.parts.topic.size());
    reader.require(!start.parts.topic.empty());
    return make_message(start, reader);
}

void encode_retained(std::string_view key, Message const& message, std::string& out) {
    out.clear();
    append_message_start(message, 0, out);
    append_varint(message.forwarded_properties().size(), out);
    out.append(as_text(message.forwarded_properties()));
    out.append(as_text(message.payload()));
    append_checksum(key, out);
}

RecordResult<MessagePtr> decode_retained(std::string_view key, std::string_view value) {
    if (!is_of(RecordFamily::retained, key, 2, 1 + kTopicSizeMax)) return RecordError::bad_key;
    auto fields = checked(key, value);
    if (!fields) return fields.error();
    FieldReader reader{*fields};
    auto start = read_message_start(reader, kAllOfRetained);
    start.parts.topic = key.substr(1);
    return make_message(start, reader);
}

}  // namespace spoke::broker
