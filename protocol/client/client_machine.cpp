#include "protocol/client/client_machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::mqtt {
namespace {

// Enough for acknowledgements; tens of thousands of idle machines keep no more than that. (To free
// a vector it takes Buffer{}: plain {} is an empty list of elements and keeps the memory.)
constexpr std::size_t kOutboxKeep = 64;

}  // namespace

ClientMachine::ClientMachine(ClientOptions const& options, ClientEvents& events)
    : options_(options), events_(events), outbound_(options_, wire_, events_) {
    // Publishes, those that only hold a QoS 2 id, and requests share 65535 ids.
    options_.in_flight_max = std::min<std::uint16_t>(options_.in_flight_max, 32'767);
    options_.requests_max = std::min<std::uint16_t>(options_.requests_max, 16'383);
}

// ---- the transport's side ----

void ClientMachine::open(Connect const& packet, Now now) {
    MQ_ASSERT(is_closed() && !consuming_);
    auto connect = packet;
    bool is_v5 = connect.version == Version::v5;
    if (connect.client_id.empty() && !connect.clean_start) connect.client_id = assigned_client_id();
    if (is_v5 && !connect.maximum_packet_size)
        connect.maximum_packet_size = options_.packet_size_max;

    state_ = State::connecting;
    clean_start_ = connect.clean_start;
    keep_alive_wanted_ = connect.keep_alive;
    packet_size_max_ = is_v5 ? *connect.maximum_packet_size : options_.packet_size_max;
    connack_due_ = now.steady + options_.connect_timeout;
    if (text_ || (is_v5 && connect.authentication_method)) {
        if (!text_) text_ = std::make_unique<Text>();
        text_->authentication_method = connect.authentication_method.value_or("");
    }
    inbound_.begin(is_v5 ? connect.receive_maximum.value_or(65'535) : std::uint16_t{65'535});
    aliases_.begin(is_v5 ? connect.topic_alias_maximum.value_or(0) : std::uint16_t{0});
    wire_.version = connect.version;
    wire_.server = {};
    wire_.writing = false;
    wire_.taken = 0;
    wire_.outbox.clear();
    encode(connect, wire_.outbox);
}

void ClientMachine::on_transport_closed(std::string_view why, Now) {
    if (is_closed()) return;
    close({.cause = CloseCause::transport, .text = std::string{why}}, LastBytes::drop);
}

bool ClientMachine::has_output() const noexcept {
    return !wire_.outbox.empty() || outbound_.has_sendable();
}

void ClientMachine::take_output(Buffer& out, Now now) {
    outbound_.encode_waiting(now);
    if (wire_.outbox.empty()) return;
    out.insert(out.end(), wire_.outbox.begin(), wire_.outbox.end());
    wire_.taken += wire_.outbox.size();
    wire_.outbox.clear();
    if (wire_.outbox.capacity() > kOutboxKeep) wire_.outbox = Buffer{};
    if (is_closed()) return;
    wire_.writing = true;
    keep_alive_.on_sent(now.steady);
    outbound_.on_taken();
}

std::optional<SteadyTime> ClientMachine::next_deadline() const noexcept {
    auto deadline = outbound_.next_expiry();
    if (state_ == State::connecting) deadline = std::min(deadline, connack_due_);
    if (state_ == State::connected) {
        deadline = std::min(deadline, keep_alive_.deadline(options_.ping_timeout));
    }
    if (deadline == SteadyTime::max()) return std::nullopt;
    return deadline;
}

void ClientMachine::on_deadline(Now now) {
    outbound_.expire(now.steady);
    if (state_ == State::connecting && now.steady >= connack_due_) {
        return close({.cause = CloseCause::connect_timeout, .text = "no CONNACK in time"},
                     LastBytes::drop);
    }
    if (state_ != State::connected) return;
    if (keep_alive_.is_dead(now.steady, options_.ping_timeout)) {
        return close({.cause = CloseCause::keep_alive_timeout,
                      .reason = ReasonCode::keep_alive_timeout,
                      .text = "no answer to PINGREQ in time"},
                     LastBytes::drop);
    }
    if (keep_alive_.is_ping_due(now.steady)) ping(now);
}

void ClientMachine::ping(Now now) {
    keep_alive_.on_ping_sent(now.steady);
    wire_.send(PingReq{});
}

// ---- the application's side ----

void ClientMachine::publish(Publish const& packet, PublishOptions const& options, Now now) {
    outbound_.publish(packet, options, now);
}

bool ClientMachine::acknowledge(AckToken token, ReasonCode reason, Now) {
    if (!inbound_.acknowledge(token, reason)) return false;
    if (is_connected()) inbound_.send_acks(wire_);
    return true;
}

void ClientMachine::authenticate(Auth const& packet, Now) {
    if (is_closed()) return;
    MQ_ASSERT(has_right_method(packet.authentication_method));  // [MQTT-4.12.0-5]
    wire_.send(packet);
}

void ClientMachine::disconnect(Disconnect const& packet, Now) {
    if (is_closed()) return;
    auto begin = wire_.outbox.size();
    wire_.send(packet);
    if (wire_.outbox.size() - begin > wire_.server.packet_size_max) {  // [MQTT-3.14.2-3]
        wire_.outbox.resize(begin);
        wire_.send(Disconnect{.reason = packet.reason});
    }
    close({.cause = CloseCause::requested, .reason = packet.reason, .text = "disconnected"},
          LastBytes::flush);
}

void ClientMachine::abandon() {
    MQ_ASSERT(is_closed());
    outbound_.abandon();
}

std::string_view ClientMachine::assigned_client_id() const noexcept {
    return text_ ? std::string_view{text_->assigned_client_id} : std::string_view{};
}

// ---- the end of a connection ----

// The server broke the protocol. A v5 server is told why; for 3.1.1 DISCONNECT would mean that all
// is well and suppress the will, so the connection just ends.
void ClientMachine::break_off(ReasonCode reason, std::string_view what) {
    if (is_connected() && wire_.version == Version::v5) wire_.send(Disconnect{.reason = reason});
    close({.cause = CloseCause::server_error,
           .reason = reason,
           .text = fmt::format("server broke the protocol: {}: {}", name_of(reason), what)},
          LastBytes::flush);
}

void ClientMachine::close(Closed closed, LastBytes last) {
    state_ = State::closed;
    wire_.connected = false;
    if (last == LastBytes::drop) wire_.outbox = Buffer{};
    if (!consuming_) partial_ = Buffer{};  // else what is being handled may point into it
    inbound_.on_disconnected();
    auto requests = std::exchange(requests_, {});
    for (auto const& request : requests) wire_.ids.free(request.id);
    outbound_.on_disconnected(wire_.position());
    for (auto const& request : requests) {
        events_.on_request_failed(request.token, RequestFailure::connection_lost);
    }
    events_.on_closed(closed);
}

}  // namespace spoke::mqtt
