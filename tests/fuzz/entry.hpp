#pragma once

#include <optional>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"

/// What must hold for any bytes at all. The libFuzzer targets and the replay test call the same
/// functions.
namespace spoke::fuzz {

/// What does not hold, in words; nullopt if all is well.
using Finding = std::optional<std::string>;

/// Decodes `frame` as it is. An error names a rule and a place in the frame; a packet can be
/// encoded, in no more bytes, and decodes to the same value again; the view of a PUBLISH agrees
/// with the packet.
[[nodiscard]] Finding check_decode(Bytes frame, mqtt::Version version, mqtt::Sender sender);

/// The same for the packet whose first byte is the first of `input` and whose body is the rest: the
/// length is put in, so that random bytes reach the decoders.
[[nodiscard]] Finding check_decode_body(Bytes input, mqtt::Version version, mqtt::Sender sender);

/// Cuts a stream into packets. The first byte of `input` gives the sizes in which the rest is fed:
/// the packets and the final error are the same for every size.
[[nodiscard]] Finding check_framing(Bytes input);

/// Takes what stands before the first newline as topic filter and what stands behind as topic name,
/// and asks the slow reference as well.
[[nodiscard]] Finding check_topic_filter(Bytes input);

}  // namespace spoke::fuzz
