#include "protocol/codec/frame_check.hpp"

#include "protocol/packet/reason_table.hpp"

namespace spoke::mqtt {
namespace {

using enum PacketType;

/// Which flags a type may have, one bit per value of the low four bits; and the rule which says so.
struct FlagRow {
    std::uint16_t allowed;
    Rule rule;
};

constexpr std::uint16_t kNoFlags = 1u << 0b0000;
constexpr std::uint16_t kFlagsOfRequest = 1u << 0b0010;
constexpr std::uint16_t kPublishFlags = 0b0011'1100'0011'1111;  // no QoS 3, no DUP with QoS 0

constexpr std::array<FlagRow, 16> kFlagTable{{
    {0, rule::kPacketType},
    {kNoFlags, rule::kFlags},                    // CONNECT
    {kNoFlags, rule::kFlags},                    // CONNACK
    {kPublishFlags, rule::kPublishQos},          // PUBLISH
    {kNoFlags, rule::kFlags},                    // PUBACK
    {kNoFlags, rule::kFlags},                    // PUBREC
    {kFlagsOfRequest, rule::kPubRelFlags},       // PUBREL
    {kNoFlags, rule::kFlags},                    // PUBCOMP
    {kFlagsOfRequest, rule::kSubscribeFlags},    // SUBSCRIBE
    {kNoFlags, rule::kFlags},                    // SUBACK
    {kFlagsOfRequest, rule::kUnsubscribeFlags},  // UNSUBSCRIBE
    {kNoFlags, rule::kFlags},                    // UNSUBACK
    {kNoFlags, rule::kFlags},                    // PINGREQ
    {kNoFlags, rule::kFlags},                    // PINGRESP
    {kNoFlags, rule::kDisconnectFlags},          // DISCONNECT
    {kNoFlags, rule::kAuthFlags},                // AUTH
}};

/// MQTT 3.1 marks a repeated PUBREL, SUBSCRIBE and UNSUBSCRIBE with DUP.
constexpr bool is_request_with_dup(std::uint8_t first) noexcept {
    return kFlagTable[first >> 4].allowed == kFlagsOfRequest && (first & 0x0F) == 0b1010;
}

constexpr bool has_good_flags(std::uint8_t first, Version version) noexcept {
    if (version == Version::v3_1 && is_request_with_dup(first)) return true;
    return (kFlagTable[first >> 4].allowed >> (first & 0x0F) & 1) != 0;
}

constexpr auto kServerOnly = packets(connack, suback, unsuback, pingresp);
constexpr auto kClientOnly = packets(connect, subscribe, unsubscribe, pingreq);

constexpr bool exists(PacketType type, Version version) noexcept {
    return type != auth || version == Version::v5;
}

constexpr bool goes_from(Sender sender, PacketType type, Version version) noexcept {
    if (sender == Sender::client) return (packets(type) & kServerOnly) == 0;
    if (type == disconnect && version != Version::v5) return false;  // 3.1.1 3.14
    return (packets(type) & kClientOnly) == 0;
}

constexpr std::array<SpeakerSet, 256> first_bytes() noexcept {
    std::array<SpeakerSet, 256> bytes{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        auto first = static_cast<std::uint8_t>(byte);
        auto type = PacketType(first >> 4);
        for (auto version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
            if (!has_good_flags(first, version) || !exists(type, version)) continue;
            for (auto sender : {Sender::client, Sender::server}) {
                if (goes_from(sender, type, version)) bytes[first] |= speaker(version, sender);
            }
        }
    }
    return bytes;
}

}  // namespace

constinit std::array<SpeakerSet, 256> const kFirstBytes = first_bytes();

Rule const* broken_flag_rule(std::uint8_t first, Version version) noexcept {
    if (has_good_flags(first, version)) return nullptr;
    return (first & 0xFE) == 0x38 ? &rule::kDupWithQos0 : &kFlagTable[first >> 4].rule;
}

void refuse_header(Reader& reader, Bytes frame) noexcept {
    auto malformed = [&](Rule const& broken, std::size_t at) {
        reader.fail(ReasonCode::malformed_packet, broken, frame.data() + at);
    };
    if (frame.empty()) return malformed(rule::kFrameSize, 0);
    auto first = static_cast<std::uint8_t>(frame[0]);
    if (auto const* broken = broken_flag_rule(first, reader.version()))
        return malformed(*broken, 0);
    FixedHeader header;
    auto form = read_length(frame, header);
    if (form == LengthForm::overlong) return malformed(rule::kVariableByteInteger, 1);
    if (form == LengthForm::cut || header.packet_size() != frame.size()) {
        return malformed(rule::kFrameSize, 0);
    }
    if (!exists(header.type(), reader.version())) return malformed(rule::kAuthIsVersion5, 0);
    reader.fail(ReasonCode::protocol_error, rule::kWrongSender, frame.data());
}

}  // namespace spoke::mqtt
