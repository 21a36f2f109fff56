#include "protocol/link/link.hpp"

#include <catch2/catch.hpp>
#include <deque>

#include "tests/support/scripted_server.hpp"
#include "tests/unit/protocol/link/certificates.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

namespace asio = boost::asio;

/// Keeps what a link tells; `on_*` functions may react.
class Owner : public LinkObserver {
public:
    Connect make_connect() override {
        ++connects;
        return connect;
    }
    void on_link(LinkStatus const& status) override {
        states.push_back(status.state);
        why = status.why;
        retry_in = status.retry_in;
        if (react) react(status.state);
    }
    void on_connected(ConnAck const& packet) override {
        connack = packet;
        events.push_back("connected");
    }
    Acknowledge on_message(ReceivedMessage const& message) override {
        messages.push_back(message.to_publish());
        if (react_to_message) react_to_message(message);
        return acknowledges;
    }
    void on_published(PublishToken token, PublishOutcome const& outcome) override {
        outcomes.emplace_back(token.value, outcome);
        if (react_to_outcome) react_to_outcome();
    }
    void on_subscribed(RequestToken, SubAck const&) override { events.push_back("subscribed"); }
    void on_unsubscribed(RequestToken, UnsubAck const&) override {
        events.push_back("unsubscribed");
    }
    void on_request_failed(RequestToken, RequestFailure) override { events.push_back("failed"); }
    void on_closed(Closed const& closed) override {
        closes.push_back(closed);
        events.push_back("closed");
    }

    [[nodiscard]] bool is(LinkState state) const {
        return !states.empty() && states.back() == state;
    }

    Connect connect{.client_id = "bike-7", .clean_start = false};
    Acknowledge acknowledges = Acknowledge::now;
    int connects = 0;
    std::vector<LinkState> states;
    std::string why;
    std::chrono::milliseconds retry_in{};
    ConnAck connack;
    std::vector<Publish> messages;
    std::vector<std::pair<std::uint64_t, PublishOutcome>> outcomes;
    std::vector<Closed> closes;
    std::vector<std::string> events;
    std::function<void(LinkState)> react;
    std::function<void(ReceivedMessage const&)> react_to_message;
    std::function<void()> react_to_outcome;
};

/// A server, a hub and one link's owner. Reconnects are quick.
struct World {
    World() { prepare(); }
    explicit World(asio::ssl::context& tls) : server(io, tls) { prepare(); }

    void prepare() {
        options->port = server.port();
        options->reconnect = {.delay_min = 1ms, .delay_max = 2ms};
    }
    Link link() { return Link{hub, options, owner}; }
    template <class Predicate>
    void until(Predicate done) {
        run_until(io, done);
    }
    void until_state(LinkState state) {
        until([&] { return owner.is(state); });
    }
    ScriptedServer::Peer& peer(std::size_t index = 0) { return *server.peers.at(index); }

    asio::io_context io;
    ScriptedServer server{io};
    LinkHub hub{io, 1};
    std::shared_ptr<LinkOptions> options = std::make_shared<LinkOptions>();
    Owner owner;
};

Publish message(std::string topic, std::string_view payload, Qos qos = Qos::at_most_once) {
    Publish packet;
    packet.topic = std::move(topic);
    packet.payload = to_buffer(payload);
    packet.qos = qos;
    return packet;
}

constexpr auto kQos1 = Qos::at_least_once;
constexpr auto kQos2 = Qos::exactly_once;

template <class T>
std::size_t count(std::vector<Packet> const& packets) {
    return static_cast<std::size_t>(
        std::ranges::count_if(packets, [](auto const& p) { return std::holds_alternative<T>(p); }));
}

// A port of which nobody listens.
std::uint16_t closed_port(asio::io_context& io) {
    asio::ip::tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    return acceptor.local_endpoint().port();
}

using States = std::vector<LinkState>;

Certificates const& certificates() {
    static Certificates const made;
    return made;
}

