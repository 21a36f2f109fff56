#include "protocol/codec/framing.hpp"

#include <algorithm>
#include <array>

#include "protocol/codec/frame_check.hpp"

namespace spoke::mqtt {
namespace {

constexpr std::size_t kHeaderSizeMax = 5;

DecodeError malformed(std::size_t offset, Rule const& rule) noexcept {
    return {ReasonCode::malformed_packet, offset, rule.v5};
}

/// Which flags a type may have, one bit per value of the low four bits; and the rule which says so.
struct FlagRow {
    std::uint16_t allowed;
    Rule rule;
};

constexpr std::uint16_t kNoFlags = 1u << 0b0000;
constexpr std::uint16_t kFlagsOfRequest = 1u << 0b0010;
constexpr std::uint16_t kFlagsOfRequestWithDup = kFlagsOfRequest | 1u << 0b1010;
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

}  // namespace

Rule const* broken_flag_rule(std::uint8_t first, RequestDup request_dup) noexcept {
    auto const& row = kFlagTable[first >> 4];
    auto allowed = row.allowed;
    if (allowed == kFlagsOfRequest && request_dup == RequestDup::allowed) {
        allowed = kFlagsOfRequestWithDup;
    }
    if ((allowed >> (first & 0x0F) & 1) != 0) return nullptr;
    return (first & 0xFE) == 0x38 ? &rule::kDupWithQos0 : &row.rule;
}

Result<std::optional<FixedHeader>> read_fixed_header(Bytes input, std::uint32_t packet_size_max) {
    if (input.empty()) return std::optional<FixedHeader>{};
    FixedHeader header;
    header.first = static_cast<std::uint8_t>(input[0]);
    // The version is perhaps not known yet, so that DUP of 3.1 passes here; decode() refuses it for
    // the others.
    if (auto const* rule = broken_flag_rule(header.first, RequestDup::allowed)) {
        return malformed(0, *rule);
    }
    auto known = std::min(input.size(), kHeaderSizeMax);
    for (std::size_t at = 1; at < known; ++at) {
        auto byte = static_cast<std::uint32_t>(input[at]);
        header.remaining_length |= (byte & 0x7F) << (7 * (at - 1));
        if (byte >= 0x80) continue;
        if (byte == 0 && at > 1) return malformed(1, rule::kVariableByteInteger);
        header.header_size = static_cast<std::uint8_t>(at + 1);
        if (header.packet_size() > packet_size_max) {
            return DecodeError{ReasonCode::packet_too_large, 1, rule::kPacketTooLarge.v5};
        }
        return std::optional{header};
    }
    if (known == kHeaderSizeMax) return malformed(1, rule::kVariableByteInteger);
    return std::optional<FixedHeader>{};
}

}  // namespace spoke::mqtt
