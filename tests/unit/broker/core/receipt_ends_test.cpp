// Delivery receipts of what does not arrive: dropped with the reason, and expired when the time has
// come, wherever the message waits.
#include <catch2/catch.hpp>

#include "tests/support/fake_auth.hpp"
#include "tests/unit/broker/core/receipt_bench.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

PublishBuilder asking(std::string_view payload, mqtt::Qos qos, std::uint32_t expiry = 10) {
    static std::uint16_t id = 100;
    return ReceiptBench::asking(payload, qos, ++id).expiry(expiry);
}

}  // namespace

TEST_CASE("receipts: QoS 0 for who is not there, or too slow, is dropped") {
    auto version = GENERATE(values(kBoth));
    ReceiptBench s{{.link = {.out_queue_bytes_max = 1000}}};
    auto& b = s.subscriber("b", connect(version).resume());
    b.socket_takes(0);
    for (int i = 0; i < 3; ++i) s.publishes(publish("t", std::string(600, 'x')));
    s.publishes("slow", qos0);
    CHECK(s.steps() == Steps{"dropped b slow_receiver sent=false"});
    b.drops();
    s.publishes("away", qos0);
    CHECK(s.steps() == Steps{"dropped b offline sent=false"});
}

TEST_CASE("receipts: QoS 0 on its way when the connection breaks") {
    auto version = GENERATE(values(kBoth));
    auto taken = GENERATE(0U, 1U);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version));
    b.socket_takes(taken);
    s.publishes("x", qos0);
    CHECK(s.steps().empty());
    b.drops();
    CHECK(s.steps() == Steps{fmt::format("dropped b connection_lost sent={}", taken > 0)});
}

TEST_CASE("receipts: a packet above the client's maximum is dropped", "[v5.0][MQTT-3.1.2-24]") {
    auto qos = GENERATE(qos0, qos1, qos2);
    auto is_kept = GENERATE(false, true);
    ReceiptBench s;
    auto how = connect(Version::v5).maximum_packet_size(40);
    s.subscriber("b", is_kept ? how.resume() : how);
    s.publishes(std::string(60, 'x'), qos);
    CHECK(s.steps() == Steps{"dropped b too_large sent=false"});
    s.link("b").gets_nothing();
}

TEST_CASE("receipts: what may not be read is dropped") {
    auto qos = GENERATE(qos0, qos1, qos2);
    FakeAuthorizer rules;
    ReceiptBench s{{.link = {.authorizer = &rules}}};
    auto& b = s.subscriber("b", connect(Version::v5).resume());
    b.drops();
    if (qos != qos0) s.publishes("queued", qos);
    rules.forbid("b/", {.receive = {"t"}});
    s.publishes("new", qos);
    CHECK(s.steps() == Steps{"dropped b not_authorized sent=false"});
    if (qos == qos0) return;
    b.sends(connect(Version::v5).resume()).gets(connack().session_present()).gets_nothing();
    CHECK(s.steps() == Steps{"dropped b not_authorized sent=false"});
}

TEST_CASE("receipts: a full queue") {
    struct Case {
        broker::QueueFull policy;
        ReasonCode reason;
        Steps steps;
    };
    auto c = GENERATE(values<Case>(
        {{broker::QueueFull::drop_new, ReasonCode::success, {"dropped b queue_full sent=false"}},
         {broker::QueueFull::drop_oldest, ReasonCode::success, {"dropped b evicted sent=false"}},
         {broker::QueueFull::reject,
          ReasonCode::quota_exceeded,
          {"dropped b queue_full sent=false"}}}));
    auto qos = GENERATE(qos1, qos2);
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    ReceiptBench s{
        {.settings = {.queue_messages_max = 2, .queue_full = c.policy}, .shards = shards}};
    auto home = shards == 1 ? 0 : broker::home_shard("bridge", 2) == 0 ? 1 : 0;
    auto name = shards == 1 ? "b" : s->id_on_shard(static_cast<std::uint8_t>(home), "b");
    s.subscriber(name, connect(Version::v5).resume()).drops();
    CHECK(s.publishes("1", qos) == ReasonCode::success);
    CHECK(s.publishes("2", qos) == ReasonCode::success);
    CHECK(s.steps().empty());
    CHECK(s.publishes("3", qos) == c.reason);
    c.steps[0].replace(8, 1, name);
    CHECK(s.steps() == c.steps);
}

TEST_CASE("receipts: a session that ends with its connection ends its deliveries") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version));
    s.publishes("sent", qos);
    (void)b.takes<mqtt::Publish>();
    b.socket_takes(0);
    s.publishes("waits", qos);
    CHECK(s.steps() == Steps{"sent b"});
    auto how = GENERATE("breaks", "taken over");
    if (how == std::string{"breaks"}) {
        b.drops();
        CHECK(s.steps() ==
              Steps{"dropped b session_ended sent=true", "dropped b session_ended sent=false"});
    } else {
        s.link("new").sends(connect(version).id("b")).gets(connack());
        CHECK(s.steps() ==
              Steps{"dropped b taken_over sent=true", "dropped b taken_over sent=false"});
        // What was told to be dropped is not written any more, whatever else is.
        if (version == Version::v5)
            b.socket_takes_all().gets(disconnect(ReasonCode::session_taken_over));
        b.closes();
    }
}

