#pragma once

#include <algorithm>
#include <boost/assert/source_location.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/kept_sessions.hpp"
#include "broker/core/ports/store.hpp"
#include "broker/core/reclaimer.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/subscription_index.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/packet.hpp"
#include "tests/support/script_packets.hpp"

namespace spoke::test {

/// A store that writes down what it is told. What it is told is durable at once (the default), or
/// when the test says so.
class FakeStore {
public:
    explicit FakeStore(std::uint8_t shards);
    ~FakeStore();

    /// From here on every change gets a ticket of its own.
    void hold() noexcept { holds_ = true; }
    [[nodiscard]] std::uint64_t last_ticket() const noexcept { return last_; }
    /// Nothing moves back.
    void becomes_durable(std::uint64_t ticket) noexcept { durable_ = std::max(durable_, ticket); }
    /// "put_session bike-7", "put_delivery bike-7 a/b", ... in order.
    [[nodiscard]] std::vector<std::string> const& calls() const noexcept { return calls_; }
    /// What it says of itself from here on.
    void set_health(broker::StoreHealth health) noexcept { health_ = health; }
    /// It has lost the messages of all deliveries that there are.
    void lose_messages() noexcept { messages_.clear(); }
    /// How many messages were read from it.
    [[nodiscard]] std::size_t read_count() const noexcept { return read_count_; }
    [[nodiscard]] std::size_t message_count() const noexcept { return messages_.size(); }

    [[nodiscard]] broker::ShardStore& of_shard(std::uint8_t shard);
    /// Whether some shard has an answer to take.
    [[nodiscard]] bool has_answers() const noexcept;

private:
    struct Shard;
    broker::StoreTicket note(std::string call);
    [[nodiscard]] std::string name_of(broker::SessionNumber session) const;

    std::vector<std::unique_ptr<Shard>> shards_;
    bool holds_ = false;
    broker::StoreHealth health_ = broker::StoreHealth::good;
    std::uint64_t last_ = 0;
    std::uint64_t durable_ = 0;
    std::uint64_t last_session_ = 0;
    std::uint64_t last_delivery_ = 0;
    std::size_t read_count_ = 0;
    std::map<std::uint64_t, std::string> names_;            // of sessions
    std::map<std::uint64_t, broker::MessagePtr> messages_;  // of deliveries
    std::vector<std::string> calls_;
};

/// Another node of the cluster: what it is handed is written down.
class FakeBus final : public broker::ClusterBus {
public:
    void forward(std::uint32_t node, broker::MessagePtr const& message) override {
        forwarded.push_back({node, message});
    }
    struct Forwarded {
        std::uint32_t node;
        broker::MessagePtr message;
    };
    std::vector<Forwarded> forwarded{};
};

class Script;

/// One client of a script. Acts and expectations run in the order they are written; after each act
/// the script runs all loops until nothing is left to do. Every packet that comes is decoded as one
/// of a server and checked against what holds for all: CONNACK first and once, nothing behind
/// DISCONNECT, no packet above the client's maximum packet size, no more open deliveries than its
/// receive maximum, no packet id twice while it is open, and its version's form.
class ScriptLink {
public:
    using Where = boost::source_location;

    ScriptLink(Script& script, std::string name);
    ~ScriptLink();
    ScriptLink(ScriptLink const&) = delete;
    ScriptLink& operator=(ScriptLink const&) = delete;

    /// The next connection is accepted by this shard; the first one otherwise.
    ScriptLink& on_shard(std::uint8_t shard) noexcept;
    /// Connections come through a listener of these settings, which outlive the script.
    ScriptLink& through(broker::LinkSettings const& settings) noexcept;
    /// Opens the connection without sending; sends() does so by itself.
    ScriptLink& opens();
    /// A CONNECT opens a new connection if the last one is gone; its client id is the link's name
    /// unless it was given one.
    ScriptLink& sends(ConnectBuilder const& connect);
    template <class Builder>
    ScriptLink& sends(Builder const& builder) {
        return sends_bytes(encoded(builder.packet()));
    }
    ScriptLink& sends_bytes(Buffer bytes);
    /// This packet will be among the bytes that are sent next.
    ScriptLink& notes(mqtt::Packet const& packet) {
        note_sent(packet);
        return *this;
    }
    /// All in one write.
    template <class... Builders>
    ScriptLink& sends_together(Builders const&... builders) {
        Buffer bytes;
        (append(bytes, builders), ...);
        return sends_bytes(std::move(bytes));
    }
    template <class Builder>
    ScriptLink& gets(Builder const& builder, Where where = BOOST_CURRENT_LOCATION) {
        return expects(builder.expected(), where);
    }
    /// Nothing came that was not expected, and the connection is open.
    ScriptLink& gets_nothing(Where where = BOOST_CURRENT_LOCATION);
    /// The broker closed the connection and nothing came before that was not expected.
    ScriptLink& closes(Where where = BOOST_CURRENT_LOCATION);
    /// The network connection breaks: no packet, no warning.
    ScriptLink& drops();

