#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <span>

namespace spoke::broker {

/// Something whose descriptor a Poller watches.
class Pollable {
public:
    virtual ~Pollable() = default;
    /// `events`: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR. Must not destroy itself.
    virtual void on_ready(std::uint32_t events) = 0;
};

/// The set of descriptors of one shard. Asio drives it as one descriptor: a turn asks once which of
/// thousands of sockets are ready, level-triggered, where Asio's own registration would cost each
/// of them a system call per event and some 400 bytes while idle.
class Poller {
public:
    Poller();
    ~Poller();
    Poller(Poller const&) = delete;
    Poller& operator=(Poller const&) = delete;

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// Throws std::system_error: out of kernel memory or watches.
    void add(int descriptor, Pollable& pollable, std::uint32_t events);
    void change(int descriptor, Pollable& pollable, std::uint32_t events) noexcept;
    void remove(int descriptor) noexcept;
    /// What is ready now, without waiting.
    [[nodiscard]] std::span<epoll_event const> ready() noexcept;

private:
    static constexpr int kEventsMax = 512;
    int descriptor_;
    epoll_event events_[kEventsMax];
};

}  // namespace spoke::broker