TEST_CASE("receipts: a stored session that ends, by its client's wish or in time") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s{{.link = {.session_expiry_max = 3600}}};
    auto& b = s.subscriber("b", connect(version).resume());
    s.publishes("sent", qos);
    (void)b.takes<mqtt::Publish>();
    b.drops();
    s.publishes("waits", qos);
    CHECK(s.steps() == Steps{"sent b"});
    auto is_clean = GENERATE(false, true);
    if (is_clean) {
        b.sends(connect(version)).gets(connack());
    } else {
        s->pass(3'601s);
    }
    auto why = is_clean ? "clean_start" : "session_expired";
    CHECK(s.steps() == Steps{fmt::format("dropped b {} sent=true", why),
                             fmt::format("dropped b {} sent=false", why)});
}

TEST_CASE("receipts: what a share group's member leaves goes to another") {
    auto version = GENERATE(values(kBoth));
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version), qos1, "$share/g/t");
    s.publishes("x", qos1);
    (void)b.takes<mqtt::Publish>();
    auto& c = s.subscriber("c", connect(version), qos1, "$share/g/t");
    b.drops();
    CHECK(s.steps() == Steps{"sent b", "dropped b moved sent=true", "sent c"});
    c.sends(puback(c.takes<mqtt::Publish>().id.value));
    CHECK(s.steps() == Steps{"acked c"});
}

TEST_CASE("receipts: a receiver that is gone when its batch comes") {
    ReceiptBench s{{.shards = 2}};
    auto home = static_cast<std::uint8_t>(1 - broker::home_shard("bridge", 2));
    auto name = s->id_on_shard(home, "b");
    s.subscriber(name, connect(Version::v5));
    s->hold_batches();
    s.bridge().sends(ReceiptBench::asking("x", qos1)).gets(puback(1));
    s.link(name).drops();
    s->pass_batches();
    CHECK(s.steps() == Steps{"dropped null session_ended sent=false"});
}

// --- expired ---

TEST_CASE("receipts: a message that has expired on arrival") {
    auto qos = GENERATE(qos0, qos1, qos2);
    ReceiptBench s;
    s.subscriber("b", connect(Version::v5).resume());
    s.publishes(asking("x", qos, 0));
    s.link("b").gets_nothing();
    CHECK(s.steps() == Steps{"expired b"});
}

TEST_CASE("receipts: expiry in the queue of who is away is told when it comes") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    b.drops();
    s.publishes(asking("1", qos, 10));
    s.publishes(asking("2", qos, 3));
    s.publishes(asking("3", qos, 3600));
    s->pass(2'999ms);
    CHECK(s.steps().empty());
    s->pass(100ms);
    CHECK(s.steps() == Steps{"expired b"});
    s->pass(7s);
    CHECK(s.steps() == Steps{"expired b"});
    CHECK(s->session("b")->queue.size() == 1);  // room again
    b.sends(connect(version).resume()).gets(connack().session_present());
    CHECK(as_text(b.takes<mqtt::Publish>().payload) == "3");
    CHECK(s.steps() == Steps{"sent b"});
    CHECK(s->count([](auto const& c) { return c.dropped.expired.read(); }) == 2);
}

TEST_CASE("receipts: expiry behind a full window is told when it comes") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    auto is_kept = GENERATE(false, true);
    ReceiptBench s{{.link = {.inflight_max = 1}}};
    auto& b = s.subscriber("b", is_kept ? connect(version).resume() : connect(version));
    s.publishes(asking("1", qos, 3600));
    s.publishes(asking("2", qos, 5));
    s.publishes(publish("t", "3", qos, 7));
    CHECK(s.steps() == Steps{"sent b"});
    s->pass(5'100ms);
    CHECK(s.steps() == Steps{"expired b"});
    auto id = b.takes<mqtt::Publish>().id.value;
    if (qos == qos1) b.sends(puback(id));
    if (qos == qos2) b.sends(pubrec(id)).gets(pubrel(id)).sends(pubcomp(id));
    CHECK(s.steps() == Steps{"acked b"});
    CHECK(as_text(b.takes<mqtt::Publish>().payload) == "3");
}

