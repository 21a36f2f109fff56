#include "bridge/service/service.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

constexpr auto kBirth = R"({"on":true,"boot":7,"up":1830,"fw":"2.4.1"})";

CommandId accepted(ServiceWorld& w, CommandRequest request, std::string trace = {}) {
    auto result = w.service.submit(std::move(request), {"tester", std::move(trace)}, {});
    return std::get<CommandTracker::Accepted>(result).id;
}

std::string answer(CommandId const& id, std::string_view rest) {
    return "{\"id\":\"" + id.text() + "\"," + std::string{rest} + "}";
}

mqtt::PublishOutcome acknowledged(mqtt::ReasonCode reason) {
    return {mqtt::PublishStatus::acknowledged, mqtt::NotSent::none, reason, {}};
}

TEST_CASE("service: a recorded message has its type, key, collapse key and end from its properties",
          "[bridge]") {
    ServiceWorld w;
    IncomingMessage message{"u/7777/in", R"({"type":"other"})"};
    message.type = "like";
    message.key = "k1";
    message.collapse = "post-9";
    message.expires_in = 60s;
    w.service.on_message(message);
    w.service.on_message(message);  // again under the same key
    w.store_all();
    auto page = w.events.events({});
    REQUIRE(page.events.size() == 1);
    auto const& event = page.events[0];
    CHECK(event.type == "like");
    CHECK(event.key == "k1");
    CHECK(event.collapse == "post-9");
    CHECK(event.expires_at == w.clock.now.wall + 60s);
    CHECK(event.from_broker);
}

TEST_CASE("service: properties longer than the limits are none", "[bridge]") {
    ServiceWorld w;
    std::string type(65, 't');
    std::string key(256, 'k');
    std::string collapse(129, 'c');
    IncomingMessage message{"u/7777/in", R"({"type":"other"})"};
    message.type = type;
    message.key = key;
    message.collapse = collapse;
    w.service.on_message(message);
    w.store_all();
    auto event = w.events.events({}).events.at(0);
    CHECK(event.type == "other");
    CHECK(event.key.empty());
    CHECK(event.collapse.empty());
}

}  // namespace

