#include "device-sim/watch/watch_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/scripted_server.hpp"
#include "tests/unit/device-sim/watch/answering_bridge.hpp"

namespace spoke::sim::test {
namespace {

namespace net = boost::asio;
using spoke::test::ScriptedServer;

/// What a writer needs, and what it has done.
struct World {
    void write(WriteWay way) {
        WriterRole role{"w", way, {topic}, std::chrono::milliseconds{2}, 7};
        writer = make_writer(context, hub, options, judge, tally, std::move(role));
        writer->start();
    }
    void run_until(std::function<bool()> const& done) { spoke::test::run_until(context, done); }
    void finish() {
        bool is_done = false;
        writer->finish([&] { is_done = true; });
        run_until([&] { return is_done; });
        writer->stop();
    }

    net::io_context context;
    mqtt::LinkHub hub{context, 1};
    std::string topic = "t/0/say";
    WriterOptions options;
    WatchJudge judge{WallTime{}};
    WriterTally tally;
    std::unique_ptr<WatchWriter> writer;
};

/// A bridge that answers requests as it is told, in turn, and the last for ever.
struct HttpWorld : World {
    explicit HttpWorld(std::vector<std::string> list) : answers(std::move(list)) {
        options.http.port = bridge.port();
    }
    /// The message and its key in a request.
    [[nodiscard]] std::string key(std::size_t index) const {
        auto const& request = requests[index];
        auto at = request.find("Idempotency-Key: ") + 17;
        return request.substr(at, request.find('\r', at) - at);
    }

    std::vector<std::string> answers;
    AnsweringBridge bridge{context, [this](auto const&) {
                               return answers[std::min(bridge.requests.size(), answers.size()) - 1];
                           }};
    std::vector<std::string> const& requests = bridge.requests;
};

std::string response(std::string_view head, std::string_view body) {
    return AnsweringBridge::response(head, body);
}

/// A broker that keeps what is published, and acknowledges it unless it is told to hang up.
struct MqttWorld : World {
    explicit MqttWorld(std::string name = "t/0/say") {
        topic = std::move(name);
        options.mqtt_port = server.port();
        server.on_packet = [this](ScriptedServer::Peer& peer, mqtt::Packet const& packet) {
            auto const* publish = std::get_if<mqtt::Publish>(&packet);
            if (publish == nullptr) return ScriptedServer::answer(peer, packet);
            published.push_back(*publish);
            if (published.size() == hangs_up_at) return peer.close();
            ScriptedServer::answer(peer, packet);
        };
    }

    ScriptedServer server{context};
    std::vector<mqtt::Publish> published;
    std::size_t hangs_up_at = 0;
};

}  // namespace

TEST_CASE("watch writer: over HTTP it asks again under the same key until it is taken",
          "[watch-writer]") {
    auto [way, path, taken] = GENERATE(table<WriteWay, std::string, std::string>(
        {{WriteWay::http, "POST /v1/publish/t/0/say?qos=1 ",
          response("200 OK", R"({"acknowledged":true})")},
         {WriteWay::inbox, "POST /v1/inboxes/t/0/say/messages ",
          response("201 Created", R"({"ids":["k7.1"],"unread":1})")}}));
    HttpWorld w{{response("503 Service Unavailable", "{}"), "", taken}};
    w.write(way);
    w.run_until([&] { return w.judge.counts().acknowledged >= 2; });
    w.finish();
    for (std::size_t i = 0; i < 4; ++i) CHECK(w.requests[i].starts_with(path));
    CHECK(w.key(0) == "\"w-1\"");
    CHECK(w.key(1) == "\"w-1\"");
    CHECK(w.key(2) == "\"w-1\"");
    CHECK(w.key(3) == "\"w-2\"");
    CHECK(w.tally.again == 2);
    CHECK(w.tally.refused.size() == 1);
    CHECK(w.judge.counts().asked == w.judge.counts().acknowledged);
}

TEST_CASE("watch writer: that something was sent is no acknowledgement", "[watch-writer]") {
    HttpWorld w{{response("202 Accepted", R"({"acknowledged":false})"),
                 response("200 OK", R"({"acknowledged":true})")}};
    w.write(WriteWay::http);
    w.run_until([&] { return w.judge.counts().acknowledged >= 1; });
    w.finish();
    CHECK(w.key(1) == "\"w-1\"");
}

TEST_CASE("watch writer: over MQTT with a key it publishes again what may have arrived",
          "[watch-writer]") {
    MqttWorld w;
    w.hangs_up_at = 1;
    w.write(WriteWay::mqtt_keyed);
    w.run_until([&] { return w.judge.counts().acknowledged >= 2; });
    w.finish();
    CHECK(w.published[0].payload == w.published[1].payload);
    mqtt::UserProperties key{{"key", "w-1"}};
    CHECK(w.published[0].properties.user_properties == key);
    CHECK(w.published[1].properties.user_properties == key);
    CHECK(w.tally.unknown == 0);
}

TEST_CASE("watch writer: over MQTT without a key it never publishes again what may have arrived",
          "[watch-writer]") {
    MqttWorld w;
    w.hangs_up_at = 1;
    w.write(WriteWay::mqtt);
    w.run_until([&] { return w.judge.counts().acknowledged >= 2; });
    w.finish();
    CHECK(w.published[0].payload != w.published[1].payload);
    CHECK(w.published[0].properties.user_properties.empty());
    CHECK(w.tally.unknown == 1);
    CHECK(w.judge.counts().asked == w.judge.counts().acknowledged + 1);
}

TEST_CASE("watch writer: some messages of an inbox expire, some replace each other",
          "[watch-writer]") {
    constexpr std::size_t kMessages = 40;
    HttpWorld http{{response("201 Created", R"({"ids":["k7.1"],"unread":1})")}};
    http.write(WriteWay::inbox);
    http.run_until([&] { return http.requests.size() >= kMessages; });
    http.finish();
    auto with = [&](std::string_view part) {
        return std::count_if(http.requests.begin(), http.requests.end(), [&](auto const& text) {
            return text.find(part) != std::string::npos;
        });
    };
    CHECK(with(R"(,"ttl_ms":)") > 2);
    CHECK(with(R"(,"collapse":"post-)") > 2);
    CHECK(with(R"("type":)") >= 40);

    MqttWorld mqtt{"u/7/in"};
    mqtt.write(GENERATE(WriteWay::mqtt, WriteWay::mqtt_keyed));
    mqtt.run_until([&] { return mqtt.published.size() >= kMessages; });
    mqtt.finish();
    auto count_if = [&](auto const& has) {
        return std::count_if(mqtt.published.begin(), mqtt.published.end(), has);
    };
    CHECK(count_if([](mqtt::Publish const& publish) {
              auto seconds = publish.properties.message_expiry_interval;
              return seconds && *seconds >= 3 && *seconds <= 7;
          }) > 2);
    CHECK(count_if([](mqtt::Publish const& publish) {
              auto const& properties = publish.properties.user_properties;
              return std::any_of(properties.begin(), properties.end(), [](auto const& property) {
                  return property.name == "collapse" && property.value.starts_with("post-");
              });
          }) > 2);
}

}  // namespace spoke::sim::test
