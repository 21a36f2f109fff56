#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/settings.hpp"
#include "broker/net/proxy_header.hpp"
#include "broker/net/tls_settings.hpp"
#include "broker/net/websocket_upgrade.hpp"

namespace spoke::broker {

/// How a listening socket and the connections it accepts are set up. 0: the system's own value.
struct SocketSettings {
    int backlog = 1024;
    bool reuse_port = false;  // a socket per shard, among which the kernel shares out connections
    bool ipv6_only = false;
    std::uint32_t send_buffer_bytes = 0;
    std::uint32_t receive_buffer_bytes = 0;
    bool tcp_nodelay = true;
    std::chrono::milliseconds tcp_user_timeout{0};
    bool tcp_keepalive = false;  // the three below only matter with it
    std::chrono::seconds tcp_keepalive_idle{60};
    std::chrono::seconds tcp_keepalive_interval{10};
    int tcp_keepalive_count = 6;
    bool operator==(SocketSettings const&) const = default;
};

/// Who may connect to a Unix socket. Empty: as the process is.
struct UnixSettings {
    std::uint32_t mode = 0660;
    std::string owner{};  // name or number
    std::string group{};
    bool operator==(UnixSettings const&) const = default;
};

/// One address the broker listens on.
struct ListenerSettings {
    std::string address = "127.0.0.1";  // or a name, or "unix:" and a path
    std::uint16_t port = 1883;          // 0: any free one, see Server::ports()
    SocketSettings socket{};
    UnixSettings unix_socket{};
    ProxySettings proxy{ProxyProtocol::off};
    std::optional<WebSocketSettings> websocket{};  // none: MQTT right over the stream
    std::uint32_t connections_max =
        100'000;  // of this listener; above: accepted and closed at once
    /// Connections without a whole CONNECT, shared out among the shards; above: the oldest of the
    /// shard's is closed for a new one.
    std::uint32_t pending_max = 10'000;
    LinkSettings link{};  // what the core holds its connections to
    /// Handshakes at once, shared out among the shards; above: new connections wait in the kernel.
    std::uint32_t handshakes_max = 1'000;
    TlsSettings tls{};
};

struct NetSettings {
    std::vector<ListenerSettings> listeners;
    std::uint8_t shards = 1;
    std::uint32_t read_budget_bytes = 256 * 1024;  // of one connection in one turn
    std::chrono::microseconds busy_poll{0};        // how long an idle shard polls before it sleeps
    std::chrono::milliseconds linger{2'000};       // for the peer to read the last packet
};

}  // namespace spoke::broker
