#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "broker/net/listening_socket.hpp"
#include "broker/net/settings.hpp"
#include "broker/net/tls_context.hpp"

namespace spoke::broker {

/// The listening sockets of one listener: one for each address of its name, or a Unix socket. Every
/// shard watches them all (exclusively, so that one connection wakes one shard, whichever has time)
/// and accepts from them. With reuse_port each shard has sockets of its own instead, and the kernel
/// shares the connections out evenly, whether or not a shard has time. Outlives all shards.
class Listener {
public:
    /// Reads the files of TLS, binds and listens. Throws std::runtime_error with one line that
    /// names the address and says what is wrong.
    Listener(ListenerSettings const& settings, std::uint8_t shards);
    Listener(Listener const&) = delete;
    Listener& operator=(Listener const&) = delete;

    /// What the shard is to watch.
    [[nodiscard]] std::span<Socket const> sockets_of(std::uint8_t shard) const noexcept {
        std::size_t copy = settings_.socket.reuse_port ? shard : 0;
        return std::span{sockets_}.subspan(copy * addresses_, addresses_);
    }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }       // 0: a Unix socket
    [[nodiscard]] std::string const& name() const noexcept { return name_; }  // "127.0.0.1:1883"
    [[nodiscard]] ListenerSettings const& settings() const noexcept { return settings_; }

    /// Null: its connections do not speak TLS.
    [[nodiscard]] TlsContext* tls() const noexcept { return tls_.get(); }

    struct Accepted {
        int descriptor = -1;              // non-blocking, its options set; -1: none waits
        bool out_of_descriptors = false;  // one waits, but the process may open no more files
    };
    /// The next connection that waits for the shard. In the shard's thread.
    [[nodiscard]] Accepted accept(std::uint8_t shard) noexcept;

    [[nodiscard]] bool is_full() const noexcept {
        return open_.load(std::memory_order_relaxed) >= settings_.connections_max;
    }
    void on_opened() noexcept { open_.fetch_add(1, std::memory_order_relaxed); }
    void on_closed() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }

private:
    ListenerSettings settings_;
    std::unique_ptr<TlsContext> tls_{};
    std::unique_ptr<UnixFile> unix_file_{};
    std::vector<Socket> sockets_{};
    std::size_t addresses_ = 0;
    std::uint16_t port_ = 0;
    std::string name_;
    std::atomic<std::uint32_t> open_{0};
};

}  // namespace spoke::broker
