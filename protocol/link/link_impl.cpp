#include "protocol/link/link_impl.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <utility>

namespace spoke::mqtt {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t kInputBytes = 64 * 1024;
constexpr int kReadsPerTurn = 4;     // then other links have their turn
constexpr int kBatchesPerTurn = 16;  // likewise
// A server which sends and does not read would make our answers pile up: above this we stop reading
// too.
constexpr std::size_t kOutputBytesMax = 256 * 1024;
constexpr std::size_t kSharedBufferKeep = 1024 * 1024;
constexpr std::chrono::minutes kAbandonedFor{3};

}  // namespace

LinkHub::Impl::Impl(asio::io_context& io, std::uint64_t seed)
    : context(io), resolver(io.get_executor()), random(seed), input(kInputBytes) {}

void LinkHub::Impl::abandon(Socket socket) {
    auto now = std::chrono::steady_clock::now();
    while (!abandoned.empty() && abandoned.front().first + kAbandonedFor < now) {
        abandoned.pop_front();
    }
    abandoned.emplace_back(now, std::move(socket));
}

Link::Impl::Impl(LinkHub::Impl& hub, std::shared_ptr<LinkOptions const> options,
                 LinkObserver& observer)
    : hub_(hub),
      options_(std::move(options)),
      machine_(options_->client, *this),
      observer_(&observer),
      socket_(hub.context.get_executor()),
      timer_(hub.context.get_executor()) {}

// ---- wishes ----

void Link::Impl::start(std::chrono::milliseconds delay) {
    if (state_ != LinkState::idle && state_ != LinkState::stopped) return;
    if (delay <= std::chrono::milliseconds{0}) return dial();
    due_ = std::chrono::steady_clock::now() + delay;
    set_state(LinkState::waiting, {}, delay);
}

void Link::Impl::stop(Disconnect const& packet) {
    if (state_ == LinkState::idle || state_ == LinkState::stopped || stopping_) return;
    stopping_ = true;
    switch (phase_) {
        case Phase::none:
            return become_stopped();
        case Phase::dialing:
            return give_up_dialing({});
        case Phase::open:
            machine_.disconnect(packet, read_clocks());
            [[fallthrough]];
        case Phase::leaving:
            machine_.abandon();
            return set_state(LinkState::stopping);
    }
}

void Link::Impl::detach() noexcept {
    observer_ = nullptr;
    stopping_ = true;
    if (dialer_) dialer_->cancel();
    dialer_.reset();
    machine_.on_transport_closed({}, read_clocks());
    says_goodbye_ = false;
    broken_ = true;
    if (busy_ > 0) return;  // settle() closes
    close_socket();
    timer_.cancel();
}

void Link::Impl::cut(Cut how) {
    if (phase_ == Phase::dialing) return give_up_dialing("cut");
    if (phase_ != Phase::open) return;
    if (how == Cut::rst) {
        error_code ignored;
        socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
    }
    if (how == Cut::silent) {
        hub_.abandon(std::move(socket_));
        socket_ = Socket{hub_.context.get_executor()};
    }
    transport_failed("cut");
}

// ---- a connection ----

void Link::Impl::dial() {
    phase_ = Phase::dialing;
    due_ = std::chrono::steady_clock::now() + options_->connect_timeout;
    auto done = [self = shared_from_this()](std::string const& error, Socket socket,
                                            Stream stream) {
        self->enter([&] { self->on_dialed(error, std::move(socket), std::move(stream)); });
    };
    dialer_ = std::make_shared<Dialer>(hub_.context.get_executor(), hub_.resolver, options_, done);
    dialer_->dial();
    set_state(LinkState::connecting);
}

void Link::Impl::on_dialed(std::string const& error, Socket socket, Stream stream) {
    dialer_.reset();
    if (!error.empty()) {
        why_ = at_server(error);
        return connection_over();
    }
    socket_ = std::move(socket);
    stream_ = std::move(stream);
    phase_ = Phase::open;
    due_ = SteadyTime::max();
    broken_ = false;
    says_goodbye_ = false;
    half_closed_ = false;
    why_.clear();
    machine_.open(observer_->make_connect(), read_clocks());
    flush();
}

void Link::Impl::give_up_dialing(std::string_view why) {
    dialer_->cancel();
    dialer_.reset();
    why_ = why.empty() ? std::string{} : at_server(why);
    connection_over();
}

void Link::Impl::transport_failed(std::string_view why) {
    broken_ = true;
    if (!machine_.is_closed()) machine_.on_transport_closed(at_server(why), read_clocks());
}

