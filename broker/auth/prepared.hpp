#pragma once

#include <string_view>

namespace spoke::broker {

/// Whether SASLprep (RFC 4013) certainly leaves `text` as it is: not empty, valid UTF-8, and only
/// characters that normalisation does not touch: printable ASCII, precomposed letters of Latin,
/// Greek and Cyrillic, kana, unified ideographs, Hangul syllables. Other characters are not
/// accepted in the user names and passwords of SCRAM, so that what client and server prepare
/// differently cannot become a failure without a cause.
[[nodiscard]] bool is_prepared(std::string_view text) noexcept;

}  // namespace spoke::broker
