#include "device-sim/watch/mqtt_reading.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/scripted_server.hpp"

namespace spoke::sim::test {
namespace {

using spoke::test::ScriptedServer;

/// Writes down what a reading tells.
struct Listener final : ReadingEvents {
    void on_connected() override { said.emplace_back("connected"); }
    void on_event(SeenEvent const& event) override {
        said.push_back(fmt::format("event {} {}", event.place.text(), event.topic));
    }
    void on_cursor(std::string const& cursor) override { said.push_back("cursor " + cursor); }
    void on_hello(HelloNote const&) override { said.emplace_back("hello"); }
    void on_reset(ResetNote const& note) override {
        said.push_back(fmt::format("reset {} {}", note.reason, note.cursor));
    }
    void on_over(std::string const& why, std::chrono::milliseconds) override {
        said.push_back("over " + why);
    }
    std::vector<std::string> said;
};

/// A broker that a test plays, with a reading of t/# from k7.10 on.
struct World {
    World() {
        options.mqtt_port = server.port();
        server.on_packet = [this](ScriptedServer::Peer& peer, mqtt::Packet const& packet) {
            ScriptedServer::answer(peer, packet);
            if (auto const* publish = std::get_if<mqtt::Publish>(&packet)) {
                questions.push_back(*publish);
            }
            if (auto const* subscribe = std::get_if<mqtt::Subscribe>(&packet)) {
                for (auto const& one : subscribe->subscriptions) filters.push_back(one.filter);
            }
        };
        ReadingWish wish{{"t/#"}, "k7.10", "me"};
        reading = std::make_shared<MqttReading>(io, hub, options, std::move(wish), listener);
        reading->start();
    }
    ~World() {
        reading->leave(Leave::fin);
        reading.reset();
        io.restart();
        io.poll();
    }

    void run_until(std::function<bool()> const& done) { spoke::test::run_until(io, done); }

    void await_question(std::size_t number = 1) {
        run_until([&] { return questions.size() >= number; });
    }
    [[nodiscard]] boost::json::value wish() const {
        return boost::json::parse(as_text(questions.back().payload));
    }

    /// The feed brings an event.
    void feed(std::uint64_t offset) {
        auto message = event(offset);
        message.topic = "e/t/0/say";
        send(std::move(message));
    }
    void feed_as(mqtt::UserProperties properties) {
        mqtt::Publish message;
        message.topic = "e/t/0/say";
        message.properties.user_properties = std::move(properties);
        send(std::move(message));
    }
    /// The replay's answer to the last question.
    void replay(std::uint64_t offset, std::string const& question = {}) {
        auto message = event(offset);
        message.properties.user_properties.push_back({"topic", "t/0/say"});
        answer(std::move(message), question);
    }
    void end(std::string const& payload) {
        mqtt::Publish message;
        message.payload = to_buffer(payload);
        message.properties.user_properties.push_back({"end", "1"});
        answer(std::move(message), {});
    }

    std::vector<std::string> said(std::size_t count) {
        run_until([&] { return listener.said.size() >= count; });
        return std::exchange(listener.said, {});
    }

    boost::asio::io_context io;
    ScriptedServer server{io};
    mqtt::LinkHub hub{io, 1};
    ReadingOptions options;
    Listener listener;
    std::vector<mqtt::Publish> questions;
    std::vector<std::string> filters;
    std::shared_ptr<MqttReading> reading;

private:
    static mqtt::Publish event(std::uint64_t offset) {
        mqtt::Publish message;
        message.payload = to_buffer(R"({"m":"a"})");
        auto& properties = message.properties.user_properties;
        properties.push_back({"id", fmt::format("k7.{}", offset)});
        properties.push_back({"n", "1"});
        properties.push_back({"at", "2026-11-22T19:00:00.123Z"});
        return message;
    }
    void answer(mqtt::Publish message, std::string const& question) {
        message.topic = *questions.back().properties.response_topic;
        message.properties.correlation_data = question.empty()
                                                  ? questions.back().properties.correlation_data
                                                  : std::optional{to_buffer(question)};
        send(std::move(message));
    }
    void send(mqtt::Publish message) {
        message.qos = mqtt::Qos::at_least_once;
        message.id = mqtt::PacketId{++id_};
        server.peers.back()->send(message);
    }

