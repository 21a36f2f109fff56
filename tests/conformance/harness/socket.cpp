#include "tests/conformance/harness/socket.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

namespace spoke::test {

namespace {

[[noreturn]] void fail(std::string_view what) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

bool is_gone(int error) {
    return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

}  // namespace

std::chrono::seconds deadline() {
    static auto const* given = std::getenv("SPOKE_CONFORMANCE_DEADLINE");
    if (given != nullptr) return std::chrono::seconds{std::atoi(given)};
    return std::chrono::seconds{is_own_broker() ? 30 : 10};
}

Socket::Socket(Endpoint const& endpoint) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    auto port = std::to_string(endpoint.port);
    if (int error = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found)) {
        throw std::runtime_error(fmt::format("{}: {}", endpoint.host, ::gai_strerror(error)));
    }
    std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const owner{found, &::freeaddrinfo};
    for (auto* address = found; address != nullptr; address = address->ai_next) {
        descriptor_ = ::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor_ < 0) fail("socket");
        if (::connect(descriptor_, address->ai_addr, address->ai_addrlen) == 0) break;
        ::close(std::exchange(descriptor_, -1));
    }
    if (descriptor_ < 0) fail(fmt::format("connect to {}:{}", endpoint.host, endpoint.port));
    int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
    close();
    descriptor_ = std::exchange(other.descriptor_, -1);
    return *this;
}

void Socket::close() noexcept {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void Socket::await(short events) const {
    pollfd waiting{descriptor_, events, 0};
    auto const milliseconds =
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(deadline()).count());
    int ready = ::poll(&waiting, 1, milliseconds);
    if (ready < 0) fail("poll");
    if (ready == 0) throw std::runtime_error("nothing happened until the deadline");
}

void Socket::send(Bytes bytes) {
    while (!bytes.empty()) {
        auto size = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && is_gone(errno)) return;
        if (size < 0 && errno != EAGAIN) fail("send");
        if (size < 0) {
            await(POLLOUT);
        } else {
            bytes = bytes.subspan(static_cast<std::size_t>(size));
        }
    }
}

std::size_t Socket::receive(std::span<std::byte> room) {
    for (;;) {
        auto size = ::recv(descriptor_, room.data(), room.size(), MSG_DONTWAIT);
        if (size >= 0) return static_cast<std::size_t>(size);
        if (is_gone(errno)) return 0;
        if (errno != EAGAIN) fail("recv");
        await(POLLIN);
    }
}

void Socket::shut_down() {
    ::shutdown(descriptor_, SHUT_WR);
}

}  // namespace spoke::test
