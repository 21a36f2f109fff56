#include "protocol/codec/frame_check.hpp"

#include <limits>

#include "protocol/packet/reason_table.hpp"

namespace spoke::mqtt {
namespace {

using enum PacketType;

constexpr auto kServerOnly = packets(connack, suback, unsuback, pingresp);
constexpr auto kClientOnly = packets(connect, subscribe, unsubscribe, pingreq);

bool goes_the_other_way(PacketType type, Version version, Sender sender) noexcept {
    if (sender == Sender::client) return (packets(type) & kServerOnly) != 0;
    if (type == disconnect && version != Version::v5) return true;  // 3.1.1 3.14
    return (packets(type) & kClientOnly) != 0;
}

}  // namespace

Result<FixedHeader> check_frame(Bytes frame, Version version, Sender sender) {
    auto malformed = [version](Rule const& broken) {
        return DecodeError{ReasonCode::malformed_packet, 0, broken.in(version)};
    };
    if (frame.empty()) return malformed(rule::kFrameSize);
    auto first = static_cast<std::uint8_t>(frame[0]);
    auto request_dup = version == Version::v3_1 ? RequestDup::allowed : RequestDup::refused;
    if (auto const* broken = broken_flag_rule(first, request_dup)) return malformed(*broken);
    auto header = read_fixed_header(frame, std::numeric_limits<std::uint32_t>::max());
    if (!header) return header.error();
    if (!*header || (*header)->packet_size() != frame.size()) return malformed(rule::kFrameSize);
    auto type = (*header)->type();
    if (type == auth && version != Version::v5) return malformed(rule::kAuthIsVersion5);
    if (goes_the_other_way(type, version, sender)) {
        return DecodeError{ReasonCode::protocol_error, 0, rule::kWrongSender.in(version)};
    }
    return **header;
}

}  // namespace spoke::mqtt
