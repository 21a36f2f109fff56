#include "broker/net/server.hpp"

#include <spdlog/spdlog.h>

#include <deque>
#include <functional>
#include <random>
#include <stdexcept>
#include <thread>

#include "broker/core/kept_sessions.hpp"
#include "broker/core/reclaimer.hpp"
#include "broker/core/restore.hpp"
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
          RetainedMessages::Limits const& limits, Store& the_store, ClusterBus& bus)
        : net(net_settings),
          store(the_store),
          reclaimer(net.shards + 1U),  // the store's thread reads retained messages
          index(reclaimer, store.hash_seed() != 0 ? store.hash_seed() : random_seed()),
          retained(reclaimer, limits, random_seed()),
          kept(net.shards),
          mailboxes(std::size_t{net.shards} * net.shards) {
        for (auto const& settings : net.listeners) {
            listeners.push_back(std::make_unique<Listener>(settings, net.shards));
        }
        for (std::uint8_t i = 0; i < net.shards; ++i) {
            Shard::Wiring wiring{*this,    reclaimer, index,
                                 retained, kept,      store,
                                 bus,      listeners, core.memory_watermark_bytes};
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

    void restore() {
        std::vector<ShardCore*> cores;
        for (auto const& shard : shards) cores.push_back(&shard->core());
        std::vector<LinkSettings const*> settings;
        for (auto const& listener : listeners) settings.push_back(&listener->settings().link);
        Restore restore{std::move(cores), retained, std::move(settings), settings_of_gone};
        store.load(restore, read_clocks().wall);
        restore.finish();
        if (restore.commands_dropped() > 0) {
            spdlog::warn("{} retained messages on command topics, kept from before, are removed",
                         restore.commands_dropped());
        }
    }
    [[nodiscard]] MessagePtr find_retained(std::string_view topic) {
        std::size_t reader = net.shards;
        reclaimer.online(reader);
        auto message = retained.find(topic, read_clocks().wall);
        reclaimer.offline(reader);
        return message;
    }

    NetSettings net;
    Store& store;
    Reclaimer reclaimer;
    SubscriptionIndex index;
    RetainedMessages retained;
    std::vector<KeptSessions> kept;             // by shard
    std::deque<LinkSettings> settings_of_gone;  // of listeners that restored sessions name
    std::vector<std::unique_ptr<Listener>> listeners;
    std::vector<Mailbox> mailboxes;
    std::vector<std::unique_ptr<Shard>> shards;
    std::vector<std::thread> threads;
};

Server::Server(NetSettings const& net, CoreSettings const& core,
               RetainedMessages::Limits const& retained, Store& store, ClusterBus& bus)
    : parts_(std::make_unique<Parts>(net, core, retained, store, bus)) {}

Server::~Server() {
    if (!parts_->threads.empty()) stop(std::chrono::milliseconds{0});
}

void Server::set_status(std::string_view topic, std::string_view text) {
    mqtt::Publish status;
    status.topic = topic;
    auto payload = as_bytes(text);
    status.payload.assign(payload.begin(), payload.end());
    status.retain = true;
    parts_->retained.set(Message::make(status, kNever));
}

void Server::start() {
    parts_->restore();
    parts_->store.start(
        {.wake = [this](std::uint8_t shard) { parts_->wake(shard); },
         .find_retained = [this](std::string_view topic) { return parts_->find_retained(topic); }});
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
    for (auto const& shard : parts_->shards) shard->close_all();
    parts_->store.stop();
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
