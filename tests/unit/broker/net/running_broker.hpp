#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "broker/cluster/single_node_bus.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/net/server.hpp"
#include "broker/storage/volatile_store.hpp"
#include "tests/unit/broker/net/socket_client.hpp"

namespace spoke::test {

/// What a running broker is started with.
struct BrokerOptions {
    BrokerOptions() { net.listeners.resize(1); }

    broker::NetSettings net{};  // one listener, whose port does not count
    broker::CoreSettings core{};
    broker::RetainedMessages::Limits retained{100'000, 1U << 28};
    broker::Store* store = nullptr;  // outlives the broker; null: nothing is kept
};

inline BrokerOptions with_shards(std::uint8_t shards) {
    BrokerOptions options;
    options.net.shards = shards;
    return options;
}

/// A broker with threads of its own on a free port of the loopback address.
class RunningBroker {
public:
    explicit RunningBroker(BrokerOptions options = with_shards(2))
        : options_(prepared(std::move(options))),
          server_(options_.net, options_.core, options_.retained,
                  options_.store != nullptr ? *options_.store : no_store_, bus_) {
        server_.start();
    }

    [[nodiscard]] std::uint16_t port() const { return server_.ports().front(); }
    [[nodiscard]] std::uint8_t shards() const noexcept { return options_.net.shards; }
    [[nodiscard]] broker::Server& server() noexcept { return server_; }

    [[nodiscard]] SocketClient client() const { return SocketClient{port()}; }
    [[nodiscard]] SocketClient client(SocketClient::Options options) const {
        return SocketClient{port(), options};
    }
    /// A client that is connected.
    [[nodiscard]] SocketClient connected(ConnectBuilder const& connect) const {
        auto made = client();
        made.sends(connect);
        auto connack = made.takes<mqtt::ConnAck>();
        if (mqtt::is_error(connack.reason)) throw std::runtime_error("CONNECT was refused");
        return made;
    }
    /// A client id which begins with `prefix` and whose session lives on `shard`.
    [[nodiscard]] std::string id_on_shard(int shard, std::string const& prefix) const {
        for (int i = 0;; ++i) {
            auto id = prefix + "-" + std::to_string(i);
            if (broker::home_shard(id, shards()) == shard) return id;
        }
    }

private:
    static BrokerOptions prepared(BrokerOptions options) {
        spdlog::set_level(spdlog::level::off);
        for (auto& listener : options.net.listeners) listener.port = 0;
        return options;
    }

    BrokerOptions options_;
    broker::VolatileStore no_store_;
    broker::SingleNodeBus bus_;
    broker::Server server_;
};

}  // namespace spoke::test
