#include "protocol/codec/decode.hpp"
#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {
namespace {

/// Connect flags (3.1.2.3).
constexpr std::uint8_t kReserved = 0x01;
constexpr std::uint8_t kCleanStart = 0x02;
constexpr std::uint8_t kWill = 0x04;
constexpr std::uint8_t kWillRetain = 0x20;
constexpr std::uint8_t kPassword = 0x40;
constexpr std::uint8_t kUserName = 0x80;

constexpr std::uint8_t will_qos(std::uint8_t flags) noexcept {
    return flags >> 3 & 3;
}

constexpr std::string_view kName = "MQTT";
constexpr std::string_view kOldName = "MQIsdp";

/// The version that goes by this name and level, if there is one.
std::optional<Version> version_of(std::string_view name, std::uint8_t level) noexcept {
    if (name == kOldName && level == 3) return Version::v3_1;
    if (name == kName && level == 4) return Version::v3_1_1;
    if (name == kName && level == 5) return Version::v5;
    return std::nullopt;
}

bool is_known_name(std::string_view name) noexcept {
    return name == kName || name == kOldName;
}

struct Protocol {
    std::string_view name;
    std::uint8_t level = 0;
};

Protocol read_protocol(Reader& reader) {
    auto const* field = reader.position();
    Protocol protocol;
    protocol.name = as_text(reader.binary());
    if (!is_known_name(protocol.name)) {
        reader.fail(ReasonCode::malformed_packet, rule::kProtocolName, field);  // [MQTT-3.1.2-1]
    }
    protocol.level = reader.u8();
    return protocol;
}

/// The same of a frame that is perhaps cut or otherwise unsound.
std::optional<Protocol> claimed_protocol(Bytes frame) noexcept {
    std::size_t body = 1;
    while (body < frame.size() && body < 5 && (frame[body] & std::byte{0x80}) != std::byte{})
        ++body;
    if (frame.size() <= body || (frame[0] >> 4) != std::byte{1}) return std::nullopt;
    Reader reader{frame, Version::v5, Sender::client};
    reader.skip(body + 1);
    auto protocol = read_protocol(reader);
    if (reader.failed()) return std::nullopt;
    return protocol;
}

void read_version(Reader& reader) {
    auto protocol = read_protocol(reader);
    if (auto version = version_of(protocol.name, protocol.level)) {
        reader.set_version(*version);
    } else {
        reader.fail(ReasonCode::unsupported_protocol_version, rule::kProtocolLevel,
                    reader.position() - 1);  // [MQTT-3.1.2-2]
    }
}

std::uint8_t read_flags(Reader& reader) {
    auto const* field = reader.position();
    auto flags = reader.u8();
    auto refuse_if = [&](bool bad, Rule const& rule) {
        if (bad) reader.fail(ReasonCode::malformed_packet, rule, field);
    };
    auto has_will = (flags & kWill) != 0;
    // MQTT 3.1 reserves bit 0 without a value, and disregards QoS and RETAIN of a will that is not
    // there (3.1, section 3.1).
    if (reader.version() != Version::v3_1) {
        refuse_if((flags & kReserved) != 0, rule::kConnectFlagReserved);
        refuse_if(!has_will && will_qos(flags) != 0, rule::kNoWillQos);
        refuse_if(!has_will && (flags & kWillRetain) != 0, rule::kNoWillRetain);
    }
    refuse_if(has_will && will_qos(flags) == 3, rule::kWillQos);
    refuse_if(reader.version() != Version::v5 && (flags & (kUserName | kPassword)) == kPassword,
              rule::kPasswordNeedsUserName);
    return flags;
}

Will read_will(Reader& reader, std::uint8_t flags) {
    Will will;
    will.qos = Qos{will_qos(flags)};
    will.retain = (flags & kWillRetain) != 0;
    if (reader.version() == Version::v5) read_properties(reader, Place::will, will);
    will.topic = reader.topic_name();
    auto payload = reader.binary();
    will.payload.assign(payload.begin(), payload.end());
    return will;
}

/// MQTT 3.1 lets a packet end before a user name or password that its flags promise (3.1,
/// section 3.1): clients of the version before it set the flags without meaning them.
bool is_there(Reader const& reader, std::uint8_t flags, std::uint8_t flag) noexcept {
    return (flags & flag) != 0 && !(reader.version() == Version::v3_1 && reader.at_end());
}

}  // namespace

void read_body(Reader& reader, Connect& packet) {
    read_version(reader);
    packet.version = reader.version();
    auto flags = read_flags(reader);
    packet.clean_start = (flags & kCleanStart) != 0;
    packet.keep_alive = reader.u16();
    auto const* properties = reader.position();
    if (packet.version == Version::v5) read_properties(reader, Place::connect, packet);
    if (packet.authentication_data && !packet.authentication_method) {
        reader.fail(ReasonCode::protocol_error, rule::kDataNeedsMethod, properties);
    }
    packet.client_id = reader.utf8();
    if ((flags & kWill) != 0) packet.will = read_will(reader, flags);
    if (is_there(reader, flags, kUserName)) packet.user_name = reader.utf8();
    if (is_there(reader, flags, kPassword)) {
        auto password = reader.binary();
        packet.password.emplace(password.begin(), password.end());
    }
}

std::optional<std::uint8_t> claimed_protocol_level(Bytes frame) noexcept {
    auto protocol = claimed_protocol(frame);
    if (!protocol) return std::nullopt;
    return protocol->level;
}

std::optional<Version> connack_version(Bytes frame) noexcept {
    auto protocol = claimed_protocol(frame);
    if (!protocol) return std::nullopt;
    return protocol->name == kName && (protocol->level & 0x7F) >= 5 ? Version::v5 : Version::v3_1_1;
}

}  // namespace spoke::mqtt