struct TlsServer {
    TlsServer() {
        context.use_certificate_chain_file(certificates().file("server.pem"));
        context.use_private_key_file(certificates().file("server.key"), asio::ssl::context::pem);
    }
    void demand_certificate() {
        context.load_verify_file(certificates().file("ca.pem"));
        context.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
    asio::ssl::context context{asio::ssl::context::tls_server};
};

}  // namespace

TEST_CASE("link: connects, talks, stops", "[link]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    World w;
    w.owner.connect.version = version;
    auto link = w.link();
    CHECK(link.state() == LinkState::idle);
    link.start();
    w.until_state(LinkState::connected);
    CHECK(w.owner.events == std::vector<std::string>{"connected"});
    link.subscribe({.subscriptions = {{"a", {}}}}, RequestToken{1});
    link.unsubscribe({.filters = {"a"}}, RequestToken{2});
    link.publish(message("t", "0"), {.token = PublishToken{1}});
    link.publish(message("t", "1", kQos1), {.token = PublishToken{2}});
    link.publish(message("t", "2", kQos2), {.token = PublishToken{3}});
    w.until([&] { return w.owner.outcomes.size() == 3 && w.owner.events.size() == 3; });
    w.peer().send(
        Publish{.topic = "b", .payload = to_buffer("x"), .qos = kQos1, .id = PacketId{9}});
    w.until([&] { return count<PubAck>(w.peer().packets) == 1; });
    REQUIRE(w.owner.messages.size() == 1);
    CHECK(w.owner.messages[0].topic == "b");
    link.stop();
    CHECK(link.state() == LinkState::stopping);
    w.until_state(LinkState::stopped);
    CHECK(w.owner.states == States{LinkState::connecting, LinkState::connected, LinkState::stopping,
                                   LinkState::stopped});
    CHECK(w.owner.why.empty());
    REQUIRE(w.owner.closes.size() == 1);
    CHECK(w.owner.closes[0].cause == CloseCause::requested);
    CHECK(std::holds_alternative<Disconnect>(w.peer().packets.back()));
    w.until([&] { return w.peer().ended || !w.peer().socket().is_open(); });
}

TEST_CASE("link: what is asked for in one turn goes out in one piece", "[link]") {
    World w;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    for (int i = 0; i < 100; ++i) link.publish(message("t", "x"), {});
    CHECK(link.machine().output_bytes() > 100);
    w.until([&] { return count<Publish>(w.peer().packets) == 100; });
    CHECK(link.machine().output_bytes() == 0);
}

TEST_CASE("link: a refused TCP connection is told and tried again", "[link]") {
    World w;
    w.options->port = closed_port(w.io);
    auto link = w.link();
    link.start();
    w.until([&] { return w.owner.states.size() >= 6; });
    CHECK(w.owner.closes.empty());
    CHECK(w.owner.connects == 0);
    w.until_state(LinkState::waiting);
    CHECK(w.owner.why == "127.0.0.1:" + std::to_string(w.options->port) + ": connection refused");
    CHECK(w.owner.retry_in >= 1ms);
    CHECK(w.owner.retry_in <= 2ms);
    link.stop();
    CHECK(w.owner.is(LinkState::stopped));
    auto states = w.owner.states.size();
    while (w.io.poll() != 0) continue;
    CHECK(w.owner.states.size() == states);
}

TEST_CASE("link: a name that does not exist is told", "[link]") {
    World w;
    w.options->host = "no-such-host.invalid";
    w.options->reconnect.delay_min = 1h;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::waiting);
    CHECK(w.owner.why.starts_with("no-such-host.invalid:"));
    CHECK(w.owner.why.find("ost not found") != std::string::npos);
}

TEST_CASE("link: names are resolved", "[link]") {
    World w;
    w.options->host = "localhost";
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
}

TEST_CASE("link: the local address can be chosen", "[link]") {
    World w;
    w.options->bind_address = "127.0.0.2";
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    CHECK(w.peer().socket().remote_endpoint().address().to_string() == "127.0.0.2");
}

