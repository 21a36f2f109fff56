#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// What a listener asks of a WebSocket client's first request.
struct WebSocketSettings {
    std::string path = "/mqtt";          // compared as it is written, without the query
    std::vector<std::string> origins{};  // those of the pages that may connect; empty: all
    std::uint32_t request_size_max = 8192;
    std::uint32_t headers_max = 64;
    bool operator==(WebSocketSettings const&) const = default;
};

/// What the server says to it.
struct UpgradeAnswer {
    unsigned status = 101;  // of HTTP; 101: frames follow in both directions
    std::string reply{};    // all of it, to be written as it is
    std::string problem{};  // for the log: why it was refused
    [[nodiscard]] bool is_accepted() const noexcept { return status == 101; }
};

/// Answers the opening handshake (RFC 6455, 4.2) for a whole request head, empty line included.
/// Out     101 with the subprotocol "mqtt" wherever it stands in the offer [MQTT-6.0.0-4], or
///         "mqttv3.1" if only that was offered; no extension is taken up.
/// Errors  400 malformed, not WebSocket, no usable subprotocol, a body; 403 Origin; 404 path; 405
///         method; 426 version; 431 too many headers.
[[nodiscard]] UpgradeAnswer answer_upgrade(std::string_view head,
                                           WebSocketSettings const& settings);

/// Collects the request as its bytes come, then answers it. What a peer can make it hold is limited
/// by `request_size_max`.
class UpgradeReader {
public:
    struct Step {
        std::size_t used = 0;  // bytes that belong to the request; behind it come frames
        std::optional<UpgradeAnswer> answer{};  // not yet: all is used, more is needed
    };
    /// Errors  besides those of answer_upgrade(): 400 as soon as the first byte shows that this is
    ///         no HTTP; 431 for a request which is too large.
    [[nodiscard]] Step read(Bytes bytes, WebSocketSettings const& settings);

private:
    Buffer head_{};
};

}  // namespace spoke::broker