std::string Link::Impl::at_server(std::string_view what) const {
    return fmt::format("{}:{}: {}", options_->host, options_->port, what);
}

// ---- reading ----

bool Link::Impl::may_read() const noexcept {
    bool has_socket = phase_ == Phase::open || phase_ == Phase::leaving;
    return has_socket && !reading_held_ && machine_.output_bytes() < kOutputBytesMax;
}

void Link::Impl::wait_readable() {
    waits_readable_ = true;
    socket_.async_wait(Socket::wait_read,
                       [self = shared_from_this(), connection = connection_](error_code const&) {
                           if (connection != self->connection_) return;
                           self->waits_readable_ = false;
                           self->enter([&] { self->read_on(); });
                       });
}

void Link::Impl::read_on() {
    if (write_wants_read_) {
        write_wants_read_ = false;
        flush();
    }
    for (int reads = 0; reads < kReadsPerTurn; ++reads) {
        if (!may_read() || broken_ || !read_once()) return;
    }
    if (!stream_.may_hold_bytes()) return;
    // TLS may hold decrypted bytes for which the socket will not become readable again.
    waits_readable_ = true;
    asio::post(hub_.context, [self = shared_from_this(), connection = connection_] {
        if (connection != self->connection_) return;
        self->waits_readable_ = false;
        self->enter([&] { self->read_on(); });
    });
}

// Whether more may be there to read at once.
bool Link::Impl::read_once() {
    auto progress = stream_.read(hub_.input);
    switch (progress.kind) {
        case Progress::Kind::moved:
            machine_.on_bytes(Bytes{hub_.input}.first(progress.bytes), read_clocks());
            return progress.bytes == hub_.input.size() || stream_.may_hold_bytes();
        case Progress::Kind::want_read:
            return false;
        case Progress::Kind::want_write:
            wait_writable();
            return false;
        case Progress::Kind::ended:
            transport_failed("server closed the connection");
            return false;
        case Progress::Kind::failed:
            transport_failed(progress.error);
            return false;
    }
    return false;
}

// ---- writing ----

void Link::Impl::schedule_flush() {
    flush_scheduled_ = true;
    asio::post(hub_.context, [self = shared_from_this()] {
        self->flush_scheduled_ = false;
        self->enter([&] { self->flush(); });
    });
}

void Link::Impl::wait_writable() {
    if (waits_writable_) return;
    waits_writable_ = true;
    socket_.async_wait(Socket::wait_write,
                       [self = shared_from_this(), connection = connection_](error_code const&) {
                           if (connection != self->connection_) return;
                           self->waits_writable_ = false;
                           self->enter([&] {
                               self->flush();
                               if (self->stream_.may_hold_bytes()) self->read_on();
                           });
                       });
}

void Link::Impl::flush() {
    bool has_socket = phase_ == Phase::open || phase_ == Phase::leaving;
    if (!has_socket || broken_ || !write_pending()) return;
    auto& output = hub_.output;
    for (int batches = 0; batches < kBatchesPerTurn && machine_.has_output(); ++batches) {
        output.clear();
        machine_.take_output(output, read_clocks());
        if (output.empty() || broken_ || !write(output)) break;
        machine_.on_written();
    }
    if (output.capacity() > kSharedBufferKeep) output = Buffer{};
}

bool Link::Impl::write_pending() {
    if (pending_.empty()) return true;
    if (waits_writable_ || write_wants_read_) return false;
    auto pending = std::exchange(pending_, {});
    if (!write(pending)) return false;
    machine_.on_written();
    return true;
}

// Whether all of it is written. If not, the rest waits in pending_, or the transport has failed.
bool Link::Impl::write(Bytes bytes) {
    while (!bytes.empty()) {
        auto progress = stream_.write(bytes);
        switch (progress.kind) {
            case Progress::Kind::moved:
                bytes = bytes.subspan(progress.bytes);
                continue;
            case Progress::Kind::want_write:
                wait_writable();
                break;
            case Progress::Kind::want_read:
                write_wants_read_ = true;
                break;
            case Progress::Kind::ended:
                transport_failed("server closed the connection");
                return false;
            case Progress::Kind::failed:
                transport_failed(progress.error);
                return false;
        }
        pending_.assign(bytes.begin(), bytes.end());
        return false;
    }
    return true;
}

// ---- the end of a connection ----

