#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// What stands in front of a connection's own bytes: a line (version 1) or a block (version 2) in
/// which a proxy says for whom it connects.
/// Spec    https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt
enum class ProxyProtocol : std::uint8_t { off, v1, v2, any };

struct ProxySettings {
    ProxyProtocol version = ProxyProtocol::any;
    std::uint32_t size_max = 1024;         // of a version 2 header
    bool common_name_is_identity = false;  // of a client certificate the proxy has verified
    bool operator==(ProxySettings const&) const = default;
};

/// What the proxy said.
struct ProxyHeader {
    std::size_t size = 0;    // bytes of the header
    std::string source{};    // "192.0.2.7", "2001:db8::7", "unix:/a/path"; empty: it does not say,
                             // the address of the connection itself holds
    std::uint16_t port = 0;  // of `source`; 0: it has none
    std::string common_name{};  // of the client's certificate, if the proxy has verified one
};

/// All bytes given belong to a header that goes on.
struct ProxyIncomplete {};

/// This is no header that is allowed here; `problem` is for the log, in static storage.
struct ProxyProblem {
    std::string_view problem;
};

using ProxyResult = std::variant<ProxyIncomplete, ProxyProblem, ProxyHeader>;

/// Reads the header at the front of `bytes`. Strict: a proxy writes it, never a person. Who is
/// wrong learns it from the first wrong byte of the signature, not from a timeout.
/// Bounds  version 1: 107 bytes; version 2: `size_max`, checked before that much has come.
/// Ignored every TLV but the checksum, which must be right, and the name in the client's
///         certificate.
[[nodiscard]] ProxyResult read_proxy_header(Bytes bytes, ProxySettings const& settings);

}  // namespace spoke::broker
