#include "broker/net/shard.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <list>
#include <system_error>
#include <utility>

#include "broker/net/log_line.hpp"

#include "broker/net/make_transport.hpp"

namespace spoke::broker {

namespace {

/// Memory for what one turn reads; several connections share it.
constexpr std::size_t kInputSize = 512 * 1024;
/// Turns one after the other before Asio gets to run what else was posted.
constexpr int kTurnsMax = 64;
/// How often paused connections are looked after, the shard having nothing else to do.
constexpr std::chrono::milliseconds kPausedCheck{20};
/// What handshakes may take of one turn: traffic waits no longer than that and one of them.
constexpr std::chrono::milliseconds kHandshakeTimePerTurn{2};
/// Lines about failed handshakes in a second; what is more is counted.
constexpr std::uint32_t kFailureLinesMax = 10;

}  // namespace

struct Shard::ListenerWatch final : Pollable {
    ListenerWatch(Shard& owner, Listener& from) : shard(owner), listener(from) {}
    void on_ready(std::uint32_t) override { shard.accept_from(listener); }
    /// The shard's share of the handshakes that the listener may have at once is taken.
    [[nodiscard]] bool is_full() const noexcept {
        return opening >= std::max(1U, listener.settings().handshakes_max / shard.count_);
    }
    Shard& shard;
    Listener& listener;
    std::uint32_t opening = 0;         // connections in their handshakes
    std::list<Connection*> pending{};  // those without CONNECT, oldest first
    bool watched = false;
};

struct Shard::WakeWatch final : Pollable {
    explicit WakeWatch(Shard& owner) : shard(owner) {}
    void on_ready(std::uint32_t) override { shard.on_woken(); }
    Shard& shard;
};

Shard::Shard(NetSettings const& settings, CoreSettings const& core_settings, Wiring const& wiring,
             std::uint8_t index, std::uint64_t seed)
    : settings_(settings),
      wiring_(wiring),
      index_(index),
      count_(settings.shards),
      wake_descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      wake_watch_(std::make_unique<WakeWatch>(*this)),
      input_(kInputSize),
      core_(core_settings,
            {wiring.subscriptions, wiring.retained, wiring.kept, wiring.store.of_shard(index),
             wiring.bus, *this, index, settings.shards, seed},
            read_clocks()),
      now_(read_clocks()),
      outgoing_(settings.shards) {
    if (wake_descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    poller_in_asio_.assign(poller_.descriptor());
    poller_.add(wake_descriptor_, *wake_watch_, EPOLLIN);
    for (auto const& listener : wiring_.listeners) {
        listener_watches_.push_back(std::make_unique<ListenerWatch>(*this, *listener));
    }
    start_accepting();
}

Shard::~Shard() {
    close_all();
    poller_in_asio_.release();
    ::close(wake_descriptor_);
}

void Shard::close_all() {
    for (auto& connection : connections_) core_.on_closed(*connection);
    connections_.clear();
    dead_.clear();
    core_.touched().clear();
    core_.submit();
}

void Shard::run() {
    wait();
    io_.run();
}

void Shard::wake() noexcept {
    if (woken_.exchange(true, std::memory_order_acq_rel)) return;
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(wake_descriptor_, &one, sizeof one);
}

void Shard::on_woken() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] auto size = ::read(wake_descriptor_, &count, sizeof count);
    woken_.store(
        false, std::memory_order_release);  // before the mail is taken, or a wake-up could be lost
}

// --- loop ---

void Shard::wait() {
    arm_timer();
    wiring_.reclaimer.offline(index_);
    poller_in_asio_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                               [this](boost::system::error_code error) {
                                   if (!error) run_turns();
                               });
}

void Shard::arm_timer() {
    auto next = now_.steady;
    if (!core_.has_work()) next += core_.until_next_timer();
    if (accepting_paused_) next = std::min(next, accept_again_);
    if (!reading_again_.empty()) next = now_.steady;
    // What they wait for may happen on other shards, which wake nobody for it.
    if (!paused_.empty()) next = std::min(next, now_.steady + kPausedCheck);
    next = std::min(next, stop_at_);
    if (next >= timer_at_) return;
    timer_at_ = next;
    timer_.expires_at(next);
    timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        timer_at_ = SteadyTime::max();
        wiring_.reclaimer.online(index_);
        turn();
        wiring_.reclaimer.offline(index_);
        arm_timer();
    });
}

