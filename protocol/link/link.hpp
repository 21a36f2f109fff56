#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/time.hpp"
#include "protocol/client/client_machine.hpp"
#include "protocol/link/reconnect_policy.hpp"
#include "protocol/link/tls_context.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::mqtt {

/// What the links of one io_context share: buffers for reading and writing, random numbers.
/// Outlives its links, and must not outlive the io_context.
/// Thread  the one that runs the io_context.
class LinkHub {
public:
    /// In  `seed`: of the jitter; the same seed gives the same delays.
    LinkHub(boost::asio::io_context& context, std::uint64_t seed);
    LinkHub(LinkHub const&) = delete;
    LinkHub& operator=(LinkHub const&) = delete;
    ~LinkHub();

private:
    friend class Link;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Where links go and how they behave. One object for many links: they keep the pointer.
struct LinkOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 1883;
    std::shared_ptr<TlsContext const> tls{};            // null: plain TCP
    std::string bind_address{};                         // local address to connect from; empty: any
    std::chrono::milliseconds connect_timeout{10'000};  // name, TCP and TLS together
    std::chrono::milliseconds stop_timeout{2'000};      // for the last bytes after stop()
    ReconnectOptions reconnect{};
    ClientOptions client{};
};

enum class LinkState : std::uint8_t {
    idle,        // start() was not called
    connecting,  // name, TCP, TLS, CONNECT
    connected,   // CONNACK success
    waiting,     // for the next attempt
    stopping,    // stop() was called, last bytes are leaving
    stopped,     // for good, until start()
};

/// "connecting", "waiting": for logs.
[[nodiscard]] std::string_view name_of(LinkState state) noexcept;

/// A change of state. The view lives for the call.
struct LinkStatus {
    LinkState state = LinkState::idle;
    std::string_view why{};  // "127.0.0.1:1883: connection refused"; empty if all is well
    std::chrono::milliseconds retry_in{};  // waiting: until the next attempt
};

/// What a link tells its owner: the machine's events, and these. Every function may call any
/// function of the link and may destroy it.
class LinkObserver : public ClientEvents {
public:
    /// The CONNECT of the next connection; asked for each anew, so that a will can change. The one
    /// function which must not call the link.
    [[nodiscard]] virtual Connect make_connect() = 0;

    /// The link's state changed. connected: before on_connected(). waiting, stopped: after
    /// on_closed() (which does not come if the transport was never up).
    virtual void on_link(LinkStatus const& status);
};

/// How cut() ends the connection. `silent`: the server is not told, as when a device leaves its
/// network; the socket is kept for three minutes, so that not even the kernel tells it.
enum class Cut : std::uint8_t { fin, rst, silent };

/// Drives one ClientMachine over TCP or TLS and keeps it connected: resolves, connects, pumps
/// bytes, keeps the time, reconnects with jitter until stop().
/// Memory  an idle link owns no buffers.
/// Thread  the one that runs the hub's io_context. Events come from there or out of the call that
///         causes them.
class Link {
public:
    /// In  `observer` outlives the link.
    Link(LinkHub& hub, std::shared_ptr<LinkOptions const> options, LinkObserver& observer);
    Link(Link&&) noexcept;
    Link& operator=(Link&&) noexcept;
    /// Closes at once, without DISCONNECT and without any event.
    ~Link();

    /// Connects, after `delay` (a ramp of many links). Ignored unless idle or stopped.
    void start(std::chrono::milliseconds delay = {});

    /// Says DISCONNECT if connected, closes and never reconnects. Publishes without an outcome end
    /// as not_sent (abandoned) or unknown. LinkState::stopped follows, perhaps at once.
    void stop(Disconnect const& packet = {});

    /// As the functions of ClientMachine, with the time of the call.
    void publish(Publish const& packet, PublishOptions const& options);
    void subscribe(Subscribe const& packet, RequestToken token);
    void unsubscribe(Unsubscribe const& packet, RequestToken token);
    bool acknowledge(AckToken token, ReasonCode reason = ReasonCode::success);
    void authenticate(Auth const& packet);

    /// Ends the connection as a network failure would: no DISCONNECT. The link reconnects by its
    /// policy.
    void cut(Cut how = Cut::fin);

    /// Stops or goes on reading the socket: a half-open peer, for fault tests.
    void hold_reading(bool hold);

    [[nodiscard]] LinkState state() const noexcept;
    [[nodiscard]] ClientMachine const& machine() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace spoke::mqtt
