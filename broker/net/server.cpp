#include "broker/net/server.hpp"

#include <spdlog/spdlog.h>

#include <functional>
#include <random>
#include <stdexcept>
#include <thread>

#include "broker/core/reclaimer.hpp"
#include "broker/core/subscription_index.hpp"
#include "broker/net/listener.hpp"
#include "broker/net/shard.hpp"

namespace spoke::broker {

namespace {

/// Not to be guessed from outside: peers choose topic levels that are hashed with it.
std::uint64_t random_seed() {
    std::random_device seed;
    return std::uint64_t{seed()} << 32 | seed();
}

}  // namespace

/// Everything with a lifetime, in the order it is made.
class Server::Parts final : public Neighbours {
public:
    Parts(NetSettings const& net_settings, CoreSettings const& core,
          RetainedMessages::Limits const& limits, SessionStore& store, ClusterBus& bus)
        : net(net_settings),
          reclaimer(net.shards),
          index(reclaimer, random_seed()),
          retained(reclaimer, limits, random_seed()),
          mailboxes(std::size_t{net.shards} * net.shards) {
        for (auto const& settings : net.listeners) {
            listeners.push_back(std::make_unique<Listener>(settings, net.shards));
        }
        for (std::uint8_t i = 0; i < net.shards; ++i) {
            Shard::Wiring wiring{*this, reclaimer, index,     retained,
                                 store, bus,       listeners, core.memory_watermark_bytes};
            shards.push_back(std::make_unique<Shard>(net, core, wiring, i, random_seed()));
        }
    }

    Mailbox& mailbox(std::uint8_t from, std::uint8_t to) override {
        return mailboxes[std::size_t{from} * net.shards + to];
    }
    void wake(std::uint8_t shard) override { shards[shard]->wake(); }
    [[nodiscard]] std::uint64_t queued_bytes() const noexcept override {
        std::uint64_t sum = 0;
        for (auto const& shard : shards) sum += shard->counters().queued_bytes.read();
        return sum;
    }

    NetSettings net;
    Reclaimer reclaimer;
    SubscriptionIndex index;
    RetainedMessages retained;
    std::vector<std::unique_ptr<Listener>> listeners;
    std::vector<Mailbox> mailboxes;
    std::vector<std::unique_ptr<Shard>> shards;
    std::vector<std::thread> threads;
};

Server::Server(NetSettings const& net, CoreSettings const& core,
               RetainedMessages::Limits const& retained, SessionStore& store, ClusterBus& bus)
    : parts_(std::make_unique<Parts>(net, core, retained, store, bus)) {}

Server::~Server() {
    if (!parts_->threads.empty()) stop(std::chrono::milliseconds{0});
}

void Server::start() {
    for (auto const& shard : parts_->shards) {
        parts_->threads.emplace_back([&shard] { shard->run(); });
    }
}

void Server::stop(std::chrono::milliseconds time) {
    for (std::uint8_t i = 0; i < parts_->net.shards; ++i) {
        auto mail = std::make_unique<Mail>();
        Shard& shard = *parts_->shards[i];
        mail->tasks.emplace_back([&shard, time] { shard.shut_down(time); });
        parts_->mailbox(i, i).put(std::move(mail));
        shard.wake();
    }
    for (auto& thread : parts_->threads) thread.join();
    parts_->threads.clear();
}

void Server::reload_tls() {
    for (auto const& listener : parts_->listeners) {
        auto* tls = listener->tls();
        if (tls == nullptr) continue;
        try {
            tls->reload();
            spdlog::info("{}: TLS files read again", listener->name());
        } catch (std::runtime_error const& error) {
            spdlog::error("{}: {}; what was read before stays in use", listener->name(),
                          error.what());
        }
    }
    log_certificates();
}

std::vector<std::string> Server::tls_files() const {
    std::vector<std::string> all;
    for (auto const& listener : parts_->listeners) {
        if (listener->tls() == nullptr) continue;
        auto files = listener->tls()->files();
        all.insert(all.end(), files.begin(), files.end());
    }
    return all;
}

void Server::log_certificates() const {
    auto now = std::chrono::system_clock::now();
    for (auto const& listener : parts_->listeners) {
        if (listener->tls() != nullptr) log_days_to_expiry(*listener->tls(), listener->name(), now);
    }
}

std::vector<std::string> Server::addresses() const {
    std::vector<std::string> names;
    for (auto const& listener : parts_->listeners) names.push_back(listener->name());
    return names;
}

std::vector<std::uint16_t> Server::ports() const {
    std::vector<std::uint16_t> ports;
    for (auto const& listener : parts_->listeners) ports.push_back(listener->port());
    return ports;
}

}  // namespace spoke::broker