void Shard::run_turns() {
    wiring_.reclaimer.online(index_);
    auto active_at = std::chrono::steady_clock::now();
    for (int turns = 0; turns < kTurnsMax;) {
        if (turn()) {
            ++turns;
            active_at = now_.steady;
            continue;
        }
        if (now_.steady - active_at >= settings_.busy_poll) return wait();
    }
    wiring_.reclaimer.offline(index_);
    boost::asio::post(io_, [this] { run_turns(); });
}

bool Shard::turn() {
    auto ready = poller_.ready();
    auto wall =
        std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    now_ = {std::chrono::steady_clock::now(), std::chrono::floor<std::chrono::milliseconds>(wall)};
    core_.begin_turn(now_, wall - now_.wall);
    if (!reading_again_.empty()) read_again();
    for (auto const& event : ready) {
        static_cast<Pollable*>(event.data.ptr)->on_ready(event.events);
    }
    take_mail();
    core_.submit();  // makes durable what is done with, so that its publishers hear of it now
    take_store_news();
    core_.on_timers();
    end_turn();
    return !ready.empty() || core_.has_work() || !reading_again_.empty();
}

void Shard::end_turn() {
    process_touched();
    input_.reset();
    core_.writer().arena().reset();
    dead_.clear();
    handshake_time_ = {};
    if (!paused_.empty()) resume_paused();
    if (accepting_paused_ && now_.steady >= accept_again_) start_accepting();
    core_.submit();  // before others can act upon it
    send_mail();
    wiring_.reclaimer.quiescent(index_);
    if (stopping_ && (connections_.empty() || now_.steady >= stop_at_)) io_.stop();
}

/// What is written may be worth telling, and that is to be written too.
void Shard::process_touched() {
    do {
        flush_and_finish();
    } while (core_.publish_news());
}

void Shard::flush_and_finish() {
    auto& touched = core_.touched();
    for (std::size_t i = 0; i < touched.size(); ++i) {  // grows while it is walked
        auto& connection = static_cast<Connection&>(*touched[i]);
        connection.touched = false;
        if (connection.dead) continue;
        flush(connection);
        if (connection.broken) {
            lose(connection);
        } else if (connection.state == LinkState::closing) {
            finish(connection);
        }
        if (connection.dead) continue;
        account(connection);
        watch(connection);
    }
    touched.clear();
}

void Shard::take_mail() {
    for (std::uint8_t from = 0; from < count_; ++from) {
        auto& mailbox = wiring_.neighbours.mailbox(from, index_);
        if (mailbox.empty()) continue;
        mailbox.take_all([this](Mail& mail) {
            core_.on_batch(mail.batch);
            for (auto& moved : mail.moved) adopt(std::move(moved));
            for (auto& task : mail.tasks) task();
        });
    }
}

Mail& Shard::mail_for(std::uint8_t shard) {
    if (!outgoing_[shard]) outgoing_[shard] = std::make_unique<Mail>();
    return *outgoing_[shard];
}

void Shard::send_mail() {
    for (std::uint8_t to = 0; to < count_; ++to) {
        if (auto& batch = core_.batch_for(to); !batch.empty()) std::swap(mail_for(to).batch, batch);
        if (!outgoing_[to]) continue;
        wiring_.neighbours.mailbox(index_, to).put(std::move(outgoing_[to]));
        wiring_.neighbours.wake(to);
    }
}

void Shard::shut_down(std::chrono::milliseconds time) {
    stopping_ = true;
    stop_at_ = now_.steady + time;
    stop_accepting();
    accepting_paused_ = false;
    core_.shut_down();
    // Backwards, since losing one takes it out of the list.
    for (std::size_t i = connections_.size(); i-- > 0;) {
        auto state = connections_[i]->state;
        if (state == LinkState::awaiting_connect || state == LinkState::authenticating)
            lose(*connections_[i]);
    }
}

// --- accepting ---

void Shard::start_accepting() {
    accepting_paused_ = false;
    for (auto const& watch : listener_watches_) {
        if (watch->watched || watch->is_full()) continue;
        for (auto const& socket : watch->listener.sockets_of(index_)) {
            poller_.add(socket.descriptor(), *watch, EPOLLIN | EPOLLEXCLUSIVE);
        }
        watch->watched = true;
    }
}

void Shard::stop_accepting() noexcept {
    for (auto const& watch : listener_watches_) stop_accepting(*watch);
}

void Shard::stop_accepting(ListenerWatch& watch) noexcept {
    if (!watch.watched) return;
    for (auto const& socket : watch.listener.sockets_of(index_)) {
        poller_.remove(socket.descriptor());
    }
    watch.watched = false;
}

