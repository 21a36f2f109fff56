#include "device-sim/load/client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "device-sim/load/reactor.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::sim::load {
namespace {

void set_option(int socket, int level, int name) {
    int const on = 1;
    ::setsockopt(socket, level, name, &on, sizeof on);
}

int bind_source(int socket, std::uint32_t source) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source);
    set_option(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    return ::bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address);
}

}  // namespace

Client::Client(Reactor& reactor, ClientEvents& events, std::uint32_t tag)
    : reactor_{reactor}, events_{events}, tag_{tag} {}

Client::~Client() {
    close_socket();
}

int Client::open(Route const& route, mqtt::Connect const& connect) {
    socket_ = ::socket(route.target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return errno;
    set_option(socket_, IPPROTO_TCP, TCP_NODELAY);
    auto const* target = reinterpret_cast<sockaddr const*>(&route.target);
    if ((route.source != 0 && bind_source(socket_, route.source) != 0) ||
        (::connect(socket_, target, route.target_size) != 0 && errno != EINPROGRESS)) {
        auto error = errno;
        close_socket();
        return error;
    }
    if (route.tls != nullptr) tls_.emplace(*route.tls, socket_);
    version_ = connect.version;
    state_ = State::opening;
    mqtt::encode(connect, outbound_);
    watching_writable_ = true;
    reactor_.add(socket_, *this, true);
    last_written_ = reactor_.now();
    return 0;
}

void Client::touch() {
    if (touched_ || is_closed()) return;
    touched_ = true;
    reactor_.flush_at_turn_end(*this);
}

void Client::leave() {
    if (is_closed()) return;
    if (state_ == State::up) {
        mqtt::encode(mqtt::Disconnect{}, version_, outbound_);
        auto left = Bytes{outbound_}.subspan(written_);
        // A peer that does not read gets no farewell.
        std::ignore = send_some(left);
    }
    close_socket();
}

void Client::on_ready(std::uint32_t epoll_events) {
    if (is_closed()) return;
    reactor_.read_clock();
    if (state_ == State::opening) {
        on_connected();
    } else if ((epoll_events & EPOLLOUT) != 0) {
        touch();
    }
    if (!is_closed() && (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable();
}

void Client::on_connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(std::strerror(error));
    state_ = State::greeting;
    touch();
}

void Client::flush() {
    touched_ = false;
    if (is_closed()) return;
    while (written_ < outbound_.size()) {
        auto count = send_some(Bytes{outbound_}.subspan(written_));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) return fail(std::strerror(errno));
        written_ += static_cast<std::size_t>(count);
    }
    last_written_ = reactor_.now();
    auto is_done = written_ == outbound_.size();
    if (is_done) {
        outbound_.clear();
        written_ = 0;
    }
    auto waits_for_room = !is_done && !(tls_ && tls_->awaits_input());
    if (watching_writable_ != waits_for_room) {
        watching_writable_ = waits_for_room;
        reactor_.change(socket_, *this, watching_writable_);
    }
}

ssize_t Client::send_some(Bytes bytes) {
    if (tls_) return tls_->send(bytes);
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

ssize_t Client::receive_some(std::span<std::byte> into) {
    if (tls_) return tls_->receive(into);
    return ::recv(socket_, into.data(), into.size(), 0);
}

void Client::on_readable() {
    if (tls_ && written_ < outbound_.size()) touch();  // the handshake may have gone on
    auto& inbound = reactor_.inbound();
    for (bool is_full = true; is_full && !is_closed();) {
        auto held = partial_.size();
        if (held > inbound.size() / 2) inbound.resize(inbound.size() * 2);
        if (held != 0) std::memcpy(inbound.data(), partial_.data(), held);
        auto room = inbound.size() - held;
        auto count = receive_some(std::span{inbound}.subspan(held));
        if (count == 0) return fail("the broker closed the connection");
        if (count < 0) {
            if (errno != EAGAIN && errno != EINTR) fail(std::strerror(errno));
            return;
        }
        // A full buffer may leave something inside the TLS layer, for which no event comes.
        is_full = tls_ && static_cast<std::size_t>(count) == room;
        take_packets(Bytes{inbound}.first(held + static_cast<std::size_t>(count)));
    }
}

void Client::take_packets(Bytes input) {
    Frame frame;
    for (;;) {
        auto cut = cut_frame(input, frame);
        if (cut == Cut::more_needed) break;
        if (cut == Cut::malformed || !take(frame)) {
            if (!is_closed()) fail("the broker sent bytes that are no packet");
            return;
        }
        if (is_closed()) return;
        input = input.subspan(frame.bytes.size());
    }
    partial_.assign(input.begin(), input.end());
}

bool Client::take(Frame const& frame) {
    switch (frame.type()) {
        case mqtt::PacketType::publish:
            return take_delivery(frame);
        case mqtt::PacketType::puback:
        case mqtt::PacketType::pubrec:
        case mqtt::PacketType::pubrel:
        case mqtt::PacketType::pubcomp:
            return take_acknowledgement(frame);
        case mqtt::PacketType::connect:
        case mqtt::PacketType::connack:
        case mqtt::PacketType::subscribe:
        case mqtt::PacketType::suback:
        case mqtt::PacketType::unsubscribe:
        case mqtt::PacketType::unsuback:
        case mqtt::PacketType::pingreq:
        case mqtt::PacketType::pingresp:
        case mqtt::PacketType::disconnect:
        case mqtt::PacketType::auth:
            return take_rare(frame);
    }
    return false;
}

bool Client::take_delivery(Frame const& frame) {
    auto delivery = read_delivery(frame, version_);
    if (!delivery) return false;
    if (delivery->qos == mqtt::Qos::at_least_once) answer(mqtt::PacketType::puback, delivery->id);
    if (delivery->qos == mqtt::Qos::exactly_once) answer(mqtt::PacketType::pubrec, delivery->id);
    events_.on_delivery(*this, *delivery);
    return true;
}

bool Client::take_acknowledgement(Frame const& frame) {
    auto acknowledgement = read_acknowledgement(frame);
    if (!acknowledgement) return false;
    if (frame.type() == mqtt::PacketType::pubrel) {
        answer(mqtt::PacketType::pubcomp, acknowledgement->id);
    } else if (frame.type() == mqtt::PacketType::pubrec && !acknowledgement->is_error()) {
        answer(mqtt::PacketType::pubrel, acknowledgement->id);
    } else {
        events_.on_acknowledged(*this, *acknowledgement);
    }
    return true;
}

bool Client::take_rare(Frame const& frame) {
    auto packet = mqtt::decode(frame.bytes, version_, mqtt::Sender::server);
    if (!packet) return false;
    if (auto const* connack = std::get_if<mqtt::ConnAck>(&*packet)) {
        if (is_error(connack->reason)) {
            fail(fmt::format("refused: {}", name_of(connack->reason)));
            return true;
        }
        state_ = State::up;
        events_.on_up(*this, *connack);
    } else if (auto const* suback = std::get_if<mqtt::SubAck>(&*packet)) {
        events_.on_suback(*this, *suback);
    } else if (auto const* disconnect = std::get_if<mqtt::Disconnect>(&*packet)) {
        fail(fmt::format("the broker says: {}", name_of(disconnect->reason)));
    }
    return true;
}

void Client::answer(mqtt::PacketType type, mqtt::PacketId id) {
    append_acknowledgement(type, id, outbound_);
    touch();
}

void Client::fail(std::string_view why) {
    close_socket();
    events_.on_closed(*this, why);
}

void Client::close_socket() noexcept {
    tls_.reset();
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
    state_ = State::closed;
}

}  // namespace spoke::sim::load