TEST_CASE("link: CONNACK with an error is told with its reason, then it tries again", "[link]") {
    World w;
    w.server.on_packet = [&](auto& peer, Packet const& packet) {
        if (!std::holds_alternative<Connect>(packet)) return;
        if (w.server.peers.size() > 1) return peer.send(ConnAck{});
        ConnAck refusal;
        refusal.reason = ReasonCode::server_busy;
        peer.send(refusal);
        peer.close();
    };
    auto link = w.link();
    link.start();
    std::string why;
    w.owner.react = [&](LinkState state) {
        if (state == LinkState::waiting) why = w.owner.why;
    };
    w.until_state(LinkState::connected);
    CHECK(why == "127.0.0.1:" + std::to_string(w.options->port) +
                     ": server refused the connection: server busy (0x89)");
    CHECK(w.owner.states == States{LinkState::connecting, LinkState::waiting, LinkState::connecting,
                                   LinkState::connected});
    CHECK(w.owner.connects == 2);
}

TEST_CASE("link: the delay grows although CONNACK comes each time", "[link]") {
    World w;
    w.options->reconnect = {.delay_min = 2ms, .delay_max = 1h};
    w.server.on_packet = [&](auto& peer, Packet const&) {
        peer.send(ConnAck{});
        peer.send(Disconnect{.reason = ReasonCode::server_busy});
    };
    std::vector<std::chrono::milliseconds> delays;
    w.owner.react = [&](LinkState state) {
        if (state == LinkState::waiting) delays.push_back(w.owner.retry_in);
    };
    auto link = w.link();
    link.start();
    w.until([&] { return delays.size() == 5; });
    auto ceiling = 4ms;
    for (auto delay : delays) {
        CHECK(delay >= 2ms);
        CHECK(delay <= ceiling);
        ceiling *= 2;
    }
}

TEST_CASE("link: a lost connection is made again and the session goes on", "[link]") {
    auto how = GENERATE(0, 1, 2);
    World w;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    w.server.on_packet = [&](auto& peer, Packet const& packet) {
        if (std::holds_alternative<Connect>(packet)) {
            peer.send(ConnAck{.session_present = true});
        } else if (&peer != w.server.peers[0].get()) {
            ScriptedServer::answer(peer, packet);
        }
    };
    link.publish(message("t", "1", kQos1), {.token = PublishToken{1}});
    PublishOptions once{.token = PublishToken{2}, .scope = PublishScope::this_connection};
    link.publish(message("t", "2", kQos1), once);
    w.until([&] { return count<Publish>(w.peer().packets) == 2; });
    std::string why;
    w.owner.react = [&](LinkState state) {
        if (state == LinkState::waiting) why = w.owner.why;
    };
    auto at = "127.0.0.1:" + std::to_string(w.options->port) + ": ";
    if (how == 0) w.peer().close();
    if (how == 1) w.peer().reset();
    auto cut = how == 2 ? GENERATE(Cut::fin, Cut::rst, Cut::silent) : Cut::fin;
    if (how == 2) link.cut(cut);
    w.until([&] { return w.owner.outcomes.size() == 2; });
    CHECK(w.owner.outcomes[0].first == 2);
    CHECK(w.owner.outcomes[0].second.status == PublishStatus::unknown);
    CHECK(w.owner.outcomes[1].first == 1);
    CHECK(w.owner.outcomes[1].second.status == PublishStatus::acknowledged);
    auto const& second = w.peer(1).packets;
    REQUIRE(count<Publish>(second) == 1);
    CHECK(std::get<Publish>(second[1]).dup);
    if (how == 0) CHECK(why == at + "server closed the connection");
    if (how == 1) CHECK(why == at + "connection reset by peer");
    if (how == 2) CHECK(why == at + "cut");
    if (how == 2 && cut == Cut::silent) {
        // By now the second connection has had its answers: what was to be told would have been.
        CHECK_FALSE(w.peer().ended);
    } else if (how == 2) {
        w.until([&] { return w.peer().ended; });
        CHECK(count<Disconnect>(w.peer().packets) == 0);
    }
}

