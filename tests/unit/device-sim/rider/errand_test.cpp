#include "device-sim/rider/errand.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

// An errand against a server that gives one prepared answer after the other.

using namespace spoke;
using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

/// Answers each request with the next text; an empty one ends the connection instead.
struct Server {
    explicit Server(net::io_context& context)
        : acceptor(context, {net::ip::make_address("127.0.0.1"), 0}), socket(context) {
        accept();
    }

    void accept() {
        acceptor.async_accept([this](error_code error, tcp::socket peer) {
            if (error) return;
            socket = std::move(peer);
            input.clear();
            read();
        });
    }

    void read() {
        socket.async_read_some(net::buffer(chunk), [this](error_code error, std::size_t size) {
            if (error) return accept();
            input.append(chunk.data(), size);
            if (is_whole()) answer();
            read();
        });
    }

    /// Whether `input` is one request with its body; riders send one at a time.
    [[nodiscard]] bool is_whole() const {
        auto end = input.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        auto at = input.find("Content-Length: ");
        auto body = at == std::string::npos ? 0U : std::stoul(input.substr(at + 16));
        return input.size() == end + 4 + body;
    }

    void answer() {
        requests.push_back(std::exchange(input, {}));
        if (answers.empty()) return;  // never
        auto text = std::move(answers.front());
        answers.pop_front();
        if (text.empty()) return socket.close();
        net::write(socket, net::buffer(text));
    }

    tcp::acceptor acceptor;
    tcp::socket socket;
    std::array<char, 4096> chunk{};
    std::string input;
    std::vector<std::string> requests;
    std::deque<std::string> answers;
};

std::string http(std::string const& status, std::string const& body, std::string headers = {}) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           headers + "\r\n" + body;
}

std::string command(std::string const& state, bool settled) {
    return R"({"id":"c_1","do":"unlock","state":")" + state + R"(","settled":)" +
           (settled ? "true" : "false") + R"(,"n":1})";
}

struct World {
    World() {
        options.http.port = server.acceptor.local_endpoint().port();
        options.retry_min = options.retry_max = 1ms;
        plan.wish = {"r1", "b1", true};
        plan.body = R"({"do":"unlock"})";
    }

    Errand::End run() {
        Errand errand{context, options, judge, tally, dice};
        std::optional<Errand::End> end;
        errand.run(plan, [&](Errand::End const& e) { end = e; });
        while (!end) {
            if (context.stopped()) context.restart();
            REQUIRE(context.run_one() > 0);
        }
        return *end;
    }

    [[nodiscard]] bool asked(std::size_t index, std::string_view what) const {
        return server.requests.at(index).find(what) != std::string::npos;
    }

    net::io_context context{1};
    Server server{context};
    ErrandOptions options;
    ErrandPlan plan;
    Judge judge{WallTime{0s}};
    Tally tally;
    Dice dice{7};
};

}  // namespace

TEST_CASE("Errand: a settled answer is an end", "[sim][rider]") {
    World w;
    w.options.token = "secret";
    w.server.answers = {http("200 OK", command("failed", true))};
    auto end = w.run();
    CHECK(end.fate == Errand::Fate::settled);
    CHECK(end.state == "failed");
    CHECK(w.asked(0, "POST /v1/devices/b1/commands HTTP/1.1\r\n"));
    CHECK(w.asked(0, "Idempotency-Key: \"r1\"\r\n"));
    CHECK(w.asked(0, "Prefer: wait=10\r\n"));
    CHECK(w.asked(0, "Authorization: Bearer secret\r\n"));
    CHECK(w.judge.states().at("failed") == 1);
}

TEST_CASE("Errand: where no answer comes it asks again, the same under the same key",
          "[sim][rider]") {
    World w;
    w.server.answers = {"", "",
                        http("200 OK", command("failed", true), "Idempotent-Replayed: true\r\n")};
    CHECK(w.run().fate == Errand::Fate::settled);
    REQUIRE(w.server.requests.size() == 3);
    CHECK(w.server.requests[0] == w.server.requests[2]);
    CHECK(w.tally.lost == 2);
    CHECK(w.tally.retries == 2);
    CHECK(w.tally.replayed == 1);
}

TEST_CASE("Errand: it follows what is not settled, by what it has seen", "[sim][rider]") {
    World w;
    w.plan.wait = 0s;
    w.server.answers = {http("202 Accepted", command("queued", false), "ETag: \"1\"\r\n"),
                        "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
                        http("200 OK", command("unknown", false), "ETag: \"2\"\r\n"),
                        http("503 Service Unavailable", "{}"),
                        "",
                        http("200 OK", command("failed", true), "ETag: \"3\"\r\n")};
    CHECK(w.run().fate == Errand::Fate::settled);
    CHECK_FALSE(w.asked(0, "Prefer"));
    CHECK(w.asked(1, "GET /v1/commands/c_1?wait=10 HTTP/1.1\r\n"));
    CHECK(w.asked(1, "If-None-Match: \"1\"\r\n"));
    CHECK(w.asked(3, "If-None-Match: \"2\"\r\n"));
    CHECK(w.judge.open_count() == 0);
}

TEST_CASE("Errand: an error is an end, unless an earlier request may have been taken",
          "[sim][rider]") {
    World w;
    SECTION("nothing was sent") {
        w.server.answers = {http("503 Service Unavailable", R"({"type":"/problems/draining"})")};
        CHECK(w.run().fate == Errand::Fate::refused);
        CHECK(w.tally.errors.at("POST 503 draining") == 1);
    }
    SECTION("turned away this time") {
        w.server.answers = {"", http("503 Service Unavailable", "{}"),
                            http("200 OK", command("failed", true))};
        CHECK(w.run().fate == Errand::Fate::settled);
    }
}

TEST_CASE("Errand: a command that is gone is reported", "[sim][rider]") {
    World w;
    w.server.answers = {http("202 Accepted", command("queued", false)),
                        http("404 Not Found", "{}")};
    CHECK(w.run().fate == Errand::Fate::nobody);
    CHECK(w.judge.verdict().count(Invariant::record_lost) == 1);
}

TEST_CASE("Errand: patience ends", "[sim][rider]") {
    World w;
    w.options.patience = 0ms;
    w.server.answers = {http("202 Accepted", command("sent", false)),
                        http("200 OK", command("sent", false))};
    auto end = w.run();
    CHECK(end.fate == Errand::Fate::unsettled);
    CHECK(end.state == "sent");
}

TEST_CASE("Errand: he taps again while the first request is under way", "[sim][rider]") {
    World w;
    w.plan.taps_again = 1ms;
    w.server.answers.clear();
    Errand errand{w.context, w.options, w.judge, w.tally, w.dice};
    std::optional<Errand::End> end;
    errand.run(w.plan, [&](Errand::End const& e) { end = e; });
    while (w.tally.given_up == 0) REQUIRE(w.context.run_one() > 0);
    w.server.answers = {http("200 OK", command("failed", true))};
    while (!end) REQUIRE(w.context.run_one() > 0);
    CHECK(end->fate == Errand::Fate::settled);
    CHECK(w.tally.retries == 1);
}

TEST_CASE("Errand: he takes his order back", "[sim][rider]") {
    World w;
    w.plan.cancels = true;
    w.server.answers = {http("202 Accepted", command("queued", false)), http("409 Conflict", "{}"),
                        http("200 OK", command("cancelled", true))};
    CHECK(w.run().state == "cancelled");
    CHECK(w.asked(1, "DELETE /v1/commands/c_1 HTTP/1.1\r\n"));
    CHECK(w.tally.errors.at("DELETE 409 ?") == 1);
}