    /// The next packet, which must be of this kind.
    template <class Packet>
    Packet takes(Where where = BOOST_CURRENT_LOCATION) {
        mqtt::Packet packet = take(where);
        if (!std::holds_alternative<Packet>(packet)) fail("another kind", packet, where);
        return std::get<Packet>(std::move(packet));
    }
    [[nodiscard]] mqtt::Packet takes_any(Where where = BOOST_CURRENT_LOCATION) {
        return take(where);
    }
    /// All packets that have come, which must all be of this kind.
    template <class Packet>
    std::vector<Packet> takes_all(Where where = BOOST_CURRENT_LOCATION) {
        std::vector<Packet> packets;
        while (!received_.empty()) packets.push_back(takes<Packet>(where));
        return packets;
    }
    [[nodiscard]] std::size_t waiting() const noexcept { return received_.size(); }
    /// The bytes of the packet that was taken last.
    [[nodiscard]] Buffer const& last_frame() const noexcept { return last_frame_; }

    /// The socket takes so many bytes more, and then no more until it is told again.
    ScriptLink& socket_takes(std::size_t bytes);
    ScriptLink& socket_takes_all() { return socket_takes(kUnlimited); }

    [[nodiscard]] bool is_open() const noexcept { return link_ != nullptr; }
    [[nodiscard]] broker::Link& link() { return *link_; }
    [[nodiscard]] std::string const& name() const noexcept { return name_; }
    [[nodiscard]] mqtt::Version version() const noexcept { return version_; }

private:
    friend class Script;
    struct Received {
        mqtt::Packet packet;
        Buffer frame;
    };
    static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

    [[nodiscard]] Buffer encoded(mqtt::Packet const& packet);
    void note_sent(mqtt::Packet const& packet);
    void check_open(mqtt::Publish const& packet);
    template <class Builder>
    void append(Buffer& bytes, Builder const& builder) {
        Buffer more;
        if constexpr (std::is_same_v<Builder, Buffer>) {
            more = builder;
        } else if constexpr (std::is_same_v<Builder, ConnectBuilder>) {
            more = prepare(builder);
        } else {
            more = encoded(builder.packet());
        }
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
    [[nodiscard]] Buffer prepare(ConnectBuilder const& connect);
    ScriptLink& expects(Expected const& expected, Where where);
    [[nodiscard]] mqtt::Packet take(Where where);
    [[noreturn]] void fail(std::string const& what, mqtt::Packet const& packet, Where where) const;
    void close();        // as the loop sees it: the core is told
    void on_received();  // takes whole packets out of raw_
    void check(Received const& received);

    Script& script_;
    std::string name_;
    mqtt::Version version_ = mqtt::Version::v5;
    std::uint8_t accepting_shard_ = 0;
    broker::LinkSettings const* settings_ = nullptr;  // null: those of the script
    std::uint8_t shard_ = 0;
    std::unique_ptr<broker::Link> link_;
    std::size_t room_ = kUnlimited;
    bool socket_full_ = false;
    std::uint32_t packet_size_max_ = 0;
    bool got_connack_ = false;
    bool got_disconnect_ = false;
    std::uint32_t receive_maximum_ = 65'535;
    std::set<std::uint16_t> open_ids_;  // of deliveries on this connection
    Buffer raw_;
    Buffer unread_;  // sent behind a CONNECT whose authentication is under way
    std::deque<Received> received_;
    Buffer last_frame_;
};

/// Takes and answers what comes as a sound client does, at most so many packets; gives the
/// publishes in order.
std::vector<mqtt::Publish> answer_all(ScriptLink& link,
                                      std::size_t most = std::numeric_limits<std::size_t>::max());

struct ScriptOptions {
    broker::CoreSettings settings{};
    broker::LinkSettings link{};
    std::uint8_t shards = 1;
    broker::RetainedMessages::Limits retained{1'000'000, 1U << 30};
    /// Where what outlives a connection is stored, instead of a FakeStore; it outlives the script,
    /// and what it holds is there at the start.
    broker::Store* store = nullptr;
    Now start{SteadyTime{std::chrono::hours{1}},
              WallTime{std::chrono::milliseconds{1'700'000'000'123}}};
    /// Called when the broker breaks what holds for all packets; must not return. Without it, the
    /// test case fails.
    std::function<void(std::string const&)> fail{};
    bool keeps_log = true;
    /// Whether the receive maximum and the use of packet ids are checked, for which the script must
    /// know every packet that is sent.
    bool checks_window = true;
};

/// One broker core per shard with everything around them played by the test: the clock is moved by
/// the script alone, sockets are buffers, batches between shards are handed over by it.
class Script {
public:
    explicit Script(ScriptOptions options = {});
    ~Script();
    Script(Script const&) = delete;
    Script& operator=(Script const&) = delete;

