#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "device-sim/load/client_tls.hpp"
#include "device-sim/load/inbound.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/connack.hpp"
#include "protocol/packet/connect.hpp"
#include "protocol/packet/suback.hpp"

namespace spoke::sim::load {

class Client;
class Reactor;

/// What a client tells its owner. Calls come from within a turn; the owner may write to, subscribe
/// with or close any client from them, and destroys none.
class ClientEvents {
public:
    virtual void on_up(Client& client, mqtt::ConnAck const& answer) = 0;
    virtual void on_suback(Client& client, mqtt::SubAck const& answer) = 0;
    virtual void on_delivery(Client& client, Delivery const& delivery) = 0;
    /// A message of ours is done: PUBACK, PUBCOMP, or PUBREC with an error.
    virtual void on_acknowledged(Client& client, Acknowledgement const& acknowledgement) = 0;
    /// Not called for a close of our own.
    virtual void on_closed(Client& client, std::string_view why) = 0;

protected:
    ~ClientEvents() = default;
};

/// Where a client connects to and from.
struct Route {
    sockaddr_storage target{};
    socklen_t target_size = 0;
    std::uint32_t source = 0;        // 127.0.0.(1 + source); 0: as the kernel likes
    ClientTls const* tls = nullptr;  // null: in the clear
};

/// One MQTT connection of the load generator: opening -> greeting -> up -> closed. Acknowledges by
/// itself what is delivered to it. Idle, it owns no buffers. Belongs to the thread of its reactor,
/// which outlives it, as its events do.
class Client {
public:
    enum class State : std::uint8_t { opening, greeting, up, closed };

    /// `tag` is the owner's own number for it.
    Client(Reactor& reactor, ClientEvents& events, std::uint32_t tag);
    ~Client();
    Client(Client const&) = delete;
    Client& operator=(Client const&) = delete;

    /// Begins to connect. Errors: errno, 0 if the connection is under way.
    [[nodiscard]] int open(Route const& route, mqtt::Connect const& connect);

    /// Bytes to be sent at the end of the turn; append whole packets, then call `touch`.
    [[nodiscard]] Buffer& outbound() noexcept { return outbound_; }
    void touch();

    /// Whether the socket did not take all that was written last time.
    [[nodiscard]] bool is_blocked() const noexcept { return watching_writable_; }

    /// Says DISCONNECT, writes what it can, and closes.
    void leave();

    /// Its TLS session is an earlier one resumed.
    [[nodiscard]] bool is_resumed() const { return tls_ && tls_->is_resumed(); }
    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] std::uint32_t tag() const noexcept { return tag_; }
    [[nodiscard]] mqtt::Version version() const noexcept { return version_; }
    /// When `open` was called, then when it was last flushed.
    [[nodiscard]] SteadyTime last_written() const noexcept { return last_written_; }

    /// For the reactor.
    void on_ready(std::uint32_t epoll_events);
    void flush();

private:
    void on_connected();
    void on_readable();
    [[nodiscard]] ssize_t send_some(Bytes bytes);
    [[nodiscard]] ssize_t receive_some(std::span<std::byte> into);
    void take_packets(Bytes input);
    bool take(Frame const& frame);
    bool take_delivery(Frame const& frame);
    bool take_acknowledgement(Frame const& frame);
    bool take_rare(Frame const& frame);
    void answer(mqtt::PacketType type, mqtt::PacketId id);
    void fail(std::string_view why);
    void close_socket() noexcept;
    [[nodiscard]] bool is_closed() const noexcept { return state_ == State::closed; }

    Reactor& reactor_;
    ClientEvents& events_;
    int socket_ = -1;
    std::optional<ClientTlsStream> tls_;
    std::uint32_t tag_;
    mqtt::Version version_ = mqtt::Version::v3_1_1;
    State state_ = State::closed;
    bool watching_writable_ = false;
    bool touched_ = false;
    SteadyTime last_written_{};
    std::size_t written_ = 0;  // of outbound_
    Buffer outbound_;
    Buffer partial_;  // the beginning of a packet whose rest has not come
};

}  // namespace spoke::sim::load
