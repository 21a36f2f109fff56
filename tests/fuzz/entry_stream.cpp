// Two clients and a whole core.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/framing.hpp"
#include "tests/fuzz/entry.hpp"
#include "tests/support/script.hpp"

namespace spoke::fuzz {
namespace {

struct Broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

test::ScriptOptions options_for(unsigned choice) {
    test::ScriptOptions options;
    options.shards = choice % 2 == 0 ? 1 : 3;
    options.link.packet_size_max = 2000;
    if (choice / 2 % 2 == 1) {
        options.link.inflight_max = 2;
        options.link.receive_maximum = 2;
        options.link.topic_alias_max = 2;
        options.link.session_expiry_max = 100;
        options.link.out_queue_bytes_max = 200;
        options.settings.queue_messages_max = 3;
        options.settings.queue_bytes_max = 1000;
        options.settings.subscriptions_per_session_max = 3;
        options.retained = {3, 1000};
    }
    if (choice / 4 % 2 == 1) options.link.mount_point = "here/";
    options.keeps_log = false;
    options.checks_window = false;
    options.fail = [](std::string const& what) { throw Broken{what}; };
    return options;
}

/// Does what the input says, step by step.
class StreamPlayer {
public:
    explicit StreamPlayer(Bytes input)
        : rest_(input.subspan(1)),
          options_(options_for(std::to_integer<unsigned>(input[0]))),
          script_(options_) {
        for (auto name : {"one", "two"}) clients_.push_back({&script_.link(name)});
        // Where there are several shards, the clients come in on different ones.
        if (options_.shards > 1) clients_[1].link->on_shard(1);
    }

    /// Throws Broken.
    void play() {
        for (int steps = 0; rest_.size() >= 2 && steps < 400; ++steps) {
            auto what = std::to_integer<unsigned>(rest_[0]);
            auto much = std::to_integer<unsigned>(rest_[1]);
            rest_ = rest_.subspan(2);
            do_step(clients_[what & 1U], what >> 1, much);
            check_counters();
        }
    }

private:
    struct Client {
        test::ScriptLink* link;
        Buffer pending{};  // what was sent of a packet that is not whole
    };

    void do_step(Client& client, unsigned what, unsigned much) {
        auto& link = *client.link;
        switch (what % 6) {
            case 0:
            case 1: {
                if (!link.is_open()) client.pending.clear();
                auto bytes = rest_.first(std::min<std::size_t>(much, rest_.size()));
                rest_ = rest_.subspan(bytes.size());
                client.pending.insert(client.pending.end(), bytes.begin(), bytes.end());
                if (what % 6 == 0) send(client);
                return;
            }
            case 2:
                // Up to two minutes, and once in a while days.
                return script_.pass(much == 255 ? std::chrono::hours{30}
                                                : std::chrono::milliseconds{much * 500});
            case 3:
                client.pending.clear();
                if (link.is_open()) link.drops();
                return;
            case 4:
                if (link.is_open()) link.socket_takes(much);
                return;
            default:
                if (link.is_open()) link.socket_takes_all();
                return;
        }
    }

    /// The whole packets that have come, and what is no packet, as they would be cut by the net
    /// layer. What is left waits for more.
    void send(Client& client) {
        std::size_t size = 0;
        while (size < client.pending.size()) {
            auto rest = Bytes{client.pending}.subspan(size);
            auto header = mqtt::read_fixed_header(rest, options_.link.packet_size_max);
            if (!header) {
                size = client.pending.size();
                break;
            }
            if (!*header || (*header)->packet_size() > rest.size()) break;
            auto frame = rest.first((*header)->packet_size());
            // The script must know what the client can take.
            auto packet = mqtt::decode(frame, mqtt::Version::v5, mqtt::Sender::client);
            if (packet && std::holds_alternative<mqtt::Connect>(*packet)) {
                if (!client.link->is_open()) client.link->opens();
                client.link->notes(*packet);
            }
            size += frame.size();
        }
        auto end = client.pending.begin() + static_cast<std::ptrdiff_t>(size);
        Buffer bytes(client.pending.begin(), end);
        client.pending.erase(client.pending.begin(), end);
        if (!bytes.empty()) client.link->sends_bytes(std::move(bytes));
    }

    void check_counters() {
        std::uint64_t sessions = 0;
        std::uint64_t connected = 0;
        std::uint64_t subscriptions = 0;
        std::uint64_t queued = 0;
        for (std::uint8_t shard = 0; shard < options_.shards; ++shard) {
            script_.core(shard).sessions().each([&](broker::Session const& session) {
                ++sessions;
                connected += session.is_connected() ? 1 : 0;
                subscriptions += session.subscriptions.size();
                queued += session.queue_bytes;
                if (session.queue.empty() && session.queue_bytes != 0) {
                    throw Broken{"an empty queue has bytes"};
                }
                if (session.queue.size() > options_.settings.queue_messages_max ||
                    session.queue_bytes > options_.settings.queue_bytes_max) {
                    throw Broken{"a queue is above its limit"};
                }
            });
        }
        using broker::Counters;
        compare("sessions", sessions, [](Counters const& c) { return c.sessions.read(); });
        compare("connections", connected, [](Counters const& c) { return c.connections.read(); });
        compare("queued bytes", queued, [](Counters const& c) { return c.queued_bytes.read(); });
        if (script_.index().subscription_count() != subscriptions) {
            throw Broken{fmt::format("{} subscriptions in the index, {} in the sessions",
                                     script_.index().subscription_count(), subscriptions)};
        }
        if (script_.retained().count() > options_.retained.messages_max ||
            script_.retained().bytes() > options_.retained.bytes_max) {
            throw Broken{"more is retained than the limit allows"};
        }
    }

    template <class Read>
    void compare(std::string_view name, std::uint64_t real, Read read) {
        auto counted = script_.count(read);
        if (counted == real) return;
        throw Broken{fmt::format("{} {} are counted, there are {}", counted, name, real)};
    }

    Bytes rest_;
    test::ScriptOptions options_;
    test::Script script_;
    std::vector<Client> clients_;
};

}  // namespace

Finding check_stream(Bytes input) {
    if (input.empty() || input.size() > 8192) return std::nullopt;
    StreamPlayer player{input};
    try {
        player.play();
    } catch (Broken const& broken) {
        return broken.what();
    }
    return std::nullopt;
}

}  // namespace spoke::fuzz