    /// The client of that name; made at the first call.
    [[nodiscard]] ScriptLink& link(std::string const& name);

    /// Time goes by; timers run when they are due.
    void pass(std::chrono::milliseconds time);
    /// Time goes by in one piece, as if the machine had slept.
    void jump(std::chrono::milliseconds time);
    [[nodiscard]] Now now() const noexcept { return now_; }

    /// Batches between shards wait until pass_batches().
    void hold_batches() noexcept { batches_held_ = true; }
    void pass_batches();

    /// Unless the script was given another.
    [[nodiscard]] FakeStore& store() noexcept { return store_; }
    [[nodiscard]] FakeBus& bus() noexcept { return bus_; }
    /// All changes up to this ticket are on disk; without an argument, all there are.
    void becomes_durable(std::optional<std::uint64_t> ticket = std::nullopt);

    void shut_down();

    [[nodiscard]] broker::ShardCore& core(std::uint8_t shard = 0);
    /// A counter, added up over the shards.
    [[nodiscard]] std::uint64_t count(
        std::function<std::uint64_t(broker::Counters const&)> const& read) const;
    [[nodiscard]] broker::DropCounters const& dropped(std::uint8_t shard = 0) const;
    [[nodiscard]] broker::RetainedMessages& retained() noexcept { return retained_; }
    [[nodiscard]] broker::SubscriptionIndex& index() noexcept { return index_; }
    [[nodiscard]] std::vector<std::string> const& log() const noexcept { return log_; }
    [[nodiscard]] broker::Session* session(std::string const& client_id);
    /// A client id which begins with `prefix` and whose session lives on `shard`.
    [[nodiscard]] std::string id_on_shard(std::uint8_t shard, std::string const& prefix) const;

private:
    friend class ScriptLink;
    struct ShardLoop;

    [[nodiscard]] broker::ShardStore& store_of(std::uint8_t shard);
    void restore();
    void settle();
    bool turn(ShardLoop& loop);
    void flush_touched(ShardLoop& loop);
    void read_on(ShardLoop& loop);
    void exchange_batches();
    void flush(ScriptLink& client);
    [[noreturn]] void fail(std::string const& what) const;
    [[nodiscard]] ScriptLink* client_of(broker::Link const& link);
    void open(ScriptLink& client);
    void receive(ScriptLink& client, Buffer bytes);
    void handle_first(ScriptLink& client, std::span<std::byte> frame);
    void on_admitted(ScriptLink& client, broker::CheckedConnect connect);
    void on_verdict(std::uint8_t shard, broker::AuthTicket ticket, broker::AuthVerdict verdict);

    ScriptOptions options_;
    Now now_;
    FakeStore store_;
    FakeBus bus_;
    broker::Reclaimer reclaimer_;
    broker::SubscriptionIndex index_;
    broker::RetainedMessages retained_;
    std::vector<broker::KeptSessions> kept_;
    std::deque<broker::LinkSettings> settings_of_gone_;
    std::vector<std::string> log_;
    std::vector<std::unique_ptr<ShardLoop>> loops_;
    std::map<std::string, std::unique_ptr<ScriptLink>> clients_;
    std::map<broker::Link const*, ScriptLink*> by_link_;
    std::vector<Buffer> input_;  // what was read this turn: out-queues may point into it
    std::vector<std::unique_ptr<broker::Link>> dead_;
    bool batches_held_ = false;
    bool settling_ = false;
    bool store_woke_ = false;  // since the loops last looked
};

}  // namespace spoke::test
