#include "device-sim/load/reactor.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "device-sim/load/client.hpp"
#include "device-sim/load/load_failure.hpp"

namespace spoke::sim::load {
namespace {

constexpr std::size_t kEventsPerTurn = 1024;
constexpr std::size_t kInboundBytes = 256 * 1024;

epoll_event event_for(Client& client, bool writable) {
    epoll_event event{};
    event.events = EPOLLIN | (writable ? static_cast<unsigned>(EPOLLOUT) : 0U);
    event.data.ptr = &client;
    return event;
}

timespec to_timespec(std::chrono::nanoseconds duration) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    return {.tv_sec = seconds.count(), .tv_nsec = (duration - seconds).count()};
}

}  // namespace

Reactor::Reactor() : ready_(kEventsPerTurn), inbound_(kInboundBytes) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw LoadFailure{fmt::format("epoll_create1: {}", std::strerror(errno))};
    read_clock();
}

Reactor::~Reactor() {
    ::close(epoll_);
}

void Reactor::turn(SteadyTime wake_at, TurnEnd* end) {
    auto count = wait(wake_at);
    read_clock();
    auto woken_at = now_;
    for (int i = 0; i < count; ++i) {
        auto& event = ready_[static_cast<std::size_t>(i)];
        static_cast<Client*>(event.data.ptr)->on_ready(event.events);
    }
    if (end != nullptr) end->on_turn_end();
    flush_touched();
    read_clock();
    last_turn_ = now_ - woken_at;
}

int Reactor::wait(SteadyTime wake_at) {
    using std::chrono::nanoseconds;
    auto left = std::max(nanoseconds{}, nanoseconds{wake_at - std::chrono::steady_clock::now()});
    auto limit = to_timespec(left);
    auto events_max = static_cast<int>(ready_.size());
    auto count = ::epoll_pwait2(epoll_, ready_.data(), events_max, &limit, nullptr);
    if (count < 0 && errno == ENOSYS) {  // kernels before 5.11
        auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left);
        count = ::epoll_wait(epoll_, ready_.data(), events_max, static_cast<int>(rounded.count()));
    }
    return std::max(count, 0);
}

void Reactor::flush_touched() {
    // A flush that fails closes its client, and what is told about that may touch others.
    while (!touched_.empty()) {
        flushing_.swap(touched_);
        for (auto* client : flushing_) client->flush();
        flushing_.clear();
    }
}

void Reactor::add(int descriptor, Client& client, bool writable) {
    auto event = event_for(client, writable);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        throw LoadFailure{fmt::format("epoll_ctl: {}", std::strerror(errno))};
    }
}

void Reactor::change(int descriptor, Client& client, bool writable) {
    auto event = event_for(client, writable);
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);
}

}  // namespace spoke::sim::load
