#include "tests/unit/broker/net/socket_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::test {

namespace {

constexpr timeval kDeadline{30, 0};

[[noreturn]] void fail(char const* what) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

sockaddr_in loopback(std::uint16_t port) noexcept {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

}  // namespace

SocketClient::SocketClient(std::uint16_t port, Options options)
    : SocketClient(loopback(port), options) {}

SocketClient::SocketClient(sockaddr const& address, socklen_t size, Options options)
    : socket_(::socket(address.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (socket_ < 0) fail("socket");
    int on = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kDeadline, sizeof kDeadline);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kDeadline, sizeof kDeadline);
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.receive_buffer > 0) {
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer,
                     sizeof options.receive_buffer);
    }
    if (::connect(socket_, &address, size) != 0) {
        int error = errno;
        ::close(std::exchange(socket_, -1));
        errno = error;
        fail("connect");
    }
}

SocketClient::~SocketClient() {
    close();
}

SocketClient::SocketClient(SocketClient&& other) noexcept
    : stream_(std::move(other.stream_)),
      socket_(std::exchange(other.socket_, -1)),
      version_(other.version_),
      input_(std::move(other.input_)),
      done_(other.done_) {}

SocketClient& SocketClient::operator=(SocketClient&& other) noexcept {
    std::swap(stream_, other.stream_);
    std::swap(socket_, other.socket_);
    std::swap(version_, other.version_);
    std::swap(input_, other.input_);
    std::swap(done_, other.done_);
    other.close();
    return *this;
}

void SocketClient::close() noexcept {
    stream_.reset();
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

SocketClient& SocketClient::sends(ConnectBuilder const& connect) {
    version_ = connect.packet().version;
    Buffer bytes;
    mqtt::encode(connect.packet(), bytes);
    return sends_bytes(bytes);
}

Buffer SocketClient::encoded(mqtt::Packet const& packet) const {
    Buffer bytes;
    mqtt::encode(packet, version_, bytes);
    return bytes;
}

SocketClient& SocketClient::sends_bytes(Bytes bytes) {
    write(bytes);
    return *this;
}

void SocketClient::write(Bytes bytes) {
    while (!bytes.empty()) {
        auto size = send_some(bytes);
        if (size < 0) fail("send");
        bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
}

std::size_t SocketClient::read(std::span<std::byte> into) {
    auto size = receive_some(into);
    if (size < 0) fail("recv");
    return static_cast<std::size_t>(size);
}

SocketClient& SocketClient::sends_one_by_one(Bytes bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) sends_bytes(bytes.subspan(i, 1));
    return *this;
}

SocketClient& SocketClient::shuts_down_write() {
    ::shutdown(socket_, SHUT_WR);
    return *this;
}

ssize_t SocketClient::send_some(Bytes bytes) {
    if (stream_) return stream_->send(bytes);
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

ssize_t SocketClient::receive_some(std::span<std::byte> into) {
    if (stream_) return stream_->receive(into);
    return ::recv(socket_, into.data(), into.size(), 0);
}

std::optional<mqtt::Packet> SocketClient::next() {
    for (;;) {
        Bytes rest = Bytes{input_}.subspan(done_);
        auto header = mqtt::read_fixed_header(rest, mqtt::kVariableByteIntegerMax + 5);
        if (!header) throw std::runtime_error("what came is not MQTT");
        if (*header && (*header)->packet_size() <= rest.size()) {
            auto frame = rest.first((*header)->packet_size());
            auto packet = mqtt::decode(frame, version_, mqtt::Sender::server);
            if (!packet) {
                throw std::runtime_error(
                    fmt::format("a packet came that breaks {}", packet.error().rule));
            }
            done_ += frame.size();
            return std::move(*packet);
        }
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(done_));
        done_ = 0;
        Buffer more(64 * 1024);
        more.resize(read(more));
        if (more.empty()) return std::nullopt;
        input_.insert(input_.end(), more.begin(), more.end());
    }
}

mqtt::Packet SocketClient::takes_any() {
    auto packet = next();
    if (!packet) throw std::runtime_error("the stream ended where a packet was expected");
    return std::move(*packet);
}

SocketClient& SocketClient::expects(Expected const& expected) {
    auto packet = next();
    if (!packet) throw std::runtime_error("expected " + expected.text + ", the stream ended");
    if (!expected.matches(*packet)) wrong(expected.text, *packet);
    return *this;
}

void SocketClient::wrong(std::string const& expected, mqtt::Packet const& packet) {
    throw std::runtime_error("expected " + expected + ", got " + describe(packet));
}

SocketClient& SocketClient::ends() {
    if (auto packet = next()) wrong("the end of the stream", *packet);
    return *this;
}

std::string SocketClient::takes_text() {
    std::string text;
    Buffer some(4096);
    try {
        while (auto size = read(some)) text += as_text(Bytes{some}.first(size));
    } catch (std::runtime_error const&) {
        if (errno != ECONNRESET) throw;
    }
    return text;
}

std::deque<mqtt::Packet> SocketClient::takes_until_end() {
    std::deque<mqtt::Packet> packets;
    try {
        while (auto packet = next()) packets.push_back(std::move(*packet));
    } catch (std::runtime_error const&) {
        if (errno != ECONNRESET) throw;
    }
    return packets;
}

}  // namespace spoke::test
