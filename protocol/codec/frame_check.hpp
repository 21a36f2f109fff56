#pragma once

#include <array>

#include "protocol/codec/framing.hpp"
#include "protocol/codec/reader.hpp"

namespace spoke::mqtt {

/// How the length in a fixed header came.
enum class LengthForm : std::uint8_t { whole, cut, overlong };

/// Reads type, flags and remaining length, and judges the form of the length alone [MQTT-1.5.5-1].
[[nodiscard]] inline LengthForm read_length(Bytes input, FixedHeader& header) noexcept {
    if (input.size() < 2) return LengthForm::cut;
    header.first = static_cast<std::uint8_t>(input[0]);
    for (std::size_t at = 1; at < 5; ++at) {
        if (at == input.size()) return LengthForm::cut;
        auto byte = static_cast<std::uint32_t>(input[at]);
        header.remaining_length |= (byte & 0x7F) << (7 * (at - 1));
        if (byte >= 0x80) continue;
        header.header_size = static_cast<std::uint8_t>(at + 1);
        return byte == 0 && at > 1 ? LengthForm::overlong : LengthForm::whole;
    }
    return LengthForm::overlong;
}

/// A set of speakers, one bit for each pair of version and sender.
using SpeakerSet = std::uint8_t;

[[nodiscard]] constexpr SpeakerSet speaker(Version version, Sender sender) noexcept {
    auto bit = (static_cast<unsigned>(version) - 3) * 2 + static_cast<unsigned>(sender);
    return static_cast<SpeakerSet>(1u << bit);
}

/// For each first byte who may begin a packet with it: its flags are right, and a packet of this
/// type exists in that version and goes that way.
extern std::array<SpeakerSet, 256> const kFirstBytes;

/// The rule that the flags of a first byte break in `version`, or null if they may stand.
[[nodiscard]] Rule const* broken_flag_rule(std::uint8_t first, Version version) noexcept;

/// Says what is wrong with the fixed header of a frame that read_header() does not take.
[[gnu::cold]] void refuse_header(Reader& reader, Bytes frame) noexcept;

/// Reads the fixed header of `frame`, at whose start `reader` stands, and checks all that it can
/// show: flags, length, and that the sender may send such a packet. Errors stay in `reader`.
[[nodiscard]] inline FixedHeader read_header(Reader& reader, Bytes frame) noexcept {
    FixedHeader header;
    auto who = speaker(reader.version(), reader.sender());
    if (read_length(frame, header) == LengthForm::whole && header.packet_size() == frame.size() &&
        (kFirstBytes[header.first] & who) != 0) {
        reader.skip(header.header_size);
    } else {
        refuse_header(reader, frame);
    }
    return header;
}

}  // namespace spoke::mqtt