void Shard::accept_from(Listener& listener) {
    constexpr int kAtOnce = 64;
    for (int i = 0; i < kAtOnce && !stopping_; ++i) {
        auto accepted = listener.accept(index_);
        if (accepted.out_of_descriptors) {
            spdlog::error("{}: out of file descriptors; accepting again in a second",
                          listener.name());
            stop_accepting();
            accepting_paused_ = true;
            accept_again_ = now_.steady + std::chrono::seconds{1};
            return;
        }
        if (accepted.descriptor < 0) return;
        auto transport = make_transport(listener, accepted.descriptor);
        if (listener.is_full()) {
            spdlog::warn("{}: connection refused, connections_max of {} is reached",
                         listener.name(), listener.settings().connections_max);
            continue;
        }
        auto connection = std::make_unique<Connection>(std::move(transport), listener);
        core_.on_accepted(*connection, listener.settings().link);
        bool opens = !connection->transport->is_open();
        connection->opening = opens;
        auto& watch = watch_of(listener);
        start_pending(*connection, watch);
        add(std::move(connection));
        if (!opens) continue;
        ++watch.opening;
        if (!watch.is_full()) continue;
        stop_accepting(watch);
        return;
    }
}

void Shard::start_pending(Connection& connection, ListenerWatch& watch) {
    auto room = std::max(1U, watch.listener.settings().pending_max / count_);
    if (watch.pending.size() >= room) {
        auto& oldest = *watch.pending.front();
        log_failure(oldest, "closed before CONNECT, as pending_max is reached");
        core_.counters().pending_closed.add();
        lose(oldest);
    }
    connection.pending = watch.pending.insert(watch.pending.end(), &connection);
    connection.is_pending = true;
}

void Shard::end_pending(Connection& connection) noexcept {
    if (!connection.is_pending) return;
    connection.is_pending = false;
    watch_of(connection.listener).pending.erase(connection.pending);
}

Shard::ListenerWatch& Shard::watch_of(Listener const& listener) {
    return **std::ranges::find(listener_watches_, &listener,
                               [](auto const& watch) { return &watch->listener; });
}

void Shard::end_opening(Connection& connection, bool success) {
    if (!connection.opening) return;
    connection.opening = false;
    auto& counters = core_.counters();
    (success ? counters.handshakes : counters.handshakes_failed).add();
    auto& watch = watch_of(connection.listener);
    --watch.opening;
    if (!watch.watched && !stopping_ && !accepting_paused_) start_accepting();
}

void Shard::add(std::unique_ptr<Connection> connection) {
    connection->shard = this;
    connection->index = connections_.size();
    connection->watched = EPOLLIN;
    poller_.add(connection->transport->descriptor(), *connection, connection->watched);
    connections_.push_back(std::move(connection));
}

std::unique_ptr<Connection> Shard::take_out(Connection& connection) {
    if (connection.reads_again) std::erase(reading_again_, &connection);
    connection.reads_again = false;
    end_pending(connection);
    connection.shard = nullptr;
    poller_.remove(connection.transport->descriptor());
    auto place = connection.index;
    auto taken = std::move(connections_[place]);
    if (place + 1 != connections_.size()) {
        connections_[place] = std::move(connections_.back());
        connections_[place]->index = place;
    }
    connections_.pop_back();
    return taken;
}

void Shard::move_away(Connection& connection, CheckedConnect connect,
                      std::span<std::byte const> unread) {
    std::uint8_t home = home_shard(connect.packet.client_id, count_);
    core_.forget(connection);
    auto& mail = mail_for(home);
    mail.moved.push_back(
        {take_out(connection), std::move(connect), Buffer(unread.begin(), unread.end())});
}

void Shard::adopt(MovedConnection moved) {
    Connection& connection = *moved.connection;
    add(std::move(moved.connection));
    if (stopping_) return lose(connection);
    welcome(connection, std::move(moved.connect), moved.unread);
}

void Shard::welcome(Connection& connection, CheckedConnect connect, Bytes unread) {
    core_.on_connect(connection, std::move(connect));
    core_.touch(connection);  // the transport may hold input
    handle_unread(connection, unread);
}