TEST_CASE("service: the order as it goes over MQTT", "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto request = unlock();
    request.ttl = 7'790ms;
    auto id = accepted(w, request, "00-a-b-01");
    CHECK(w.uplink.published.empty());
    w.clock.advance(10ms);  // the store takes its time
    w.store_all();
    REQUIRE(w.uplink.published.size() == 1);
    auto const& [message, deadline, done] = w.uplink.published[0];
    CHECK(message.topic == "d/b42/cmd");
    CHECK(message.qos == mqtt::Qos::at_least_once);
    CHECK_FALSE(message.retain);
    CHECK(message.properties.message_expiry_interval == 8);  // 7780 ms, rounded up
    CHECK(message.properties.content_type == "application/json");
    CHECK(message.properties.response_topic == "d/b42/ans");
    auto raw = id.raw();
    CHECK(message.properties.correlation_data == Buffer{raw.begin(), raw.end()});
    CHECK(message.properties.user_properties ==
          mqtt::UserProperties{{"n", "1"}, {"traceparent", "00-a-b-01"}});
    CHECK(w.service.find_command(id)->state == CommandState::queued);
    CHECK(deadline == w.clock.now.steady + 7'780ms);
    auto payload = as_text(message.payload);
    CHECK(payload.find("\"ttl\":7780") != std::string_view::npos);
    CHECK(payload.find(
              "\"exp\":" +
              std::to_string(w.service.find_command(id)->deadline.time_since_epoch().count())) !=
          std::string_view::npos);
    CHECK(payload.find("\"exp_up\":9620") != std::string_view::npos);
}

TEST_CASE("service: births, states, answers and events reach their commands", "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth, true);
    w.message("d/b42/state", R"({"boot":7,"last_n":{"lock":117},"lock":"locked"})", true);
    auto id = accepted(w, unlock());
    w.store_all();
    CHECK(w.service.find_command(id)->n == 118);
    w.uplink.published.at(0).done(acknowledged(mqtt::ReasonCode::success));
    w.message("d/b42/ans", answer(id, R"("n":118,"r":"started")"));
    CHECK(w.service.find_command(id)->state == CommandState::running);
    w.message("d/b42/ans", answer(id, R"("n":118,"r":"ok","took":612)"));
    CHECK(w.service.find_command(id)->state == CommandState::succeeded);
    CHECK(w.store.find(id)->state == CommandState::succeeded);

    auto silent = accepted(w, unlock());
    w.store_all();
    w.message("d/b42/state", R"({"boot":7,"jrn":[[")" + silent.text() + R"(","fail:jam",119]]})");
    CHECK(w.service.find_command(silent)->state == CommandState::failed);

    w.message("d/b42/up", R"({"on":false,"boot":7})");
    auto presence = [&] {
        return w.service.devices().presence(*w.service.devices().find("b42"), w.clock.now.steady);
    };
    CHECK(presence() == Presence::offline);
    w.message("d/b42/evt", "anything at all");
    CHECK(presence() == Presence::online);
    w.message("d/b42/up", "");
    CHECK(w.service.devices().find("b42") == nullptr);
}

TEST_CASE("service: the broker's word on an order", "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto id = accepted(w, unlock());
    w.store_all();
    mqtt::PublishOutcome outcome;
    std::string why;
    SECTION("nobody listens") {
        outcome = acknowledged(mqtt::ReasonCode::no_matching_subscribers);
        why = "no_subscriber";
    }
    SECTION("refused") {
        outcome = {mqtt::PublishStatus::refused,
                   mqtt::NotSent::none,
                   mqtt::ReasonCode::not_authorized,
                   {}};
        why = "broker_refused: not authorized";
    }
    SECTION("expired in the connection's queue") {
        w.clock.advance(8s);
        outcome = {mqtt::PublishStatus::not_sent, mqtt::NotSent::expired, {}, {}};
        why = "not_sent: expired";
    }
    auto done = w.uplink.published.at(0).done;
    done(outcome);
    w.store_all();
    CHECK(w.service.find_command(id)->state == CommandState::expired);
    CHECK(w.service.find_command(id)->why == why);
}

TEST_CASE("service: an order that found no room leaves when there is some", "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    w.message("d/b43/up", kBirth);
    accepted(w, unlock("b43"));
    w.store_all();
    w.uplink.cause = mqtt::NotSent::queue_full;
    auto id = accepted(w, unlock());
    w.store_all();
    CHECK(w.service.find_command(id)->state == CommandState::queued);
    CHECK(w.uplink.published.size() == 1);
    w.uplink.cause = mqtt::NotSent::none;
    auto done = w.uplink.published.at(0).done;
    done(acknowledged(mqtt::ReasonCode::success));
    CHECK(w.uplink.published.size() == 2);
}

TEST_CASE("service: messages that are not of the contract are dropped, told once",
          "[bridge][service]") {
    ServiceWorld w{{.device_message_bytes_max = 100}};
    for (auto const* topic : {"d", "d/b42", "d//up", "d/b42/up/x", "x/b42/up"}) {
        w.message(topic, kBirth);
    }
    w.message("d/" + std::string(129, 'x') + "/up", kBirth);
    w.message("d/b42/up", "{\"on\":true,\"fw\":\"" + std::string(200, 'x') + "\"}");
    w.message("d/b42/up", "not json");
    w.message("d/b42/ans", "{}");
    w.message("d/b42/state", "[]");
    CHECK(w.service.devices().size() == 0);
    CHECK(w.warnings.size() == 1);
}

TEST_CASE("service: a wait ends at its condition, at its time, or when the bridge stops",
          "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto id = accepted(w, unlock());
    std::vector<std::optional<CommandState>> told;
    auto hold = [&](std::chrono::milliseconds wait) {
        CommandWait request;
        request.id = id;
        request.is_enough = [](Command const& c) { return is_settled(c.state); };
        request.until = w.clock.now.steady + wait;
        request.done = [&](Command const* c) {
            told.push_back(c == nullptr ? std::nullopt : std::optional{c->state});
        };
        w.service.hold(std::move(request));
    };
    hold(5s);
    CHECK(told.empty());

    SECTION("condition") {
        w.store_all();
        hold(6s);
        w.message("d/b42/ans", answer(id, R"("r":"ok")"));
        CHECK(told == std::vector<std::optional<CommandState>>(2, CommandState::succeeded));
        hold(7s);  // enough as it is
        CHECK(told.size() == 3);
    }
    SECTION("time") {
        w.store_all();
        CHECK(w.wake == w.clock.now.steady + 5s);
        w.advance(5s);
        CHECK(told == std::vector<std::optional<CommandState>>{CommandState::queued});
    }
    SECTION("time, but only when the record is stored") {
        w.store_works = false;
        w.advance(5s);
        CHECK(told.empty());
        w.store.complete();
        CHECK(told == std::vector<std::optional<CommandState>>{CommandState::queued});
    }
    SECTION("a record that could not be stored") {
        w.store.complete(false);
        CHECK(told == std::vector<std::optional<CommandState>>{std::nullopt});
        CHECK(w.uplink.published.empty());
    }
    SECTION("stop") {
        w.store_all();
        w.service.drain();
        CHECK(told == std::vector<std::optional<CommandState>>{CommandState::queued});
        hold(5s);
        CHECK(told.size() == 2);
    }
}

TEST_CASE("service: a request may come back with another one from its answer",
          "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto first = accepted(w, unlock());
    std::optional<CommandId> second;
    w.service.hold({first, [](Command const& c) { return is_settled(c.state); },
                    w.clock.now.steady + 5s,
                    [&](Command const*) { second = accepted(w, unlock()); }});
    w.store_all();
    w.message("d/b42/ans", answer(first, R"("r":"ok")"));
    REQUIRE(second);
    w.store_all();
    CHECK(w.uplink.published.size() == 2);
}

TEST_CASE("service: an order is taken back, or its device is asked to drop it",
          "[bridge][service]") {
    using Kind = CancelOutcome::Kind;
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto first = accepted(w, unlock());
    auto second = accepted(w, unlock());
    CHECK(w.service.cancel(first, {"user:1"}).kind == Kind::no_such_command);  // not stored yet
    w.store_all();
    CHECK(w.service.cancel(second, {"user:1"}).kind == Kind::cancelled);
    w.store_all();
    CHECK(w.service.find_command(second)->state == CommandState::cancelled);
    CHECK(w.service.cancel(second, {"user:1"}).kind == Kind::settled);

    auto asked = w.service.cancel(first, {"user:1"});
    CHECK(asked.kind == Kind::asked);
    CHECK(w.service.cancel(first, {"user:1"}).request == asked.request);
    w.store_all();
    REQUIRE(w.uplink.published.size() == 2);
    auto payload = as_text(w.uplink.published[1].message.payload);
    CHECK(payload.find(R"("do":"cancel","args":{"id":")" + first.text()) != std::string_view::npos);
    w.message("d/b42/ans", answer(first, R"("r":"cancelled")"));
    w.message("d/b42/ans", answer(*asked.request, R"("r":"ok")"));
    CHECK(w.service.find_command(first)->state == CommandState::cancelled);
    CHECK(w.service.find_command(*asked.request)->state == CommandState::succeeded);

    auto third = accepted(w, unlock());
    w.store_all();
    w.message("d/b42/up", R"({"on":false,"boot":7})");
    auto refused = w.service.cancel(third, {"user:1"});
    CHECK(refused.kind == Kind::refused);
    CHECK(refused.refusal == Refusal::device_offline);
}

TEST_CASE("service: each arrow stands in the trail once", "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto id = accepted(w, unlock());
    w.store_all();
    w.message("d/b42/ans", answer(id, R"("r":"started")"));
    w.message("d/b42/ans", answer(id, R"("r":"ok")"));
    std::vector<std::string> told;
    for (auto const& line : w.service.audit({})) told.push_back(line.entry.what);
    CHECK(told ==
          std::vector<std::string>{"command.queued", "command.running", "command.succeeded"});
}

TEST_CASE("service: a request is in the trail with its outcome", "[bridge][service]") {
    ServiceWorld w;
    RequestWish wish;
    wish.message.topic = "factory/7/plc";
    wish.wait = 5s;
    std::optional<RequestOutcome> outcome;
    w.service.request(wish, {"user:1"}, [&](RequestOutcome const& end) { outcome = end; });
    CHECK(w.wake == w.clock.now.steady + 5s);
    auto answer = w.uplink.published.at(0).message;
    answer.topic = *answer.properties.response_topic;
    CHECK(w.service.wants_packet(answer.topic));
    w.service.on_packet(answer);
    w.store_all();
    REQUIRE(outcome);
    CHECK(outcome->status == RequestOutcome::Status::answered);
    auto lines = w.service.audit({});
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].entry.what == "request");
    CHECK(lines[0].entry.subject == "factory/7/plc");
    CHECK(lines[0].entry.who == "user:1");
    CHECK(lines[0].entry.why == "answered");
}

