#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "broker/core/settings.hpp"

namespace spoke::broker {

/// One address the broker listens on.
struct ListenerSettings {
    std::string address = "127.0.0.1";
    std::uint16_t port = 1883;  // 0: any free one, see Server::ports()
    int backlog = 1024;
    bool tcp_nodelay = true;
    std::uint32_t connections_max =
        100'000;          // of this listener; above: accepted and closed at once
    LinkSettings link{};  // what the core holds its connections to
    /// Handshakes at once, shared out among the shards; above: new connections wait in the kernel.
    std::uint32_t handshakes_max = 1'000;
};

struct NetSettings {
    std::vector<ListenerSettings> listeners;
    std::uint8_t shards = 1;
    std::uint32_t read_budget_bytes = 256 * 1024;  // of one connection in one turn
    std::chrono::microseconds busy_poll{0};        // how long an idle shard polls before it sleeps
    std::chrono::milliseconds linger{2'000};       // for the peer to read the last packet
};

}  // namespace spoke::broker
