#include "device-sim/watch/inbox_owner.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/scripted_server.hpp"
#include "tests/unit/device-sim/watch/answering_bridge.hpp"

namespace spoke::sim::test {
namespace {

/// An owner of inbox 7, in which one message came and has never expired or been read.
struct World {
    explicit World(bool waits = false) {
        judge.add_reader("log", {"u/+/in"}, {"k7", 0});
        judge.on_asked("a", {}, WallTime{});
        judge.on_log(*read_event(
            R"({"id":"k7.1","topic":"u/7/in","n":1,"type":"like","at":"2020-11-22T19:00:00.123Z","data":{"m":"a"}})"));
        HttpClient::Options http;
        http.port = bridge.port();
        InboxOwner::Role role{"7", waits, 0, 7};
        owner = std::make_unique<InboxOwner>(context, http, "secret", judge, std::move(role));
    }

    std::string answer(std::string const& request) {
        if (request.find("If-None-Match: \"k7.1-1\"") != std::string::npos) {
            return "HTTP/1.1 304 Not Modified\r\n\r\n";
        }
        return AnsweringBridge::response("200 OK\r\nETag: \"k7.1-1\"", document);
    }

    void run_until_requests(std::size_t count) {
        spoke::test::run_until(context, [&] { return bridge.requests.size() >= count; });
    }
    std::uint64_t wrong_at_the_end() {
        owner->stop();
        judge.on_end(read_clocks().wall);
        return judge.verdict().count(Wrong::unread_wrong);
    }

    boost::asio::io_context context;
    WatchJudge judge{WallTime{}};
    AnsweringBridge bridge{context, [this](auto const& request) { return answer(request); }};
    std::string document = R"({"unread":1,"by":{"like":1},"cursor":"k7.1"})";
    std::unique_ptr<InboxOwner> owner;
};

}  // namespace

TEST_CASE("inbox owner: what a 304 says is what was told before it", "[inbox-owner]") {
    World w;
    auto is_sound = GENERATE(true, false);
    if (!is_sound) w.document = R"({"unread":2,"by":{"like":2},"cursor":"k7.1"})";
    w.owner->start();
    w.run_until_requests(4);
    CHECK(w.bridge.requests[0].starts_with("GET /v1/inboxes/7 HTTP/1.1\r\n"));
    CHECK(w.bridge.requests[0].find("Bearer secret") != std::string::npos);
    CHECK(w.bridge.requests[1].find("If-None-Match: \"k7.1-1\"\r\n") != std::string::npos);
    // One answer and at least two that confirm it.
    auto wrong = w.wrong_at_the_end();
    CHECK((is_sound ? wrong == 0 : wrong >= 3));
    CHECK(w.judge.counts().inboxes >= 3);
}

TEST_CASE("inbox owner: one that waits says how long", "[inbox-owner]") {
    World w{true};
    w.owner->start();
    w.run_until_requests(3);
    CHECK(w.bridge.requests[1].starts_with("GET /v1/inboxes/7?wait=5 HTTP/1.1\r\n"));
    CHECK(w.wrong_at_the_end() == 0);
}

TEST_CASE("inbox owner: at the end it wants the state, changed or not", "[inbox-owner]") {
    World w;
    w.owner->start();
    w.run_until_requests(2);
    bool is_done = false;
    w.owner->look_at_the_end([&] { is_done = true; });
    spoke::test::run_until(w.context, [&] { return is_done; });
    CHECK(w.bridge.requests.back().find("If-None-Match") == std::string::npos);
    CHECK(w.wrong_at_the_end() == 0);
}

}  // namespace spoke::sim::test
