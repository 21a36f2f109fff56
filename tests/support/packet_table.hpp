#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::test {

/// The bytes that `text` stands for:
///   2A 00FF      hex digits, in pairs
///   'MQTT'       characters
///   s'bike-7'    a string with its two length bytes before it
///   ( ... )      what is inside, with its size before it as a variable byte integer
///   # ...        a comment up to the end of the line
/// A text that is none of this is a mistake in the test and throws std::logic_error.
[[nodiscard]] Buffer bytes_of(std::string_view text);

/// One packet on the wire and what it means.
struct PacketRow {
    std::string_view name;
    std::string_view text;  // as bytes_of() takes it
    mqtt::Version version{};
    mqtt::Sender sender{};
    /// What it decodes to; without it the row is bad, and the error is the one below.
    std::optional<mqtt::Packet> value{};
    mqtt::ReasonCode reason{};
    std::string_view rule{};
    /// Whether the encoder writes `value` just like this. A longer form of the same packet is good
    /// all the same.
    bool is_shortest = true;
    /// Sizes of the body at which the packet, cut there, still is one. For PUBLISH every cut in the
    /// payload is good besides.
    std::vector<std::size_t> good_cuts{};

    [[nodiscard]] bool is_good() const noexcept { return value.has_value(); }
    [[nodiscard]] Buffer bytes() const { return bytes_of(text); }
};

/// The one table of packets. Codec, core and net tests and the fuzz seeds draw on it.
[[nodiscard]] std::vector<PacketRow> const& packet_table();

/// The row of that name; throws std::logic_error if there is none.
[[nodiscard]] PacketRow const& packet_row(std::string_view name);

/// A packet made of a first byte and a body, with the right length between them.
[[nodiscard]] Buffer frame_of(std::uint8_t first, Bytes body);

/// What stands behind the fixed header of a sound frame.
[[nodiscard]] Bytes body_of(Bytes frame);

}  // namespace spoke::test