TEST_CASE("service: a device's message is acknowledged when what it changes is stored",
          "[bridge][service][row-10]") {
    ServiceWorld w{{}, {{"t/#"}}};
    w.message("d/b42/up", kBirth);
    auto id = accepted(w, unlock());
    w.store_all();
    auto acknowledged = 0;
    auto deliver = [&](std::string_view topic, std::string const& payload) {
        return w.service.on_message({topic, payload}, [&] { ++acknowledged; });
    };
    SECTION("an answer") {
        CHECK(deliver("d/b42/ans", answer(id, R"("r":"ok")")));
        CHECK(acknowledged == 0);
        w.store.complete(false);  // it takes no writes; what must be written waits
        CHECK(acknowledged == 0);
        w.store.complete();
        CHECK(acknowledged == 1);
        CHECK_FALSE(deliver("d/b42/ans", answer(id, R"("r":"ok")")));
    }
    SECTION("a state") {
        auto journal = R"({"boot":7,"jrn":[[")" + id.text() + R"(","ok",1]]})";
        CHECK(deliver("d/b42/state", journal));
        w.store_all();
        CHECK(acknowledged == 1);
    }
    SECTION("it is recorded") {
        CHECK(deliver("t/1/move", "{}"));
        CHECK(acknowledged == 0);
        w.store_all();
        CHECK(acknowledged == 1);
        CHECK(w.log.head_offset() == 1);
    }
    SECTION("nothing is stored of it") {
        CHECK_FALSE(deliver("d/b42/evt", "x"));
        CHECK_FALSE(deliver("d/b42/ans", "no answer"));
        CHECK_FALSE(deliver("x", "y"));
        w.store_all();
        CHECK(acknowledged == 0);
    }
}