    std::uint16_t id_ = 0;
};

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("mqtt reading: it subscribes first and then asks for what it missed", "[reading]") {
    World w;
    w.await_question();
    CHECK(w.filters == Words{"e/t/#", "e/replay/me"});
    CHECK(w.questions.back().topic == "$r/spoke-bridge/replay");
    CHECK(w.questions.back().properties.response_topic == "e/replay/me");
    CHECK(w.wish() == boost::json::parse(R"({"topic":["t/#"],"since":"k7.10","limit":1000})"));
}

TEST_CASE("mqtt reading: replay and feed are joined without gap and repetition", "[reading]") {
    World w;
    w.await_question();
    w.feed(13);  // the feed is ahead of the replay
    w.replay(11);
    w.replay(13);
    w.feed(14);
    w.end(R"({"next":"k7.13","more":false,"resumed":true})");
    w.feed(12);  // was between them, and came by the replay, if it is the reader's
    w.feed(15);
    CHECK(w.said(6) == Words{"connected", "event k7.11 t/0/say", "event k7.13 t/0/say",
                             "cursor k7.13", "event k7.14 t/0/say", "event k7.15 t/0/say"});
}

TEST_CASE("mqtt reading: it asks again while there is more", "[reading]") {
    World w;
    w.await_question();
    w.replay(11);
    w.end(R"({"next":"k7.12","more":true,"resumed":true})");
    w.await_question(2);
    CHECK(w.wish().at("since") == "k7.12");
    w.replay(20, "1");  // of the first question, late
    w.replay(13);
    w.end(R"({"next":"k7.13","more":false,"resumed":true})");
    CHECK(w.said(5) == Words{"connected", "event k7.11 t/0/say", "cursor k7.12",
                             "event k7.13 t/0/say", "cursor k7.13"});
}

TEST_CASE("mqtt reading: a reset is told, and it goes on from there", "[reading]") {
    World w;
    w.await_question();
    w.end(R"({"reason":"too-old","cursor":"k7.2000","snapshot":"x"})");
    w.await_question(2);
    CHECK(w.said(2) == Words{"connected", "reset too-old k7.2000"});
    CHECK(w.wish().at("since") == "k7.2000");
}

TEST_CASE("mqtt reading: live, it tells what comes, also what comes again", "[reading]") {
    World w;
    w.await_question();
    w.end(R"({"next":"k7.10","more":false,"resumed":true})");
    w.feed(11);
    w.feed(11);
    CHECK(w.said(4) ==
          Words{"connected", "cursor k7.10", "event k7.11 t/0/say", "event k7.11 t/0/say"});
}

TEST_CASE("mqtt reading: the connection's end is its own", "[reading]") {
    World w;
    w.await_question();
    w.server.peers.back()->close();
    w.run_until([&] { return w.listener.said.size() == 2; });
    CHECK(w.listener.said.back().starts_with("over "));
}

TEST_CASE("mqtt reading: what has no id asks whether somebody is there", "[reading]") {
    World w;
    w.await_question();
    w.end(R"({"next":"k7.10","more":false,"resumed":true})");
    w.feed_as({});
    w.feed(11);
    CHECK(w.said(3) == Words{"connected", "cursor k7.10", "event k7.11 t/0/say"});
}

TEST_CASE("mqtt reading: a feed with other ids is none", "[reading]") {
    World w;
    w.await_question();
    w.feed_as({{"id", "7"}, {"n", "1"}});
    CHECK(w.said(2) == Words{"connected", "over a message of the feed is no event: t/0/say"});
}

}  // namespace spoke::sim::test
