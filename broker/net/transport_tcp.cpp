#include "broker/net/transport_tcp.hpp"

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

}  // namespace spoke::broker