TEST_CASE("link: a server that accepts and stays silent is given up", "[link]") {
    World w;
    w.options->client.connect_timeout = 20ms;
    w.server.on_packet = nullptr;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::waiting);
    REQUIRE(w.owner.closes.size() == 1);
    CHECK(w.owner.closes[0].cause == CloseCause::connect_timeout);
}

TEST_CASE("link: a server that never ends the TLS handshake is given up", "[link]") {
    World w;  // speaks no TLS: reads ClientHello, answers nothing
    w.options->tls = load_tls({.verify = false});
    w.options->connect_timeout = 20ms;
    w.server.on_accept = [](auto& peer) { peer.hold_reading(true); };
    auto link = w.link();
    link.start();
    w.until_state(LinkState::waiting);
    CHECK(w.owner.why ==
          "127.0.0.1:" + std::to_string(w.options->port) + ": no connection in time");
    CHECK(w.owner.closes.empty());
}

TEST_CASE("link: the CONNECT is asked for anew each time", "[link]") {
    World w;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    w.owner.connect.will = Will{.topic = "up", .payload = to_buffer("boot 8")};
    w.peer().close();
    w.until([&] { return w.server.peers.size() == 2 && !w.peer(1).packets.empty(); });
    CHECK(std::get<Connect>(w.peer(1).packets[0]).will == w.owner.connect.will);
}

