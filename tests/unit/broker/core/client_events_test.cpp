// What is told of clients that come and go, on $SYS/brokers/NODE/clients/CLIENT/WHAT.
#include <catch2/catch.hpp>

#include "broker/core/client_event.hpp"
#include "tests/support/fake_auth.hpp"
#include "tests/unit/broker/core/receipt_bench.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};
constexpr auto kAll = "$SYS/brokers/+/clients/+/+";

struct Watched {
    explicit Watched(ScriptOptions options = {}) : s{named(std::move(options))} {
        watch().sends(connect(Version::v5)).gets(connack());
        watch().sends(subscribe(1, kAll, qos2)).gets(suback(1));
    }
    static ScriptOptions named(ScriptOptions options) {
        options.settings.client_events.node = "n1";
        return options;
    }
    ScriptLink& watch() { return s.link("watch"); }
    /// "connected b", "disconnected b normal_disconnection 0 client", ... in order.
    Steps events() {
        Steps all;
        for (auto const& event : watch().takes_all<mqtt::Publish>()) {
            auto json = as_text(event.payload);
            auto line = event.topic.substr(event.topic.rfind('/') + 1);
            for (auto const* name : {"client", "reason", "reason_code", "by"}) {
                auto text = field(json, name);
                std::erase(text, '"');
                if (!text.empty()) line += " " + text;
            }
            all.push_back(std::move(line));
        }
        return all;
    }
    Script s;
};

}  // namespace

TEST_CASE("client events: what they say") {
    Watched w;
    FakeAuthenticator users;
    users.users = {{"ann", "pw"}};
    broker::LinkSettings settings;
    settings.authenticator = &users;
    w.s.pass(10ms);
    auto& b = w.s.link("b");
    b.through(settings)
        .sends(connect(Version::v5).keep_alive(60).with([](mqtt::Connect& packet) {
            packet.user_name = "ann";
            packet.password = to_buffer("pw");
        }))
        .gets(connack());
    auto event = w.watch().takes<mqtt::Publish>();
    CHECK(event.topic == "$SYS/brokers/n1/clients/b/connected");
    CHECK(event.qos == qos0);
    CHECK_FALSE(event.retain);
    CHECK(event.properties.content_type == "application/json");
    CHECK(as_text(event.payload) ==
          R"({"client":"b","user":"ann","address":"b","protocol":"MQTT 5.0","keep_alive":60,)"
          R"("clean_start":true,"session_present":false,"connection":1700000000133000,)"
          R"("at_us":1700000000133000})");
    w.s.pass(1s);
    b.sends(disconnect(ReasonCode::success)).closes();
    event = w.watch().takes<mqtt::Publish>();
    CHECK(event.topic == "$SYS/brokers/n1/clients/b/disconnected");
    CHECK(as_text(event.payload) ==
          R"({"client":"b","connection":1700000000133000,"reason":"normal_disconnection",)"
          R"("reason_code":0,"by":"client","detail":"","connected_at_us":1700000000133000,)"
          R"("at_us":1700000001133000})");
}

TEST_CASE("client events: the versions, and a session that is there") {
    Watched w;
    for (auto [version, name] :
         {std::pair{Version::v3_1, "MQTT 3.1"}, std::pair{Version::v3_1_1, "MQTT 3.1.1"}}) {
        w.s.link("b").sends(connect(version).clean(false));
        (void)w.s.link("b").takes<mqtt::ConnAck>();
        auto json = w.watch().takes<mqtt::Publish>().payload;
        CHECK(field(as_text(json), "protocol") == fmt::format("\"{}\"", name));
        CHECK(field(as_text(json), "clean_start") == "false");
        CHECK(field(as_text(json), "user") == "null");
        CHECK(field(as_text(json), "session_present") ==
              (version == Version::v3_1 ? "false" : "true"));
        w.s.link("b").drops();
        (void)w.events();
    }
}

TEST_CASE("client events: each way a connection ends has its reason") {
    auto version = GENERATE(values(kBoth));
    bool v5 = version == Version::v5;
    Watched w;
    auto& b = w.s.link("b");
    auto begin = [&](ConnectBuilder const& how) {
        b.sends(how).gets(connack());
        CHECK(w.events() == Steps{"connected b"});
    };
    begin(connect(version));
    b.sends(disconnect(ReasonCode::success));
    CHECK(w.events() == Steps{"disconnected b normal_disconnection 0 client"});
    begin(connect(version));
    b.drops();
    CHECK(w.events() == Steps{"disconnected b connection_lost null network"});
    begin(connect(version).keep_alive(10));
    w.s.pass(16s);
    CHECK(w.events() == Steps{"disconnected b keep_alive_timeout 141 broker"});
    (void)b.takes_all<mqtt::Disconnect>();
    begin(connect(version));
    b.sends(connect(version));
    CHECK(w.events() == Steps{"disconnected b protocol_error 130 broker"});
    (void)b.takes_all<mqtt::Disconnect>();
    begin(connect(version));
    w.s.link("other").sends(connect(version).id("b")).gets(connack());
    CHECK(w.events() == Steps{"disconnected b session_taken_over 142 broker", "connected b"});
    (void)b.takes_all<mqtt::Disconnect>();
    w.s.link("other").drops();
    (void)w.events();
    begin(connect(version));
    b.sends_bytes(Buffer{std::byte{0xF0}, std::byte{0x00}});
    auto last = w.events();
    REQUIRE(last.size() == 1);
    CHECK(last[0].ends_with(" broker"));
    if (!v5) return;
    (void)b.takes_all<mqtt::Disconnect>();
    begin(connect(version));
    b.sends(disconnect(ReasonCode::disconnect_with_will_message));
    CHECK(w.events() == Steps{"disconnected b disconnect_with_will_message 4 client"});
    begin(connect(version));
    b.sends(publish("a", "x").alias(99));
    CHECK(w.events() == Steps{"disconnected b topic_alias_invalid 148 broker"});
}

