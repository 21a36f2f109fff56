#include "broker/net/poller.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace spoke::broker {

namespace {

epoll_event event_of(Pollable& pollable, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &pollable;
    return event;
}

}  // namespace

Poller::Poller() : descriptor_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Poller::~Poller() {
    ::close(descriptor_);
}

void Poller::add(int descriptor, Pollable& pollable, std::uint32_t events) {
    auto event = event_of(pollable, events);
    if (::epoll_ctl(descriptor_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }
}

void Poller::change(int descriptor, Pollable& pollable, std::uint32_t events) noexcept {
    auto event = event_of(pollable, events);
    ::epoll_ctl(descriptor_, EPOLL_CTL_MOD, descriptor, &event);
}

void Poller::remove(int descriptor) noexcept {
    ::epoll_ctl(descriptor_, EPOLL_CTL_DEL, descriptor, nullptr);
}

std::span<epoll_event const> Poller::ready() noexcept {
    int count = ::epoll_wait(descriptor_, events_, kEventsMax, 0);
    return {events_, static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace spoke::broker
