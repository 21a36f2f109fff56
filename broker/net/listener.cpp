#include "broker/net/listener.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace spoke::broker {

namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// Numeric addresses and names; the first that the system gives for a name.
AddressList resolve(ListenerSettings const& settings, std::string const& name) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    auto port = std::to_string(settings.port);
    int error = ::getaddrinfo(settings.address.empty() ? nullptr : settings.address.c_str(),
                              port.c_str(), &hints, &found);
    if (error != 0) {
        throw std::runtime_error(
            fmt::format("cannot listen on {}: {}", name, ::gai_strerror(error)));
    }
    return {found, &::freeaddrinfo};
}

std::uint16_t bound_port(int descriptor) noexcept {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.ss_family == AF_INET6
                     ? reinterpret_cast<sockaddr_in6 const&>(address).sin6_port
                     : reinterpret_cast<sockaddr_in const&>(address).sin_port);
}

std::string name_of(std::string const& address, std::uint16_t port) {
    bool v6 = address.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

}  // namespace

Listener::Listener(ListenerSettings const& settings)
    : settings_(settings), name_(name_of(settings.address, settings.port)) {
    auto address = resolve(settings_, name_);
    descriptor_ = ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    bool listens = descriptor_ >= 0 &&
                   ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                   ::bind(descriptor_, address->ai_addr, address->ai_addrlen) == 0 &&
                   ::listen(descriptor_, settings_.backlog) == 0;
    if (!listens) {
        int error = errno;
        if (descriptor_ >= 0) ::close(descriptor_);
        throw std::runtime_error(
            fmt::format("cannot listen on {}: {}", name_,
                        error == EADDRINUSE ? "the port is in use" : std::strerror(error)));
    }
    port_ = bound_port(descriptor_);
    name_ = name_of(settings_.address, port_);
}

Listener::~Listener() {
    ::close(descriptor_);
}

Listener::Accepted Listener::accept() noexcept {
    for (;;) {
        int socket = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) {
            // A peer that gave up meanwhile is no reason to stop.
            if (errno == ECONNABORTED || errno == EINTR) continue;
            return {-1, errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS};
        }
        int on = 1;
        if (settings_.tcp_nodelay) ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return {socket, false};
    }
}

}  // namespace spoke::broker
