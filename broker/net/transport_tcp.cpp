#include "broker/net/transport_tcp.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace spoke::broker {

namespace {

IoResult result_of(ssize_t size) noexcept {
    if (size >= 0) return {IoResult::Status::done, static_cast<std::size_t>(size)};
    bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {later ? IoResult::Status::would_block : IoResult::Status::closed, 0};
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
    char text[INET6_ADDRSTRLEN] = "?";
    if (address.ss_family == AF_INET) {
        auto const& v4 = reinterpret_cast<sockaddr_in const&>(address);
        ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return fmt::format("{}:{}", text, ntohs(v4.sin_port));
    }
    auto const& v6 = reinterpret_cast<sockaddr_in6 const&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

}  // namespace spoke::broker
