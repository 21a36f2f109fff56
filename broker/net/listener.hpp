#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "broker/net/settings.hpp"

namespace spoke::broker {

/// A listening socket. Every shard watches it (exclusively, so that one connection wakes one shard)
/// and accepts from it; it outlives all shards.
class Listener {
public:
    /// Binds and listens. Throws std::runtime_error with one line that names the address and says
    /// what is wrong.
    explicit Listener(ListenerSettings const& settings);
    Listener(Listener const&) = delete;
    Listener& operator=(Listener const&) = delete;
    ~Listener();

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string const& name() const noexcept { return name_; }  // "127.0.0.1:1883"
    [[nodiscard]] ListenerSettings const& settings() const noexcept { return settings_; }

    struct Accepted {
        int descriptor = -1;              // non-blocking, its options set; -1: none waits
        bool out_of_descriptors = false;  // one waits, but the process may open no more files
    };
    /// The next waiting connection. Any shard's thread.
    [[nodiscard]] Accepted accept() noexcept;

    [[nodiscard]] bool is_full() const noexcept {
        return open_.load(std::memory_order_relaxed) >= settings_.connections_max;
    }
    void on_opened() noexcept { open_.fetch_add(1, std::memory_order_relaxed); }
    void on_closed() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }

private:
    ListenerSettings settings_;
    int descriptor_ = -1;
    std::uint16_t port_ = 0;
    std::string name_;
    std::atomic<std::uint32_t> open_{0};
};

}  // namespace spoke::broker