TEST_CASE("service: receipts are asked for where the broker gives them", "[bridge][service]") {
    ServiceWorld w;
    auto receipts = GENERATE(false, true);
    w.service.on_broker(true, {}, {.receipts = receipts});
    w.message("d/b42/up", kBirth);
    auto id = accepted(w, unlock());
    w.store_all();
    auto const& properties = w.uplink.published.at(0).message.properties.user_properties;
    mqtt::UserProperty wanted{"spoke-receipt", "$r/spoke-bridge/receipts/1"};
    CHECK(std::ranges::count(properties, wanted) == (receipts ? 1 : 0));
    w.message("$r/spoke-bridge/receipts/1", receipt_text(id, "sent", w.clock.now.wall));
    CHECK(w.service.find_command(id)->state == CommandState::sent);
    for (auto const* topic : {"$r/spoke-bridge/receipts/x", "$r/spoke-bridge/receipts/"}) {
        w.message(topic, receipt_text(id, "acked", w.clock.now.wall));
    }
    w.message("$r/spoke-bridge/receipts/1", "{}");
    CHECK(w.service.find_command(id)->state == CommandState::sent);
}

TEST_CASE("service: connections as the broker tells of them", "[bridge][service][row-9]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto presence = [&] {
        return w.service.devices().presence(*w.service.devices().find("b42"), w.clock.now.steady);
    };
    w.message("$SYS/brokers/n1/clients/b42/connected",
              R"({"client":"b42","user":null,"keep_alive":60,"connection":17,"at_us":1})");
    w.message("$SYS/brokers/n1/clients/b42/disconnected",
              R"({"client":"b42","connection":16,"reason":"session_taken_over","at_us":1})");
    CHECK(presence() == Presence::online);
    w.message("$SYS/brokers/n1/clients/b42/disconnected", R"({"client":"b42","connection":17})");
    CHECK(presence() == Presence::offline);
    w.message("$SYS/brokers/n1/clients/b42/gone", R"({"client":"b42","connection":18})");
    w.message("$SYS/brokers/n1/clients/b42/connected", R"({"client":"b42"})");
    CHECK(w.service.counters().at(0).value == 2);
}

TEST_CASE("service: a broker that is full for one receiver proves nothing", "[bridge][service]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto id = accepted(w, unlock());
    w.store_all();
    w.uplink.published.at(0).done(
        {mqtt::PublishStatus::refused, {}, mqtt::ReasonCode::quota_exceeded, {}});
    w.advance(10s);
    CHECK(w.service.find_command(id)->state == CommandState::unknown);
}

