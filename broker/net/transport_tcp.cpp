#include "broker/net/transport_tcp.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace spoke::broker {

namespace {

IoResult result_of(ssize_t size) noexcept {
    if (size >= 0) return {IoResult::Status::done, static_cast<std::size_t>(size)};
    bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {later ? IoResult::Status::would_block : IoResult::Status::closed, 0};
}

/// `port`: in network order.
std::string v4_peer(in_addr const& address, std::uint16_t port) {
    char text[INET_ADDRSTRLEN] = "?";
    ::inet_ntop(AF_INET, &address, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(port));
}

std::string v6_peer(sockaddr_in6 const& address) {
    if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {  // who came by IPv4 to a socket for both
        in_addr v4{};
        std::memcpy(&v4, address.sin6_addr.s6_addr + 12, sizeof v4);
        return v4_peer(v4, address.sin6_port);
    }
    char text[INET6_ADDRSTRLEN] = "?";
    ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(address.sin6_port));
}

/// Its other end has no name, but a process.
std::string unix_peer(int descriptor) {
    ucred process{};
    socklen_t size = sizeof process;
    ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &process, &size);
    return fmt::format("unix:uid={},pid={}", process.uid, process.pid);
}

}  // namespace

TcpTransport::~TcpTransport() {
    ::close(descriptor_);
}

IoResult TcpTransport::read_some(std::span<std::byte> into) noexcept {
    ssize_t size = ::recv(descriptor_, into.data(), into.size(), 0);
    if (size == 0) return {IoResult::Status::closed, 0};
    return result_of(size);
}

IoResult TcpTransport::write_some(std::span<iovec const> pieces) noexcept {
    if (pieces.size() == 1) {  // cheaper in the kernel than a message header
        return result_of(::send(descriptor_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL));
    }
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    return result_of(::sendmsg(descriptor_, &message, MSG_NOSIGNAL));
}

void TcpTransport::shut_down_write() noexcept {
    ::shutdown(descriptor_, SHUT_WR);
}

std::string TcpTransport::peer() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return "(gone)";
    }
    switch (address.ss_family) {
        case AF_UNIX:
            return unix_peer(descriptor_);
        case AF_INET6:
            return v6_peer(reinterpret_cast<sockaddr_in6 const&>(address));
        default:
            auto const& v4 = reinterpret_cast<sockaddr_in const&>(address);
            return v4_peer(v4.sin_addr, v4.sin_port);
    }
}

}  // namespace spoke::broker
