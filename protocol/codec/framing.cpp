#include "protocol/codec/framing.hpp"

#include "protocol/codec/frame_check.hpp"

namespace spoke::mqtt {
namespace {

DecodeError malformed(std::size_t offset, Rule const& rule) noexcept {
    return {ReasonCode::malformed_packet, offset, rule.v5};
}

}  // namespace

Result<std::optional<FixedHeader>> read_fixed_header(Bytes input, std::uint32_t packet_size_max) {
    if (input.empty()) return std::optional<FixedHeader>{};
    // The version is perhaps not known yet, so that DUP of 3.1 passes here; decode() refuses it for
    // the others.
    if (auto const* rule = broken_flag_rule(static_cast<std::uint8_t>(input[0]), Version::v3_1)) {
        return malformed(0, *rule);
    }
    FixedHeader header;
    switch (read_length(input, header)) {
        case LengthForm::cut:
            return std::optional<FixedHeader>{};
        case LengthForm::overlong:
            return malformed(1, rule::kVariableByteInteger);
        case LengthForm::whole:
            break;
    }
    if (header.packet_size() > packet_size_max) {
        return DecodeError{ReasonCode::packet_too_large, 1, rule::kPacketTooLarge.v5};
    }
    return std::optional{header};
}

}  // namespace spoke::mqtt
