#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "protocol/link/dialer.hpp"
#include "protocol/link/link.hpp"
#include "protocol/link/reconnect_policy.hpp"
#include "protocol/link/stream.hpp"

namespace spoke::mqtt {

struct LinkHub::Impl {
    Impl(boost::asio::io_context& io, std::uint64_t seed);

    /// Keeps a socket open that nobody uses any more, and closes those kept long enough.
    void abandon(Socket socket);

    boost::asio::io_context& context;
    Resolver resolver;
    std::mt19937_64 random;
    Buffer input;                                         // what is read right now, by any link
    Buffer output;                                        // what is written right now, by any link
    std::deque<std::pair<SteadyTime, Socket>> abandoned;  // since when
};

/// A link's life. Phases of one connection:
///   none -> dialing -> open -> leaving (last bytes go out, the server's end is awaited) -> none
/// The observer may call the link out of any event, and destroy it: handlers hold a shared_ptr,
/// `observer_` is null from then on, and a connection ends in settle() only, when no call into the
/// machine is on the stack.
struct Link::Impl final : ClientEvents, std::enable_shared_from_this<Link::Impl> {
    Impl(LinkHub::Impl& hub, std::shared_ptr<LinkOptions const> options, LinkObserver& observer);

    void start(std::chrono::milliseconds delay);
    void stop(Disconnect const& packet);
    void detach() noexcept;
    void cut(Cut how);
    void hold_reading(bool hold) noexcept { reading_held_ = hold; }

    /// Runs `action` and then does what the machine's new state asks for.
    template <class Action>
    void enter(Action const& action) {
        auto self = shared_from_this();
        ++busy_;
        action();
        if (--busy_ == 0) settle();
    }

    void on_connected(ConnAck const& packet) override;
    Acknowledge on_message(ReceivedMessage const& message) override;
    void on_published(PublishToken token, PublishOutcome const& outcome) override;
    void on_subscribed(RequestToken token, SubAck const& packet) override;
    void on_unsubscribed(RequestToken token, UnsubAck const& packet) override;
    void on_request_failed(RequestToken token, RequestFailure why) override;
    void on_auth(Auth const& packet) override;
    void on_closed(Closed const& closed) override;

    [[nodiscard]] LinkState state() const noexcept { return state_; }
    [[nodiscard]] ClientMachine& machine() noexcept { return machine_; }

private:
    enum class Phase : std::uint8_t { none, dialing, open, leaving };
    using Timer = boost::asio::basic_waitable_timer<
        std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

    void dial();
    void on_dialed(std::string const& error, Socket socket, Stream stream);
    void wait_readable();
    void wait_writable();
    void read_on();
    [[nodiscard]] bool read_once();
    [[nodiscard]] bool may_read() const noexcept;
    void schedule_flush();
    void flush();
    [[nodiscard]] bool write(Bytes bytes);
    [[nodiscard]] bool write_pending();
    void transport_failed(std::string_view why);

    void settle();
    void begin_leaving();
    void close_socket() noexcept;
    void connection_over();
    void give_up_dialing(std::string_view why);
    void become_stopped();
    void set_state(LinkState state, std::string_view why = {},
                   std::chrono::milliseconds retry_in = {});
    [[nodiscard]] std::string at_server(std::string_view what) const;

    void arm_timer();
    void on_timer();

    LinkHub::Impl& hub_;  // outlives its links
    std::shared_ptr<LinkOptions const> options_;
    ClientMachine machine_;
    LinkObserver* observer_;  // null once the Link is gone
    std::shared_ptr<Dialer> dialer_;
    Socket socket_;
    Stream stream_;
    Timer timer_;
    Buffer pending_;  // taken from the machine, not yet written: the socket was full
    std::string why_;
    SteadyTime due_ = SteadyTime::max();  // end of dialing, leaving or waiting, by phase_
    SteadyTime timer_at_ = SteadyTime::max();
    ReconnectPolicy policy_;
    std::uint32_t connection_ = 0;  // handlers of earlier ones are stale
    LinkState state_ = LinkState::idle;
    Phase phase_ = Phase::none;
    std::uint8_t busy_ = 0;  // calls on the stack
    bool stopping_ = false;
    bool broken_ = false;        // the transport has failed or ended
    bool says_goodbye_ = false;  // DISCONNECT is among the last bytes
    bool half_closed_ = false;   // the last bytes are written
    bool waits_readable_ = false;
    bool waits_writable_ = false;
    bool write_wants_read_ = false;  // TLS
    bool flush_scheduled_ = false;
    bool reading_held_ = false;
};

}  // namespace spoke::mqtt
