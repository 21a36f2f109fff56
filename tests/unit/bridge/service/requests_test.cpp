#include "bridge/service/requests.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

using Status = RequestOutcome::Status;

struct World {
    Status status() const { return outcomes.at(0).status; }

    void ask(RequestWish wish) {
        requests.start(
            std::move(wish), [this](RequestOutcome const& outcome) { outcomes.push_back(outcome); },
            clock.now);
    }

    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        requests.on_timer(clock.now);
    }

    void reply(std::string topic, std::string_view payload) {
        mqtt::Publish message;
        message.topic = std::move(topic);
        message.payload = to_buffer(payload);
        requests.on_message(message);
    }

    FakeClock clock;
    FakeUplink uplink;
    std::vector<RequestOutcome> outcomes;
    Requests requests{
        {.open_max = 4, .waiting_max = 2}, "b/1", {"d/+/ans"}, uplink, counting_random()};
};

RequestWish ask_plc(std::string payload = "{}") {
    RequestWish wish;
    wish.message.topic = "factory/7/plc";
    wish.message.payload = to_buffer(payload);
    wish.message.qos = mqtt::Qos::at_least_once;
    wish.wait = 2'500ms;
    return wish;
}

RequestWish ask_old(std::string payload = "{}", std::string match = {}) {
    auto wish = ask_plc(std::move(payload));
    wish.reply_topic = "factory/7/plc/re";
    wish.match = std::move(match);
    return wish;
}

mqtt::PublishOutcome acknowledged(mqtt::ReasonCode reason = mqtt::ReasonCode::success) {
    return {mqtt::PublishStatus::acknowledged, mqtt::NotSent::none, reason, {}};
}

}  // namespace