TEST_CASE("link: a full socket makes publishes wait, and loses none", "[link]") {
    World w;
    w.options->client.queue_messages_max = 100'000;
    w.options->client.queue_bytes_max = 100 << 20;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    w.peer().hold_reading(true);
    constexpr std::size_t kCount = 1000;
    auto const payload = std::string(20'000, 'x');
    PublishOptions options;
    for (std::size_t i = 0; i < kCount; ++i) {
        options.token = PublishToken{i};
        link.publish(message("t", payload), options);
        while (w.io.poll() != 0) continue;
    }
    CHECK(link.machine().queued() > 0);
    auto sent = w.owner.outcomes.size();
    CHECK(sent < kCount);
    SECTION("all arrive when the server reads again") {
        w.peer().hold_reading(false);
        w.until([&] { return count<Publish>(w.peer().packets) == kCount; });
        CHECK(w.owner.outcomes.size() == kCount);
        for (std::size_t i = 0; i < kCount; ++i) REQUIRE(w.owner.outcomes[i].first == i);
    }
    SECTION("those that never left are told as not sent") {
        link.cut();
        REQUIRE(w.owner.outcomes.size() == kCount);
        for (auto i = sent; i < kCount; ++i) {
            CHECK(w.owner.outcomes[i].second.status == PublishStatus::not_sent);
            CHECK(w.owner.outcomes[i].second.cause == NotSent::connection_lost);
        }
    }
    SECTION("stop() does not wait for ever") {
        w.options->stop_timeout = 20ms;
        link.stop();
        w.until_state(LinkState::stopped);
        CHECK(w.owner.outcomes.size() == kCount);
    }
}

TEST_CASE("link: a server that sends and does not read makes the link stop reading", "[link]") {
    World w;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    w.peer().hold_reading(true);
    Buffer many;
    for (int i = 0; i < 100'000; ++i) {
        encode(PubRel{.id = PacketId{1}}, Version::v5, many);  // each is answered
    }
    // Until the kernel's buffers are full, however large they are here.
    for (int i = 0; i < 1000 && link.machine().output_bytes() < 100'000; ++i) {
        w.peer().send_bytes(many);
        while (w.io.poll() != 0) continue;
    }
    CHECK(link.machine().output_bytes() >= 100'000);
    for (int i = 0; i < 5; ++i) w.peer().send_bytes(many);
    while (w.io.poll() != 0) continue;
    CHECK(link.machine().output_bytes() < 700'000);
    CHECK(link.state() == LinkState::connected);
    w.peer().hold_reading(false);
    w.until([&] { return link.machine().output_bytes() == 0; });
}

TEST_CASE("link: large messages both ways", "[link]") {
    World w;
    w.options->client.packet_size_max = 10 << 20;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    auto payload = std::string(5 << 20, 'p');
    link.publish(message("t", payload, kQos1), {});
    w.peer().send(message("b", payload));
    w.until([&] { return w.owner.messages.size() == 1 && w.owner.outcomes.size() == 1; });
    CHECK(w.owner.messages[0].payload.size() == payload.size());
}

TEST_CASE("link: acknowledgements may come later", "[link]") {
    World w;
    w.owner.acknowledges = Acknowledge::later;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    AckToken token;
    w.owner.react_to_message = [&](ReceivedMessage const& m) { token = m.token; };
    auto packet = message("b", "x", kQos1);
    packet.id = PacketId{3};
    w.peer().send(packet);
    w.until([&] { return w.owner.messages.size() == 1; });
    CHECK(count<PubAck>(w.peer().packets) == 0);
    CHECK(link.acknowledge(token));
    w.until([&] { return count<PubAck>(w.peer().packets) == 1; });
    CHECK_FALSE(link.acknowledge(token));
}

TEST_CASE("link: stop() in each state ends it for good", "[link]") {
    World w;
    w.options->reconnect.delay_min = 1h;
    auto link = w.link();
    SECTION("idle") {
        link.stop();
        CHECK(w.owner.states.empty());
        return;
    }
    SECTION("before a delayed start") {
        link.start(1h);
        CHECK(w.owner.is(LinkState::waiting));
        CHECK(w.owner.retry_in == 1h);
        link.stop();
    }
    SECTION("while dialing") {
        link.start();
        link.stop();
    }
    SECTION("while a name is resolved") {
        w.options->host = "localhost";
        link.start();
        link.stop();
    }
    SECTION("before CONNACK") {
        w.server.on_packet = nullptr;
        link.start();
        w.until([&] { return w.owner.connects == 1; });
        link.stop();
    }
    SECTION("while waiting") {
        w.server.on_packet = [](auto& peer, Packet const&) { peer.close(); };
        link.start();
        w.until_state(LinkState::waiting);
        link.stop();
    }
    SECTION("while leaving") {
        link.start();
        w.until_state(LinkState::connected);
        w.server.on_packet = nullptr;
        link.stop();
        link.stop();
        w.peer().close();
    }
    w.until_state(LinkState::stopped);
    auto peers = w.server.peers.size();
    auto states = w.owner.states.size();
    link.stop();
    while (w.io.poll() != 0) continue;
    CHECK(w.owner.states.size() == states);
    w.server.on_packet = ScriptedServer::answer;
    link.start();  // and may begin again
    w.until_state(LinkState::connected);
    CHECK(w.server.peers.size() >= peers + 1);
}

TEST_CASE("link: stop() ends all publishes", "[link]") {
    World w;
    w.server.on_packet = [](auto& peer, Packet const& packet) {
        if (std::holds_alternative<Connect>(packet)) peer.send(ConnAck{});
        if (std::holds_alternative<Disconnect>(packet)) peer.close();
    };
    w.options->client.in_flight_max = 1;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    link.publish(message("t", "1", kQos1), {.token = PublishToken{1}});
    link.publish(message("t", "2", kQos1), {.token = PublishToken{2}});
    w.until([&] { return count<Publish>(w.peer().packets) == 1; });
    link.stop(Disconnect{.reason = ReasonCode::disconnect_with_will_message});
    REQUIRE(w.owner.outcomes.size() == 2);
    CHECK(w.owner.outcomes[0].second.status == PublishStatus::unknown);
    CHECK(w.owner.outcomes[1].second.status == PublishStatus::not_sent);
    CHECK(w.owner.outcomes[1].second.cause == NotSent::abandoned);
    w.until_state(LinkState::stopped);
    CHECK(std::get<Disconnect>(w.peer().packets.back()).reason ==
          ReasonCode::disconnect_with_will_message);
}

TEST_CASE("link: DISCONNECT arrives although unread bytes lie in the socket", "[link]") {
    World w;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    w.server.on_packet = nullptr;  // keeps the connection after DISCONNECT
    link.hold_reading(true);
    w.peer().send(message("b", std::string(100'000, 'x')));
    while (w.io.poll() != 0) continue;
    link.stop();
    link.hold_reading(false);
    w.until([&] { return w.peer().ended; });
    CHECK(w.peer().with_fin);
    CHECK(std::holds_alternative<Disconnect>(w.peer().packets.back()));
    w.peer().close();
    w.until_state(LinkState::stopped);
}

TEST_CASE("link: a held link reads nothing", "[link]") {
    World w;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    link.hold_reading(true);
    for (int i = 0; i < 3; ++i) w.peer().send(message("b", "x"));
    link.publish(message("t", "x"), {});
    w.until([&] { return count<Publish>(w.peer().packets) == 1; });
    // At most what one readiness, armed before, brought.
    CHECK(w.owner.messages.empty());
    link.hold_reading(false);
    w.until([&] { return w.owner.messages.size() == 3; });
}

TEST_CASE("link: it may be destroyed out of any event", "[link]") {
    World w;
    auto link = std::make_optional(w.link());
    bool destroyed = false;
    auto destroy = [&] {
        link.reset();
        destroyed = true;
    };
    auto destroy_in = [&](LinkState wanted) {
        w.owner.react = [&, wanted](LinkState state) {
            if (state == wanted) destroy();
        };
    };
    SECTION("connecting") {
        destroy_in(LinkState::connecting);
    }
    SECTION("connected") {
        destroy_in(LinkState::connected);
    }
    SECTION("waiting") {
        w.server.on_packet = [](auto& peer, Packet const&) { peer.close(); };
        destroy_in(LinkState::waiting);
    }
    SECTION("a message") {
        w.server.on_packet = [](auto& peer, Packet const&) {
            peer.send(ConnAck{});
            peer.send(message("b", "1"));
            peer.send(message("b", "2"));
        };
        w.owner.react_to_message = [&](auto const&) { destroy(); };
    }
    SECTION("an outcome") {
        w.owner.react_to_outcome = destroy;
        w.owner.react = [&](LinkState state) {
            if (state == LinkState::connected) link->publish(message("t", "x"), {});
        };
    }
    SECTION("stopping") {
        destroy_in(LinkState::stopping);
        w.server.on_packet = [&](auto& peer, Packet const& packet) {
            ScriptedServer::answer(peer, packet);
            if (link) link->stop();
        };
    }
    SECTION("stopped") {
        destroy_in(LinkState::stopped);
        w.server.on_packet = [&](auto& peer, Packet const& packet) {
            ScriptedServer::answer(peer, packet);
            if (link) link->stop();
        };
    }
    link->start();
    w.until([&] { return destroyed; });
    auto events = w.owner.events.size() + w.owner.states.size() + w.owner.messages.size();
    while (w.io.poll() != 0) continue;
    CHECK(w.owner.events.size() + w.owner.states.size() + w.owner.messages.size() == events);
}

TEST_CASE("link: destroyed, it closes its connection without DISCONNECT", "[link]") {
    World w;
    auto link = std::make_optional(w.link());
    link->start();
    w.until_state(LinkState::connected);
    link.reset();
    w.until([&] { return w.peer().ended; });
    CHECK(count<Disconnect>(w.peer().packets) == 0);
}

TEST_CASE("link: stopped out of an event it goes in order", "[link]") {
    World w;
    auto link = w.link();
    w.server.on_packet = [](auto& peer, Packet const& packet) {
        if (std::holds_alternative<Connect>(packet)) {
            peer.send(ConnAck{});
            peer.send(message("b", "1"));
            peer.send(message("b", "2"));
        } else {
            ScriptedServer::answer(peer, packet);
        }
    };
    w.owner.react_to_message = [&](auto const&) { link.stop(); };
    link.start();
    w.until_state(LinkState::stopped);
    CHECK(w.owner.messages.size() == 1);
    CHECK(w.owner.states == States{LinkState::connecting, LinkState::connected, LinkState::stopping,
                                   LinkState::stopped});
    CHECK(std::holds_alternative<Disconnect>(w.peer().packets.back()));
}

TEST_CASE("link: many links share one hub", "[link]") {
    World w;
    std::deque<Owner> owners(50);
    std::vector<Link> links;
    for (auto& owner : owners) {
        owner.connect.client_id = "bike-" + std::to_string(&owner - &owners[0]);
        links.emplace_back(w.hub, w.options, owner);
        links.back().start(std::chrono::milliseconds{links.size() % 5});
    }
    w.until([&] {
        return std::ranges::all_of(owners, [](auto& o) { return o.is(LinkState::connected); });
    });
    for (std::size_t i = 0; i < links.size(); ++i) {
        links[i].publish(message("t", std::to_string(i), kQos1), {.token = PublishToken{i}});
    }
    w.until([&] {
        return std::ranges::all_of(owners, [](auto& o) { return o.outcomes.size() == 1; });
    });
    for (auto& link : links) link.stop();
    w.until([&] {
        return std::ranges::all_of(owners, [](auto& o) { return o.is(LinkState::stopped); });
    });
}

TEST_CASE("link: the same seed gives the same delays", "[link]") {
    auto delays = [](std::uint64_t seed) {
        asio::io_context io;
        LinkHub hub{io, seed};
        auto options = std::make_shared<LinkOptions>();
        options->port = closed_port(io);
        options->reconnect = {.delay_min = 1s, .delay_max = 300s};
        std::deque<Owner> owners(5);
        std::vector<Link> links;
        std::vector<std::chrono::milliseconds> result;
        for (auto& owner : owners) {
            links.emplace_back(hub, options, owner).start();
            run_until(io, [&] { return owner.is(LinkState::waiting); });
            result.push_back(owner.retry_in);
        }
        return result;
    };
    CHECK(delays(7) == delays(7));
    CHECK(delays(7) != delays(8));
}

TEST_CASE("link over TLS: connects with a checked certificate and talks", "[link][tls]") {
    auto host = GENERATE(as<std::string>{}, "localhost", "127.0.0.1");
    TlsServer tls;
    World w{tls.context};
    w.options->host = host;
    w.options->tls = load_tls({.ca_file = certificates().file("ca.pem")});
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    auto payload = std::string(1 << 20, 'p');
    link.publish(message("t", payload, kQos1), {});
    w.peer().send(message("b", payload));
    w.peer().send(message("b", "small"));
    w.until([&] { return w.owner.messages.size() == 2 && w.owner.outcomes.size() == 1; });
    CHECK(w.owner.messages[0].payload.size() == payload.size());
    link.stop();
    w.until_state(LinkState::stopped);
    CHECK(std::holds_alternative<Disconnect>(w.peer().packets.back()));
}

TEST_CASE("link over TLS: a full socket makes publishes wait, and loses none", "[link][tls]") {
    TlsServer tls;
    World w{tls.context};
    w.options->tls = load_tls({.ca_file = certificates().file("ca.pem")});
    w.options->client.queue_bytes_max = 100 << 20;
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    w.peer().hold_reading(true);
    for (std::size_t i = 0; i < 1000; ++i) {
        link.publish(message("t", std::string(20'000, 'x')), {});
        while (w.io.poll() != 0) continue;
    }
    CHECK(link.machine().queued() > 0);
    w.peer().hold_reading(false);
    w.until([&] { return count<Publish>(w.peer().packets) == 1000; });
}

TEST_CASE("link over TLS: a certificate that does not fit is refused", "[link][tls]") {
    TlsServer tls;
    World w{tls.context};
    w.options->host = "127.0.0.1";
    TlsOptions options{.ca_file = certificates().file("ca.pem")};
    std::string expected;
    SECTION("of an unknown authority") {
        options.ca_file = certificates().file("other.pem");
        expected = "unable to get local issuer certificate";
    }
    SECTION("for another name") {
        options.server_name = "example.org";
        expected = "hostname mismatch";
    }
    SECTION("for another address") {
        options.server_name = "127.0.0.9";
        expected = "IP address mismatch";
    }
    w.options->reconnect.delay_min = 1h;
    w.options->tls = load_tls(options);
    auto link = w.link();
    link.start();
    w.until_state(LinkState::waiting);
    CHECK(w.owner.why == "127.0.0.1:" + std::to_string(w.options->port) +
                             ": TLS: certificate verify failed: " + expected);
    CHECK(w.owner.connects == 0);
}

TEST_CASE("link over TLS: without verification anything goes", "[link][tls]") {
    TlsServer tls;
    World w{tls.context};
    w.options->tls = load_tls({.server_name = "example.org", .verify = false});
    std::string name;
    SSL_CTX_set_tlsext_servername_arg(tls.context.native_handle(), &name);
    SSL_CTX_set_tlsext_servername_callback(
        tls.context.native_handle(), +[](SSL* ssl, int*, void* out) {
            *static_cast<std::string*>(out) = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
            return SSL_TLSEXT_ERR_OK;
        });
    auto link = w.link();
    link.start();
    w.until_state(LinkState::connected);
    CHECK(name == "example.org");  // SNI
}

TEST_CASE("link over TLS: a client certificate is shown if there is one", "[link][tls]") {
    TlsServer tls;
    tls.demand_certificate();
    World w{tls.context};
    w.options->reconnect.delay_min = 1h;
    TlsOptions options{.ca_file = certificates().file("ca.pem")};
    SECTION("with") {
        options.certificate_file = certificates().file("client.pem");
        options.key_file = certificates().file("client.key");
        w.options->tls = load_tls(options);
        auto link = w.link();
        link.start();
        w.until_state(LinkState::connected);
    }
    SECTION("without") {
        w.options->tls = load_tls(options);
        auto link = w.link();
        link.start();
        w.until_state(LinkState::waiting);
        CHECK(w.owner.why.find("certificate required") != std::string::npos);
    }
}

TEST_CASE("link over TLS: plain bytes from the server are told", "[link][tls]") {
    World w;
    w.options->reconnect.delay_min = 1h;
    w.options->tls = load_tls({.verify = false});
    w.server.on_accept = [](auto& peer) {
        peer.hold_reading(true);
        peer.send(ConnAck{});
    };
    auto link = w.link();
    link.start();
    w.until_state(LinkState::waiting);
    CHECK(w.owner.why.find(": TLS: ") != std::string::npos);
}

TEST_CASE("TLS files that cannot be loaded are told in one line", "[link][tls]") {
    using Catch::Matchers::Message;
    auto missing = certificates().file("missing.pem");
    CHECK_THROWS_WITH(load_tls({.ca_file = missing}),
                      "cannot load the CA file " + missing + ": no such file or directory");
    CHECK_THROWS_WITH(
        load_tls({.ca_file = certificates().file("ca.pem"), .certificate_file = missing}),
        "cannot load the certificate " + missing + ": no such file or directory");
    CHECK_THROWS_WITH(load_tls({.ca_file = certificates().file("ca.pem"),
                                .certificate_file = certificates().file("client.pem"),
                                .key_file = certificates().file("server.key")}),
                      Catch::Contains("key values mismatch"));
}
