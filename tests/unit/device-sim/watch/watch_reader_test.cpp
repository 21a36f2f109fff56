#include "device-sim/watch/watch_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <list>
#include <string>

#include "device-sim/judge/command_note.hpp"

namespace spoke::sim::test {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

/// A bridge that answers every poll with the next event behind its cursor, up to `last`, and
/// refuses every other way.
struct PollServer {
    struct Peer {
        explicit Peer(tcp::socket s) : socket(std::move(s)) {}
        tcp::socket socket;
        std::array<char, 4096> chunk{};
        std::string received{};
    };

    explicit PollServer(net::io_context& context)
        : acceptor(context, {net::ip::make_address("127.0.0.1"), 0}) {
        accept();
    }

    void accept() {
        acceptor.async_accept([this](error_code error, tcp::socket socket) {
            if (error) return;
            peers.emplace_back(std::move(socket));
            read(peers.back());
            accept();
        });
    }

    void read(Peer& peer) {
        peer.socket.async_read_some(net::buffer(peer.chunk),
                                    [this, &peer](error_code error, std::size_t size) {
                                        if (error) return;
                                        peer.received.append(peer.chunk.data(), size);
                                        answer(peer);
                                        read(peer);
                                    });
    }

    /// Why the cursor of this request is of no use; empty: it is none of those.
    static std::string why_bad(std::string const& request) {
        auto at = request.find("since=") + 6;
        auto place = Place::parse(request.substr(at, request.find('&', at) - at));
        if (!place) return "malformed";
        if (place->epoch != "k7") return "epoch";
        return place->offset > 1'000'000 ? "future" : "";
    }

    void answer(Peer& peer) {
        if (peer.received.find("\r\n\r\n") == std::string::npos) return;
        auto request = std::exchange(peer.received, {});
        auto at = request.find("since=k7.");
        std::string text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        auto why = why_bad(request);
        if (!why.empty() && tells_resets) {
            ++resets;
            auto head = std::min(last, cursors.empty() ? 0 : cursors.back() + 1);
            auto body = fmt::format(R"({{"reason":"{}","cursor":"k7.{}"}})", why, head);
            text = fmt::format("HTTP/1.1 409 Conflict\r\nContent-Length: {}\r\n\r\n{}", body.size(),
                               body);
        } else if (!why.empty()) {
            ++silences;
            text = "HTTP/1.1 304 Not Modified\r\n\r\n";
        } else if (request.find("limit=") != std::string::npos && at != std::string::npos) {
            auto since = std::stoull(request.substr(at + 9));
            cursors.push_back(since);
            auto body = R"({"events":[],"next":"k7.)" + std::to_string(since) + R"("})";
            if (since < last) {
                body = fmt::format(
                    R"({{"events":[{{"id":"k7.{0}","topic":"t/0/say","n":{0},"at":"2020-11-22T19:00:00.123Z","data":1}}],"next":"k7.{0}"}})",
                    since + 1);
            }
            text =
                fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
        }
        error_code ignored;
        net::write(peer.socket, net::buffer(text), ignored);
    }

    tcp::acceptor acceptor;
    std::list<Peer> peers{};
    std::vector<std::uint64_t> cursors{};
    std::uint64_t last = 120;
    std::uint64_t resets = 0;
    std::uint64_t silences = 0;  // where a reset had to be told
    bool tells_resets = true;
};

struct World {
    explicit World(ReaderFlaw flaw = ReaderFlaw::none, std::string_view plan = "none") {
        options.http.port = server.acceptor.local_endpoint().port();
        options.poll_every = std::chrono::milliseconds{1};
        faults = std::get<WatchFaultPlan>(parse_watch_faults(plan));
        ReaderRole role{"poll-0", Way::short_poll, {"t/#"}, Place{"k7", 0}, 7, flaw};
        reader = std::make_unique<WatchReader>(context, hub, options, faults, judge, tally,
                                               std::move(role));
        for (std::uint64_t n = 1; n <= server.last; ++n) {
            SeenEvent event;
            event.place = {"k7", n};
            event.topic = "t/0/say";
            event.n = n;
            event.data = "1";
            event.at = *read_rfc3339("2020-11-22T19:00:00.123Z");
            judge.on_log(event);
        }
        reader->start();
        reader->begin_faults();
    }

    void run_to_the_end() {
        while (server.cursors.empty() || server.cursors.back() < server.last) {
            REQUIRE(context.run_one() > 0);
        }
        reader->stop();
        judge.on_end(WallTime{});
    }

    net::io_context context;
    mqtt::LinkHub hub{context, 1};
    PollServer server{context};
    ReadingOptions options;
    WatchFaultPlan faults;
    WatchJudge judge{WallTime{}};
    ReaderTally tally;
    std::unique_ptr<WatchReader> reader;
};

}  // namespace

TEST_CASE("watch reader: it reads to the end and tells the judge all of it", "[watch-reader]") {
    World w;
    w.run_to_the_end();
    CHECK(w.judge.verdict().is_clean());
    CHECK(w.judge.counts().told == 120);
    CHECK(w.tally.told[0] == 120);
}

TEST_CASE("watch reader: its flaws are seen", "[watch-reader]") {
    auto [flaw, wrong] =
        GENERATE(table<ReaderFlaw, Wrong>({{ReaderFlaw::drops, Wrong::events_lost},
                                           {ReaderFlaw::doubles, Wrong::events_doubled},
                                           {ReaderFlaw::swaps, Wrong::events_reordered}}));
    World w{flaw};
    w.run_to_the_end();
    for (std::size_t i = 0; i < kWrongCount; ++i) {
        CHECK(w.judge.verdict().counts[i] == (static_cast<Wrong>(i) == wrong ? 2U : 0U));
    }
}

TEST_CASE("watch reader: whatever befalls it, it goes on from its cursor", "[watch-reader]") {
    World w{ReaderFlaw::none, "cut=6000%,rst=6000%,vanish=6000%"};
    w.options.poll_every = std::chrono::milliseconds{20};
    w.run_to_the_end();
    CHECK(w.tally.faults.total() > 0);
    CHECK(w.tally.connections > 1);
    CHECK(w.judge.verdict().is_clean());
    CHECK(w.judge.counts().told == 120);
}

TEST_CASE("watch reader: it comes with cursors of no use, and wants to be told", "[watch-reader]") {
    auto flaw = GENERATE(ReaderFlaw::none, ReaderFlaw::hides);
    World w{flaw, "cursor=6000%"};
    w.options.poll_every = std::chrono::milliseconds{20};
    w.run_to_the_end();
    CHECK(w.server.resets > 0);
    CHECK(w.tally.resets[0] == w.server.resets);
    CHECK(w.judge.verdict().is_clean() == (flaw == ReaderFlaw::none));
    CHECK((w.judge.verdict().count(Wrong::reset_untold) > 0) == (flaw == ReaderFlaw::hides));
}

TEST_CASE("watch reader: a bridge that says nothing of its cursor is convicted", "[watch-reader]") {
    World w{ReaderFlaw::none, "cursor=6000%"};
    w.server.tells_resets = false;
    while (w.server.silences < 3) REQUIRE(w.context.run_one() > 0);
    CHECK(w.judge.behind() == 1);
    w.reader->stop();
    w.judge.on_end(WallTime{});
    CHECK(w.judge.verdict().count(Wrong::reset_untold) == 1);
    CHECK(w.tally.resets[0] == 0);
}

}  // namespace spoke::sim::test
