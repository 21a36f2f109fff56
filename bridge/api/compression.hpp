#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bridge/api/http_message.hpp"

namespace spoke::bridge {

/// Whether Accept-Encoding takes gzip (RFC 9110, 12.5.3): named, or by "*", and not with q=0.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

/// `text` as a gzip stream.
[[nodiscard]] std::string gzip(std::string_view text);

/// Packs the body if the peer takes that, it is text of at least `bytes_min`, and the response has
/// no ETag: one tag must not stand for two different sequences of bytes.
void compress(HttpResponse& response, std::string_view accept_encoding, std::size_t bytes_min);

}  // namespace spoke::bridge