TEST_CASE("receipts: expiry in the out-queue is told when it comes") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos0, qos1, qos2);
    auto is_kept = GENERATE(false, true);
    ReceiptBench s;
    auto& b = s.subscriber("b", is_kept ? connect(version).resume() : connect(version));
    b.socket_takes(0);
    s.publishes(asking("1", qos, 2));
    s.publishes(asking("2", qos, 4));
    s->pass(2'100ms);
    CHECK(s.steps() == Steps{"expired b"});
    s->pass(2'900ms);
    CHECK(s.steps() == Steps{"expired b"});
    b.socket_takes_all().gets_nothing();
    CHECK(s.steps().empty());
}

TEST_CASE("receipts: what the socket did not take expires at the session's end of the wire") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    b.socket_takes(0);
    s.publishes(asking("1", qos, 4));
    b.drops();
    bool is_late = GENERATE(false, true);
    if (is_late) {
        s->pass(4'100ms);
        CHECK(s.steps() == Steps{"expired b"});
        b.sends(connect(version).resume()).gets(connack().session_present()).gets_nothing();
    } else {
        b.sends(connect(version).resume()).gets(connack().session_present());
        CHECK_FALSE(b.takes<mqtt::Publish>().dup);
        CHECK(s.steps() == Steps{"sent b"});
    }
}

TEST_CASE("receipts: what was begun is not told to have expired") {
    auto version = GENERATE(values(kBoth));
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    b.socket_takes(1);
    s.publishes(asking("1", qos1, 4));
    b.drops();
    s->pass(5s);
    CHECK(s.steps().empty());
    b.sends(connect(version).resume()).gets(connack().session_present());
    CHECK(b.takes<mqtt::Publish>().dup);
    CHECK(s.steps() == Steps{"sent b dup"});
}

// --- over a restart ---

TEST_CASE("receipts: a stored message keeps its request over a restart") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    s.subscriber("b", connect(version).resume()).drops();
    s.publishes(asking("1", qos, 100));
    s.restarts(10s);
    CHECK(s.steps().empty());
    auto& b = s.link("b");
    b.sends(connect(version).resume()).gets(connack().session_present());
    auto id = b.takes<mqtt::Publish>().id.value;
    CHECK(s.steps() == Steps{"sent b"});
    if (qos == qos1) b.sends(puback(id));
    if (qos == qos2) b.sends(pubrec(id)).gets(pubrel(id)).sends(pubcomp(id));
    CHECK(s.steps() == Steps{"acked b"});
}

TEST_CASE("receipts: expiry after a restart is told, whether or not the client comes back") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    b.drops();
    s.publishes(asking("1", qos, 100));
    s.publishes(asking("2", qos, 50));
    s.publishes(asking("3", qos, 1'000));
    bool is_over = GENERATE(false, true);  // before the broker is back
    s.restarts(is_over ? 200s : 10s);
    s->pass(is_over ? 100ms : 91s);
    CHECK(s.steps() == Steps{"expired b", "expired b"});
    s.link("b").sends(connect(version).resume()).gets(connack().session_present());
    CHECK(as_text(s.link("b").takes<mqtt::Publish>().payload) == "3");
    CHECK(s.steps() == Steps{"sent b"});
}

TEST_CASE("receipts: after a restart what may have been sent is not told to have expired") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    s.publishes(asking("1", qos, 20));
    (void)b.takes<mqtt::Publish>();
    CHECK(s.steps() == Steps{"sent b"});
    s.restarts(30s);
    s->pass(1s);
    s.link("b").sends(connect(version).resume()).gets(connack().session_present());
    auto packets = s.link("b").waiting();
    CHECK(packets == 1);  // PUBLISH again: it is known to be sent
    CHECK(s.steps() == Steps{"sent b dup"});
}

TEST_CASE("receipts: a QoS 2 message that is released over a restart is told when it is done") {
    auto version = GENERATE(values(kBoth));
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    s.publishes(asking("1", qos2, 20));
    auto id = b.takes<mqtt::Publish>().id.value;
    b.sends(pubrec(id)).gets(pubrel(id));
    CHECK(s.steps() == Steps{"sent b"});
    s.restarts();
    auto& again = s.link("b");
    again.sends(connect(version).resume()).gets(connack().session_present()).gets(pubrel(id));
    again.sends(pubcomp(id));
    CHECK(s.steps() == Steps{"acked b"});
    s.restarts();
    CHECK(s.store().delivery_count() == 0);
}

TEST_CASE("receipts: sessions that end after a restart tell of what they never read") {
    auto version = GENERATE(values(kBoth));
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    b.drops();
    s.publishes("1", qos1);
    s.publishes("2", qos2);
    s.restarts();
    s.link("b").sends(connect(version)).gets(connack());
    CHECK(s.steps() ==
          Steps{"dropped b clean_start sent=false", "dropped b clean_start sent=false"});
    s.restarts();
    CHECK(s.store().delivery_count() == 0);
    CHECK(s.store().session_count() == 0);
}

TEST_CASE("receipts: a message for a stored session is sent once that is durable") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ScriptOptions options;
    options.settings.receipts.clients = {"bridge"};
    Script s{options};
    s.link("b").sends(connect(version).resume()).gets(connack());
    s.link("b").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("bridge").sends(connect(Version::v5)).gets(connack());
    s.link("bridge").sends(subscribe(1, "r")).gets(suback(1));
    s.store().hold();
    s.link("bridge").sends(ReceiptBench::asking("x", qos).expiry(5));
    s.link("b").gets_nothing();
    bool expires = GENERATE(false, true);
    if (expires) s.pass(6s);
    s.becomes_durable();
    if (expires) {
        s.link("b").gets_nothing();
    } else {
        CHECK(as_text(s.link("b").takes<mqtt::Publish>().payload) == "x");
    }
    auto packets = s.link("bridge").waiting();
    CHECK(packets == 2);  // the answer and the receipt
}