void Link::Impl::settle() {
    auto self = shared_from_this();
    ++busy_;
    if (phase_ == Phase::open && machine_.is_closed()) begin_leaving();
    if (phase_ == Phase::leaving) {
        bool is_written = pending_.empty() && !machine_.has_output();
        if (is_written && !half_closed_ && says_goodbye_) {
            half_closed_ = true;
            stream_.finish_writing();
        }
        if (broken_ || !says_goodbye_) {
            close_socket();
            connection_over();
        }
    }
    bool has_socket = phase_ == Phase::open || phase_ == Phase::leaving;
    if (has_socket && machine_.has_output() && pending_.empty() && !flush_scheduled_) {
        schedule_flush();
    }
    if (may_read() && !waits_readable_) wait_readable();
    if (observer_ != nullptr) {
        arm_timer();
    } else {
        close_socket();
        timer_.cancel();
    }
    --busy_;
}

// After DISCONNECT the server's end is awaited: closing while unread bytes lie in the socket makes
// the kernel send a reset, which can overtake DISCONNECT, and then the server publishes the will.
void Link::Impl::begin_leaving() {
    phase_ = Phase::leaving;
    due_ = std::chrono::steady_clock::now() + options_->stop_timeout;
    says_goodbye_ = !broken_ && machine_.has_output();
}

void Link::Impl::close_socket() noexcept {
    ++connection_;
    error_code ignored;
    socket_.close(ignored);
    stream_ = {};
    pending_ = Buffer{};
    waits_readable_ = false;
    waits_writable_ = false;
    write_wants_read_ = false;
}

void Link::Impl::connection_over() {
    phase_ = Phase::none;
    due_ = SteadyTime::max();
    if (observer_ == nullptr) return;
    if (stopping_) return become_stopped();
    auto now = std::chrono::steady_clock::now();
    auto delay = policy_.on_closed(options_->reconnect, now, hub_.random());
    due_ = now + delay;
    set_state(LinkState::waiting, why_, delay);
}

void Link::Impl::become_stopped() {
    stopping_ = false;
    due_ = SteadyTime::max();
    machine_.abandon();
    set_state(LinkState::stopped, why_);
}

void Link::Impl::set_state(LinkState state, std::string_view why,
                           std::chrono::milliseconds retry_in) {
    state_ = state;
    if (observer_ != nullptr) observer_->on_link({state, why, retry_in});
}

// ---- time ----

// One timer for everything. It is never moved to a later time: when it fires too early it is armed
// again.
void Link::Impl::arm_timer() {
    auto next = std::min(due_, machine_.next_deadline().value_or(SteadyTime::max()));
    if (next >= timer_at_) return;
    timer_at_ = next;
    timer_.expires_at(next);
    timer_.async_wait([self = shared_from_this()](error_code const& error) {
        if (error) return;
        self->timer_at_ = SteadyTime::max();
        self->enter([&] { self->on_timer(); });
    });
}

void Link::Impl::on_timer() {
    auto now = read_clocks();
    machine_.on_deadline(now);
    if (now.steady < due_) return;
    due_ = SteadyTime::max();
    switch (phase_) {
        case Phase::none:
            return dial();
        case Phase::dialing:
            return give_up_dialing("no connection in time");
        case Phase::leaving:
            broken_ = true;
            return;
        case Phase::open:
            return;
    }
}

// ---- the machine's events ----

void Link::Impl::on_connected(ConnAck const& packet) {
    policy_.on_connected(std::chrono::steady_clock::now());
    set_state(LinkState::connected);
    if (observer_ != nullptr && machine_.is_connected()) observer_->on_connected(packet);
}

Acknowledge Link::Impl::on_message(ReceivedMessage const& message) {
    return observer_ != nullptr ? observer_->on_message(message) : Acknowledge::later;
}

void Link::Impl::on_published(PublishToken token, PublishOutcome const& outcome) {
    if (observer_ != nullptr) observer_->on_published(token, outcome);
}

void Link::Impl::on_subscribed(RequestToken token, SubAck const& packet) {
    if (observer_ != nullptr) observer_->on_subscribed(token, packet);
}

void Link::Impl::on_unsubscribed(RequestToken token, UnsubAck const& packet) {
    if (observer_ != nullptr) observer_->on_unsubscribed(token, packet);
}

void Link::Impl::on_request_failed(RequestToken token, RequestFailure why) {
    if (observer_ != nullptr) observer_->on_request_failed(token, why);
}

void Link::Impl::on_auth(Auth const& packet) {
    if (observer_ != nullptr) observer_->on_auth(packet);
}

void Link::Impl::on_closed(Closed const& closed) {
    if (closed.cause == CloseCause::requested) {
        why_.clear();
    } else {
        why_ = closed.cause == CloseCause::transport ? closed.text : at_server(closed.text);
    }
    if (observer_ != nullptr) observer_->on_closed(closed);
}

}  // namespace spoke::mqtt