void Shard::handle_unread(Connection& connection, Bytes unread) {
    if (unread.empty()) return;
    if (input_.room() < unread.size()) {
        flush_touched();
        input_.reset();
    }
    MQ_ASSERT(unread.size() <= input_.room());  // it came from an arena of this size
    std::byte* place = input_.keep(unread.size());
    std::memcpy(place, unread.data(), unread.size());
    handle_input(connection, {place, unread.size()});
}

Authenticator::Done Shard::when_authenticated(AuthTicket ticket) {
    return [this, ticket](AuthVerdict verdict) {
        auto mail = std::make_unique<Mail>();
        mail->tasks.emplace_back([this, ticket, verdict] { on_authenticated(ticket, verdict); });
        wiring_.neighbours.mailbox(index_, index_).put(std::move(mail));
        wake();
    };
}

void Shard::take_store_news() {
    core_.on_store_news();
    if (core_.readable_again().empty()) return;
    for (Link* link : std::exchange(core_.readable_again(), {})) {
        auto& connection = static_cast<Connection&>(*link);
        core_.touch(connection);  // the transport may hold input
        handle_unread(connection, std::exchange(connection.partial, {}));
    }
}

void Shard::on_authenticated(AuthTicket ticket, AuthVerdict verdict) {
    auto admitted = core_.on_authenticated(ticket, verdict);
    if (!admitted) return;
    auto& connection = static_cast<Connection&>(*admitted->link);
    Buffer unread = std::exchange(connection.partial, {});
    if (home_shard(admitted->connect.packet.client_id, count_) == index_) {
        welcome(connection, std::move(admitted->connect), unread);
    } else {
        move_away(connection, std::move(admitted->connect), unread);
    }
}

// --- reading ---

void Shard::on_connection_ready(Connection& connection, std::uint32_t events) {
    if (connection.dead) return;
    if (!connection.opening) return on_ready(connection, events);
    // Above its share of the turn a handshake waits: the poller tells again that it is ready.
    if (handshake_time_ >= kHandshakeTimePerTurn) return;
    auto start = std::chrono::steady_clock::now();
    on_ready(connection, events);
    handshake_time_ += std::chrono::steady_clock::now() - start;
    if (connection.transport->is_open()) end_opening(connection, true);
}

void Shard::on_ready(Connection& connection, std::uint32_t events) {
    auto& transport = *connection.transport;
    if ((events & EPOLLOUT) != 0) {
        connection.wants_write = false;
        if (transport.wants_write()) transport.on_writable();
        core_.touch(connection);
    }
    if ((events & EPOLLIN) != 0 || (transport.has_input() && !connection.is_at_rest())) {
        connection.state == LinkState::closing ? discard_input(connection) : read(connection);
        settle(connection);
    } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        lose(connection);
    }
}

void Shard::read_again() {
    std::swap(reading_now_, reading_again_);
    for (Connection* connection : reading_now_) {
        connection->reads_again = false;
        if (!connection->is_at_rest()) on_connection_ready(*connection, EPOLLIN);
    }
    reading_now_.clear();
}

void Shard::settle(Connection& connection) {
    if (connection.shard != this) return;
    if (connection.transport->wants_write()) core_.touch(connection);
    note_input(connection);
}

void Shard::note_input(Connection& connection) {
    if (!connection.transport->has_input()) return;
    if (connection.is_at_rest() || connection.reads_again) return;
    connection.reads_again = true;
    reading_again_.push_back(&connection);
}

void Shard::fail(Connection& connection) {
    auto why = connection.transport->failure();
    if (connection.state != LinkState::connected) log_failure(connection, why);
    core_.on_stream_failed(connection, why);
}

void Shard::log_failure(Connection const& connection, std::string const& why) {
    if (now_.steady - failures_logged_at_ >= std::chrono::seconds{1}) {
        if (failures_not_logged_ > 0) {
            spdlog::info("{} more connections failed before CONNECT", failures_not_logged_);
        }
        failures_logged_at_ = now_.steady;
        failures_logged_ = 0;
        failures_not_logged_ = 0;
    }
    if (failures_logged_ == kFailureLinesMax) {
        ++failures_not_logged_;
        return;
    }
    ++failures_logged_;
    spdlog::info("{} on {}: {}", connection.peer(), connection.listener.name(), why);
}

// --- what the core asks for ---

bool Shard::logs(LogLevel level) const {
    return spdlog::should_log(spdlog_level(level));
}

void Shard::log(LogLevel level, std::string const& line) {
    log_line(level, line);
}

std::string Shard::peer_of(Link const& link) const {
    return static_cast<Connection const&>(link).peer();
}

}  // namespace spoke::broker
