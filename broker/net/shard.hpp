#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/core/arena.hpp"
#include "broker/core/reclaimer.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/net/connection.hpp"
#include "broker/net/listener.hpp"
#include "broker/net/mailbox.hpp"
#include "broker/net/poller.hpp"
#include "broker/net/settings.hpp"

namespace spoke::broker {

/// What all shards share beside the core's structures.
class Neighbours {
public:
    virtual ~Neighbours() = default;
    /// The queue from shard `from` to shard `to`.
    virtual Mailbox& mailbox(std::uint8_t from, std::uint8_t to) = 0;
    virtual void wake(std::uint8_t shard) = 0;
    /// Bytes queued in all shards.
    [[nodiscard]] virtual std::uint64_t queued_bytes() const noexcept = 0;
};

/// One thread's share of the broker: its connections, its core, its memory. A turn of its loop:
/// what is ready is read and handled, mail from other shards is taken, timers fire; then every
/// touched connection is written by one gathered write, and mail goes out with one wake-up per
/// target.
class Shard final : public ShardPort {
public:
    struct Wiring {
        Neighbours& neighbours;
        Reclaimer& reclaimer;
        SubscriptionIndex& subscriptions;
        RetainedMessages& retained;
        std::span<KeptSessions> kept;
        Store& store;
        ClusterBus& bus;
        std::vector<std::unique_ptr<Listener>> const& listeners;
        std::uint64_t memory_watermark_bytes;
    };
    Shard(NetSettings const& settings, CoreSettings const& core_settings, Wiring const& wiring,
          std::uint8_t index, std::uint64_t seed);
    ~Shard() override;

    /// Runs the loop on the calling thread until stop().
    void run();
    /// Any thread: makes the loop take its mail.
    void wake() noexcept;

    // In the shard's thread
    void on_connection_ready(Connection& connection, std::uint32_t events);
    void accept_from(Listener& listener);
    void on_woken() noexcept;
    /// Tells clients, writes what can be written, ends run() when all connections are closed or
    /// `time` is over.
    void shut_down(std::chrono::milliseconds time);

    [[nodiscard]] Counters const& counters() const noexcept { return core_.counters(); }
    /// Before run() and after it has returned.
    [[nodiscard]] ShardCore& core() noexcept { return core_; }
    /// After run(): ends the connections that are left.
    void close_all();

    // ShardPort
    void flush_touched() override;
    [[nodiscard]] Authenticator::Done when_authenticated(AuthTicket ticket) override;
    [[nodiscard]] bool logs(LogLevel level) const override;
    void log(LogLevel level, std::string const& line) override;
    [[nodiscard]] std::string peer_of(Link const& link) const override;

private:
    struct ListenerWatch;
    struct WakeWatch;

    // loop
    void wait();
    /// One turn; whether anything was ready.
    bool turn();
    void end_turn();
    void arm_timer();
    void take_mail();
    void send_mail();

    // opening: layers above TCP make their handshakes
    [[nodiscard]] ListenerWatch& watch_of(Listener const& listener);
    void end_opening(Connection& connection, bool success);
    /// The connection is among those that have sent no CONNECT yet; the oldest makes room for it.
    void start_pending(Connection& connection, ListenerWatch& watch);
    void end_pending(Connection& connection) noexcept;
    void log_failure(Connection const& connection, std::string const& why);

    // reading
    void on_ready(Connection& connection, std::uint32_t events);
    void read_again();
    /// After reading: what the transport asks for beside that.
    void settle(Connection& connection);
    /// Has it read again if its transport holds input.
    void note_input(Connection& connection);
    /// The transport gave up, and has told the peer.
    void fail(Connection& connection);
    void read(Connection& connection);
    /// Puts a packet together that is too large for the input arena.
    IoResult read_large(Connection& connection, std::size_t packet_size);
    /// Handles the whole packets of what was read and keeps the rest; false if the connection is
    /// not to be read further.
    bool handle_input(Connection& connection, std::span<std::byte> bytes);
    /// Gives how many bytes are done with, or nothing if the connection has left this shard.
    std::optional<std::size_t> handle_packets(Connection& connection, std::span<std::byte> bytes);
    /// False if the connection has left this shard.
    bool handle_first(Connection& connection, Bytes frame, std::span<std::byte const> behind);
    void discard_input(Connection& connection);
    void pause_if_too_much(Connection& connection);
    void resume_paused();
    void move_away(Connection& connection, CheckedConnect connect,
                   std::span<std::byte const> unread);
    void adopt(MovedConnection moved);
    /// Opens the session of a connection that has shown who it is, and handles what it sent ahead.
    void welcome(Connection& connection, CheckedConnect connect, Bytes unread);
    void handle_unread(Connection& connection, Bytes unread);
    void on_authenticated(AuthTicket ticket, AuthVerdict verdict);
    /// What the store has to tell.
    void take_store_news();

    // writing
    void flush(Connection& connection);
    void finish(Connection& connection);
    void account(Connection& connection);
    void watch(Connection& connection);
    /// The network connection is gone: tells the core, frees it at the end of the turn.
    void lose(Connection& connection);
    void process_touched();
    void flush_and_finish();
    void stop_accepting() noexcept;
    void stop_accepting(ListenerWatch& watch) noexcept;
    void start_accepting();
    [[nodiscard]] Mail& mail_for(std::uint8_t shard);
    void run_turns();

    void add(std::unique_ptr<Connection> connection);
    [[nodiscard]] std::unique_ptr<Connection> take_out(Connection& connection);

    NetSettings const& settings_;
    Wiring wiring_;
    std::uint8_t index_;
    std::uint8_t count_;
    boost::asio::io_context io_{1};
    Poller poller_;
    boost::asio::posix::stream_descriptor poller_in_asio_{io_};
    boost::asio::steady_timer timer_{io_};
    SteadyTime timer_at_ = SteadyTime::max();
    int wake_descriptor_;
    std::atomic<bool> woken_{false};
    std::unique_ptr<WakeWatch> wake_watch_;
    std::vector<std::unique_ptr<ListenerWatch>> listener_watches_;
    Arena input_;
    ShardCore core_;
    Now now_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<std::unique_ptr<Connection>> dead_;
    std::vector<Connection*> paused_;
    std::vector<Connection*> reading_again_;      // their transports hold input
    std::vector<Connection*> reading_now_;        // scratch
    std::chrono::nanoseconds handshake_time_{0};  // spent in this turn
    SteadyTime failures_logged_at_{};
    std::uint32_t failures_logged_ = 0;      // since then
    std::uint64_t failures_not_logged_ = 0;  // since then
    std::vector<std::unique_ptr<Mail>> outgoing_;
    bool stopping_ = false;
    SteadyTime stop_at_ = SteadyTime::max();
    bool accepting_paused_ = false;
    SteadyTime accept_again_{};
};

}  // namespace spoke::broker
