#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// Pre-shared keys by identity.
using PskTable = std::map<std::string, Buffer, std::less<>>;

/// Reads lines "identity:hexkey" as mosquitto's psk_file has them: the key is 1 to 256 bytes in
/// hexadecimal; empty lines and lines that begin with '#' are passed over.
/// Errors  std::runtime_error that names file and line, but never a key.
[[nodiscard]] PskTable read_psk_file(std::string const& path);
/// The same from its text.
[[nodiscard]] PskTable parse_psk_file(std::string_view text, std::string const& path);

}  // namespace spoke::broker
