#include "device-sim/watch/forgotten_topic.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tests/support/scripted_server.hpp"
#include "tests/unit/device-sim/watch/answering_bridge.hpp"

namespace spoke::sim::test {
namespace {

struct World {
    explicit World(std::string topic = "old/x") {
        options.http.port = bridge.port();
        forgotten = std::make_unique<ForgottenTopic>(context, options, std::move(topic));
        forgotten->start({"k7", 9});
    }

    std::string answer(std::string const& request) {
        if (request.starts_with("POST")) return AnsweringBridge::response("200 OK", "{}");
        ++looks;
        if (looks == 1)
            return AnsweringBridge::response("200 OK", R"({"events":[],"next":"k7.9"})");
        if (looks == 2) return {};
        return AnsweringBridge::response("409 Conflict", reason);
    }

    boost::asio::io_context context;
    AnsweringBridge bridge{context, [this](auto const& request) { return answer(request); }};
    ReadingOptions options;
    std::string reason = R"({"reason":"too-old","cursor":"k7.40"})";
    int looks = 0;
    std::unique_ptr<ForgottenTopic> forgotten;
};

}  // namespace

TEST_CASE("forgotten topic: it is written to until its first cursor is too old",
          "[forgotten-topic]") {
    World w;
    CHECK_FALSE(w.forgotten->is_old());
    spoke::test::run_until(w.context, [&] { return w.forgotten->is_old(); });
    CHECK(w.looks == 3);
    CHECK(w.bridge.requests.front().starts_with("POST /v1/publish/old/x?qos=1 HTTP/1.1\r\n"));
    CHECK(w.bridge.requests.back().starts_with(
        "GET /v1/events?topic=old%2Fx&since=k7.9&limit=1 HTTP/1.1\r\n"));
    // Nothing comes any more in what readers with that cursor ask for.
    auto count = w.bridge.requests.size();
    w.context.run_for(std::chrono::milliseconds{50});
    CHECK(w.bridge.requests.size() == count);
}

TEST_CASE("forgotten topic: another reason does not make it old", "[forgotten-topic]") {
    World w;
    w.reason = R"({"reason":"epoch","cursor":"k7.40"})";
    spoke::test::run_until(w.context, [&] { return w.looks == 4; });
    CHECK_FALSE(w.forgotten->is_old());
    w.forgotten->stop();
}

TEST_CASE("forgotten topic: without a name there is none", "[forgotten-topic]") {
    World w{""};
    w.context.run_for(std::chrono::milliseconds{20});
    CHECK(w.bridge.requests.empty());
}

}  // namespace spoke::sim::test