TEST_CASE("client events: connections are numbered in rising order") {
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{3});
    Watched w{{.shards = shards}};
    std::set<std::int64_t> all;
    std::map<std::string, std::int64_t> last;
    for (int round = 0; round < 5; ++round) {
        if (round == 3) w.s.pass(1ms);
        for (int i = 0; i < 6; ++i) {
            auto& link = w.s.link("c" + std::to_string(i));
            link.sends(connect(Version::v5)).gets(connack()).drops();
        }
        for (auto const& event : w.watch().takes_all<mqtt::Publish>()) {
            auto json = as_text(event.payload);
            auto number = std::stoll(field(json, "connection"));
            auto& before = last[field(json, "client")];
            if (event.topic.ends_with("/connected")) {
                CHECK(number > before);
                CHECK(all.insert(number).second);
                before = number;
            } else {
                CHECK(number == before);
            }
        }
    }
    CHECK(all.size() == 30);
}

TEST_CASE("client events: a client id is one level of the topic") {
    struct Case {
        std::string_view id;
        std::string_view level;
    };
    auto c = GENERATE(values<Case>({{"plain-1.ä", "plain-1.ä"},
                                    {"a/b", "a%2Fb"},
                                    {"+#%", "%2B%23%25"},
                                    {"\x01\x1F\x7F", "%01%1F%7F"},
                                    {"$x y", "$x y"}}));
    CHECK(broker::as_topic_level(c.id) == c.level);
    Watched w;
    w.s.link("x").sends(connect(Version::v5).id(std::string{c.id})).gets(connack());
    auto event = w.watch().takes<mqtt::Publish>();
    CHECK(event.topic == fmt::format("$SYS/brokers/n1/clients/{}/connected", c.level));
}

TEST_CASE("client events: an id that is too long for a topic is not told", "[limits]") {
    Watched w{{.link = {.client_id_size_max = 65'535}}};
    auto fits = 65'535 - std::string_view{"$SYS/brokers/n1/clients//connected"}.size();
    w.s.link("x").sends(connect(Version::v5).id(std::string(fits, 'i'))).gets(connack());
    CHECK(w.watch().takes<mqtt::Publish>().topic.size() == 65'535);
    w.s.link("x").drops();
    w.watch().gets_nothing();  // "disconnected" has more letters
}

TEST_CASE("client events: nobody listens, or they are switched off: none is made") {
    bool on = GENERATE(false, true);
    Script s{{.settings = {.client_events = {.enabled = on, .node = "n1"}}}};
    s.link("watch").sends(connect(Version::v5)).gets(connack());
    s.link("watch").sends(subscribe(1, on ? "#" : kAll)).gets(suback(1));
    s.link("b").sends(connect(Version::v5)).gets(connack()).drops();
    s.link("watch").gets_nothing();
    CHECK(s.count([](auto const& c) { return c.client_events.read(); }) == 0);
}

TEST_CASE("client events: who may not read $SYS does not get them") {
    FakeAuthorizer rules;
    rules.forbid("watch/", {.receive = {"$SYS/brokers/n1/clients/b/connected"}});
    Watched w{{.link = {.authorizer = &rules}}};
    w.s.link("b").sends(connect(Version::v5)).gets(connack()).drops();
    CHECK(w.events() == Steps{"disconnected b connection_lost null network"});
    rules.forbid("watch/", {.subscribe = {kAll}});
    w.watch().sends(subscribe(2, kAll)).gets(suback(2, {ReasonCode::not_authorized}));
    // None but the broker publishes there.
    w.s.link("b").sends(connect(Version::v5)).gets(connack());
    w.s.link("b")
        .sends(publish("$SYS/brokers/n1/clients/x/connected", "{}", qos1, 1))
        .gets(puback(1, ReasonCode::not_authorized));
}

TEST_CASE("client events: behind a mount point nobody sees them, and others see its clients") {
    broker::LinkSettings inside;
    inside.mount_point = "site-7/";
    Watched w;
    w.s.link("in").through(inside).sends(connect(Version::v5)).gets(connack());
    w.s.link("in").sends(subscribe(1, kAll)).gets(suback(1));
    w.s.link("b").sends(connect(Version::v5)).gets(connack());
    CHECK(w.events() == Steps{"connected in", "connected b"});
    w.s.link("in").gets_nothing();
}

TEST_CASE("client events: a storm of clients does not grow the queue of a slow watcher",
          "[limits]") {
    constexpr std::uint64_t kLimit = 20'000;
    Watched w{{.link = {.out_queue_bytes_max = kLimit}, .keeps_log = false}};
    w.watch().socket_takes(0);
    for (int i = 0; i < 1000; ++i) {
        auto& link = w.s.link(fmt::format("c{}", i));
        link.sends(connect(Version::v5)).gets(connack()).drops();
        CHECK(w.watch().link().out.bytes() < kLimit + 1000);
    }
    CHECK(w.s.dropped().slow_receiver.read() > 1500);
    w.watch().socket_takes_all();
    CHECK(w.watch().takes_all<mqtt::Publish>().size() > 50);
}