TEST_CASE("service: what an earlier process left in the store is taken over",
          "[bridge][service][restart][row-10]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto first = accepted(w, unlock());
    auto second = accepted(w, unlock());
    w.store_all();
    Service next{{},
                 {w.store, w.uplink, w.log, [&] { return w.clock.now; },
                  [n = std::uint64_t{1}]() mutable { return ++n; }, [](SteadyTime) {},
                  [](std::string const&) {}, [](std::string const&) {}}};
    next.restore();
    w.store_all();
    CHECK(next.find_command(first)->state == CommandState::unknown);
    CHECK(next.find_command(second)->state == CommandState::queued);
    CHECK(next.devices().find("b42") == nullptr);  // nobody has said anything of it yet
    next.on_broker(true, {});
    next.on_message({"d/b42/up", kBirth, true});
    auto third = next.submit(unlock(), {"tester"}, {});
    w.store_all();
    CHECK(next.find_command(std::get<CommandTracker::Accepted>(third).id)->n == 3);
    next.on_message({"d/b42/ans", answer(first, R"("r":"ok")")});
    w.store_all();
    CHECK(next.find_command(first)->state == CommandState::succeeded);
    std::vector<std::string> told;
    for (auto const& line : next.audit({})) {
        if (line.entry.subject == first.text()) told.push_back(line.entry.what);
    }
    CHECK(told ==
          std::vector<std::string>{"command.queued", "command.unknown", "command.succeeded"});
}

TEST_CASE("service: an order is never retained", "[bridge][service][row-4]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    for (auto const* verb : {"unlock", "config", "cancel", "whatever"}) {
        auto request = unlock();
        request.verb = verb;
        request.lane.clear();
        request.deliver = verb_of(verb).deliver;
        accepted(w, request);
    }
    w.store_all();
    w.message("d/b42/up", kBirth);  // a new connection: some go out again
    CHECK(w.uplink.published.size() == 5);
    for (auto const& entry : w.uplink.published) CHECK_FALSE(entry.message.retain);
}

TEST_CASE("service: a command's end does not touch what the device reports",
          "[bridge][service][row-18]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    w.message("d/b42/state", R"({"boot":7,"lock":"locked"})");
    auto id = accepted(w, unlock());
    w.store_all();
    w.message("d/b42/ans", answer(id, R"("r":"ok","lock":"unlocked")"));
    CHECK(w.service.find_command(id)->state == CommandState::succeeded);
    CHECK(w.service.devices().find("b42")->state == R"({"boot":7,"lock":"locked"})");
    w.message("d/b42/state", R"({"boot":7,"lock":"jammed"})");  // it has locked itself again
    CHECK(w.service.find_command(id)->state == CommandState::succeeded);
    CHECK(w.service.devices().find("b42")->state == R"({"boot":7,"lock":"jammed"})");
}

TEST_CASE("service: without the broker nobody is known to be online", "[bridge][service][row-8]") {
    ServiceWorld w;
    w.message("d/b42/up", kBirth);
    auto presence = [&] {
        return w.service.devices().presence(*w.service.devices().find("b42"), w.clock.now.steady);
    };
    CHECK(presence() == Presence::online);
    w.service.on_broker(false, "gone");
    CHECK(presence() == Presence::quiet);
    w.message("d/b42/up", kBirth, true);  // read before the broker is ready for orders
    CHECK(presence() == Presence::quiet);
    w.message("d/b42/evt", "x");
    w.service.on_broker(true, {});
    CHECK(presence() == Presence::online);
}

TEST_CASE("service: the feed asks again in time, whatever else is due before",
          "[bridge][service][feed]") {
    Service::Settings settings;
    settings.feed = {"e", 1};
    ServiceWorld w{settings};
    auto nobody = [&w] {
        w.uplink.published.back().done({mqtt::PublishStatus::acknowledged,
                                        mqtt::NotSent::none,
                                        mqtt::ReasonCode::no_matching_subscribers,
                                        {}});
    };
    w.message("t/1", "1");
    nobody();
    w.message("t/1", "2");  // kept back
    auto due = w.clock.now.steady + 1s;
    auto before = w.uplink.published.size();
    w.service.call_at(w.clock.now.steady + 300ms, [] {});
    w.advance(300ms);
    CHECK(w.wake == due);
    w.advance(700ms);
    CHECK(w.uplink.published.size() == before + 1);
}

}  // namespace spoke::bridge::test
