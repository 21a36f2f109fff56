#pragma once

#include "protocol/codec/decode_error.hpp"
#include "protocol/codec/framing.hpp"
#include "protocol/codec/rules.hpp"

namespace spoke::mqtt {

/// Whether DUP may stand on PUBREL, SUBSCRIBE and UNSUBSCRIBE: in MQTT 3.1 it marks a repetition.
enum class RequestDup : bool { refused, allowed };

/// The rule that the flags of a packet's first byte break, or null if they may stand.
[[nodiscard]] Rule const* broken_flag_rule(std::uint8_t first, RequestDup request_dup) noexcept;

/// Checks all that the fixed header of a whole packet can show: flags, length, and that a packet of
/// this type exists in `version` and goes from `sender`.
[[nodiscard]] Result<FixedHeader> check_frame(Bytes frame, Version version, Sender sender);

}  // namespace spoke::mqtt
