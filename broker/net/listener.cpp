#include "broker/net/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace spoke::broker {

namespace {

constexpr std::string_view kUnix = "unix:";

std::string name_of(std::string const& address, std::uint16_t port) {
    if (address.starts_with(kUnix)) return address;
    bool v6 = address.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

}  // namespace

Listener::Listener(ListenerSettings const& settings, std::uint8_t shards)
    : settings_(settings), name_(name_of(settings.address, settings.port)) {
    try {
        if (settings_.tls.is_on()) {
            settings_.tls.websocket = settings_.websocket.has_value();
            tls_ = std::make_unique<TlsContext>(settings_.tls);
        }
        if (settings_.address.starts_with(kUnix)) {
            auto opened = listen_unix(settings_.address.substr(kUnix.size()), settings_.socket,
                                      settings_.unix_socket);
            unix_file_ = std::move(opened.file);
            sockets_.push_back(std::move(opened.socket));
            addresses_ = 1;
            settings_.socket.reuse_port = false;  // Unix sockets know nothing of it
            return;
        }
        std::uint8_t copies = settings_.socket.reuse_port ? shards : std::uint8_t{1};
        auto opened = listen_tcp(settings_.address, settings_.port, settings_.socket, copies);
        sockets_ = std::move(opened.sockets);
        addresses_ = opened.addresses;
        port_ = opened.port;
        name_ = name_of(settings_.address, port_);
    } catch (std::runtime_error const& error) {
        throw std::runtime_error(fmt::format("cannot listen on {}: {}", name_, error.what()));
    }
}

Listener::Accepted Listener::accept(std::uint8_t shard) noexcept {
    auto sockets = sockets_of(shard);
    for (std::size_t i = 0; i < sockets.size();) {
        int socket =
            ::accept4(sockets[i].descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) return {socket, false};
        // A peer that gave up meanwhile is no reason to stop.
        if (errno == ECONNABORTED || errno == EINTR) continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            return {-1, true};
        ++i;
    }
    return {-1, false};
}

}  // namespace spoke::broker