TEST_CASE("requests: MQTT 5: the first answer whose correlation matches",
          "[bridge][requests][row-13]") {
    World w;
    w.ask(ask_plc());
    REQUIRE(w.uplink.published.size() == 1);
    auto const sent = w.uplink.published[0].message;
    CHECK(w.uplink.published[0].deadline == w.clock.now.steady + 2'500ms);
    CHECK(sent.properties.message_expiry_interval == 3);
    auto topic = sent.properties.response_topic.value();
    CHECK(topic.starts_with("$r/b%2F1/"));
    CHECK(w.requests.wants(topic));
    CHECK(w.uplink.subscribes.empty());

    w.reply(topic, "no correlation");
    mqtt::Publish answer;
    answer.topic = topic;
    answer.payload = to_buffer("42");
    answer.properties.correlation_data = to_buffer("another");
    w.requests.on_message(answer);
    CHECK(w.outcomes.empty());
    answer.properties.correlation_data = sent.properties.correlation_data;
    answer.properties.content_type = "text/plain";
    answer.properties.user_properties = {{"a", "b"}};
    w.requests.on_message(answer);
    w.requests.on_message(answer);  // again: nobody waits any more
    REQUIRE(w.outcomes.size() == 1);
    CHECK(w.status() == Status::answered);
    CHECK(w.outcomes[0].answer == answer);
    CHECK(w.requests.counters().answers_unmatched == 3);
    CHECK_FALSE(w.requests.next_deadline());
}

TEST_CASE("requests: the ends without an answer", "[bridge][requests]") {
    World w;
    SECTION("sent, nothing came") {
        w.ask(ask_plc());
        w.uplink.published[0].done(acknowledged());
        CHECK(w.requests.next_deadline() == w.clock.now.steady + 2'500ms);
        w.advance(2'499ms);
        CHECK(w.outcomes.empty());
        w.advance(1ms);
        CHECK(w.status() == Status::sent);
    }
    SECTION("perhaps sent: the connection was lost") {
        w.ask(ask_plc());
        w.uplink.published[0].done({mqtt::PublishStatus::unknown, {}, {}, {}});
        w.advance(2'500ms);
        CHECK(w.status() == Status::sent);
    }
    SECTION("nobody listens") {
        w.ask(ask_plc());
        w.uplink.published[0].done(acknowledged(mqtt::ReasonCode::no_matching_subscribers));
        CHECK(w.status() == Status::nobody);
    }
    SECTION("refused") {
        w.ask(ask_plc());
        w.uplink.published[0].done(
            {mqtt::PublishStatus::refused, {}, mqtt::ReasonCode::not_authorized, {}});
        CHECK(w.status() == Status::refused);
        CHECK(w.outcomes[0].reason == mqtt::ReasonCode::not_authorized);
    }
    SECTION("no connection") {
        w.uplink.cause = mqtt::NotSent::not_connected;
        w.ask(ask_plc());
        CHECK(w.status() == Status::not_sent);
        CHECK(w.outcomes[0].cause == mqtt::NotSent::not_connected);
    }
    SECTION("not a byte left") {
        w.ask(ask_plc());
        w.uplink.published[0].done(
            {mqtt::PublishStatus::not_sent, mqtt::NotSent::connection_lost, {}, {}});
        CHECK(w.status() == Status::not_sent);
    }
    SECTION("the bridge stops") {
        w.ask(ask_plc());
        w.ask(ask_old());  // its subscription has not been answered
        w.requests.drain();
        REQUIRE(w.outcomes.size() == 2);
        CHECK(w.outcomes[0].status == Status::sent);
        CHECK(w.outcomes[1].status == Status::not_sent);
        w.ask(ask_plc());
        CHECK(w.outcomes.at(2).status == Status::not_sent);
        CHECK(w.uplink.published.size() == 1);
    }
    CHECK(w.requests.size() == 0);
}

TEST_CASE("requests: what can never be sent is refused at once", "[bridge][requests]") {
    World w;
    auto wish = ask_old(R"({"id":1})");
    SECTION("topic") {
        wish.message.topic = "a/+";
    }
    SECTION("reply") {
        wish.reply_topic = "a/#";
    }
    SECTION("reply is the request") {
        wish.reply_topic = wish.message.topic;
    }
    SECTION("retained") {
        wish.message.retain = true;
    }
    SECTION("match without reply") {
        wish.reply_topic.clear();
        wish.match = "/id";
    }
    SECTION("nothing at the pointer") {
        wish.match = "/no";
    }
    SECTION("no pointer") {
        wish.match = "id";
    }
    SECTION("no JSON") {
        wish.match = "/id";
        wish.message.payload = to_buffer("{");
    }
    w.ask(wish);
    CHECK(w.status() == Status::invalid);
    CHECK_FALSE(w.outcomes[0].why.empty());
    CHECK(w.uplink.subscribes.empty());
    CHECK(w.uplink.published.empty());
}

TEST_CASE("requests: MQTT 3.1.1: a member in common tells the answer", "[bridge][requests]") {
    World w;
    w.ask(ask_old(R"({"q":{"id":1}})", "/q/id"));
    w.ask(ask_old(R"({"q":{"id":"x"}})", "/q/id"));
    REQUIRE(w.uplink.subscribes.size() == 1);  // one for both
    CHECK(w.uplink.published.empty());         // not before it stands
    w.uplink.subscribes[0].second("");
    REQUIRE(w.uplink.published.size() == 2);
    w.reply("factory/7/plc/re", R"({"q":{"id":2}})");
    w.reply("factory/7/plc/re", "not json");
    CHECK(w.outcomes.empty());
    w.reply("factory/7/plc/re", R"({"q":{"id":"x"},"v":7})");
    CHECK(w.outcomes.size() == 1);
    CHECK(w.uplink.unsubscribes.empty());
    w.reply("factory/7/plc/re", R"({"q":{"id":1}})");
    CHECK(w.outcomes.size() == 2);
    CHECK(w.uplink.unsubscribes == std::vector<std::string>{"factory/7/plc/re"});
    CHECK_FALSE(w.requests.wants("factory/7/plc/re"));
}

TEST_CASE("requests: MQTT 3.1.1 without a match: one at a time", "[bridge][requests]") {
    World w;
    w.ask(ask_old("1"));
    w.ask(ask_old("2"));
    w.ask(ask_old("3"));
    CHECK(w.status() == Status::not_sent);  // two may wait
    CHECK(w.outcomes[0].cause == mqtt::NotSent::queue_full);
    CHECK(w.requests.counters().refused_full == 1);
    w.reply("factory/7/plc/re", "early");  // before the request has left
    w.uplink.subscribes.at(0).second("");
    REQUIRE(w.uplink.published.size() == 1);

    SECTION("the next message is the answer") {
        mqtt::Publish stored;
        stored.topic = "factory/7/plc/re";
        stored.retain = true;
        w.requests.on_message(stored);
        CHECK(w.outcomes.size() == 1);
        w.reply("factory/7/plc/re", "one");
        REQUIRE(w.outcomes.size() == 2);
        CHECK(as_text(w.outcomes[1].answer->payload) == "one");
        REQUIRE(w.uplink.published.size() == 2);
        CHECK(as_text(w.uplink.published[1].message.payload) == "2");
        w.reply("factory/7/plc/re", "two");
        CHECK(as_text(w.outcomes.at(2).answer->payload) == "two");
    }
    SECTION("who waits too long for his turn has sent nothing") {
        w.advance(2'500ms);
        REQUIRE(w.outcomes.size() == 3);
        CHECK(w.outcomes[1].status == Status::sent);
        // Its turn came at the very moment its time was up.
        CHECK(w.outcomes[2].status != Status::answered);
    }
    CHECK(w.uplink.unsubscribes.size() == 1);
}

TEST_CASE("requests: subscriptions that fail, or are lost with their connection",
          "[bridge][requests]") {
    World w;
    w.ask(ask_old());
    SECTION("refused") {
        w.uplink.subscribes.at(0).second("not authorized");
        CHECK(w.status() == Status::refused);
        CHECK(w.uplink.published.empty());
    }
    SECTION("lost before its answer") {
        w.uplink.subscribes.at(0).second("connection lost");
        CHECK(w.outcomes.empty());
        w.requests.on_connected();
        REQUIRE(w.uplink.subscribes.size() == 2);
        w.uplink.subscribes[0].second("not authorized");  // of the connection before
        w.uplink.subscribes[1].second("");
        CHECK(w.uplink.published.size() == 1);
    }
    SECTION("made again on a new connection, the request is not") {
        w.uplink.subscribes.at(0).second("");
        w.requests.on_connected();
        w.uplink.subscribes.at(1).second("");
        CHECK(w.uplink.published.size() == 1);
    }
}

TEST_CASE("requests: a reply topic that the bridge hears anyhow", "[bridge][requests]") {
    World w;
    auto wish = ask_old("{}");
    wish.reply_topic = "d/b1/ans";
    w.ask(wish);
    CHECK(w.uplink.subscribes.empty());
    CHECK(w.uplink.published.size() == 1);
    w.requests.on_connected();
    w.reply("d/b1/ans", "x");
    CHECK(w.status() == Status::answered);
    CHECK(w.uplink.unsubscribes.empty());
}

TEST_CASE("requests: no more than so many are open", "[bridge][requests]") {
    World w;
    for (int i = 0; i < 4; ++i) w.ask(ask_plc());
    CHECK(w.outcomes.empty());
    w.ask(ask_plc());
    CHECK(w.status() == Status::not_sent);
    CHECK(w.outcomes[0].cause == mqtt::NotSent::queue_full);
}

}  // namespace spoke::bridge::test
