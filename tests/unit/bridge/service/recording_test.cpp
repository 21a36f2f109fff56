#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "bridge/api/documents.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

IncomingMessage delivered(std::string_view payload, std::uint16_t id, bool dup = false) {
    IncomingMessage message{"t/1", payload};
    message.packet_id = id;
    message.dup = dup;
    return message;
}

/// A bridge whose messages count their acknowledgements.
struct Recording : ServiceWorld {
    using ServiceWorld::ServiceWorld;

    /// Out: whether it is acknowledged at once.
    bool comes(IncomingMessage const& message) {
        return !service.on_message(message, [this] { ++acknowledged; });
    }
    std::vector<std::string> recorded() {
        std::vector<std::string> out;
        for (auto const& event : events.events({}).events) out.push_back(event.data);
        return out;
    }

    int acknowledged = 0;
};

using Data = std::vector<std::string>;

}  // namespace

TEST_CASE("recording: a message that is delivered again is recorded once", "[bridge][service]") {
    Recording w;
    w.service.on_session(true);
    CHECK_FALSE(w.comes(delivered("1", 1)));
    w.store_all();
    CHECK(w.acknowledged == 1);
    CHECK_FALSE(w.comes(delivered("2", 2)));
    w.store_all();
    // The connection is gone, with both acknowledgements.
    w.service.on_broker(false, "gone");
    w.service.on_session(true);
    CHECK(w.comes(delivered("1", 1, true)));
    CHECK(w.comes(delivered("2", 2, true)));
    CHECK_FALSE(w.comes(delivered("3", 3, true)));
    CHECK_FALSE(w.comes(delivered("3", 4)));
    w.store_all();
    CHECK(w.recorded() == Data{"1", "2", "3", "3"});
}

TEST_CASE("recording: what comes again before it is stored is acknowledged when it is",
          "[bridge][service]") {
    Recording w;
    w.service.on_session(true);
    CHECK_FALSE(w.comes(delivered("1", 1)));
    w.service.on_session(true);
    CHECK_FALSE(w.comes(delivered("1", 1, true)));
    CHECK(w.acknowledged == 0);
    w.store_all();
    CHECK(w.acknowledged == 2);
    CHECK(w.recorded() == Data{"1"});
}

TEST_CASE("recording: a packet id is another message's after an acknowledgement",
          "[bridge][service]") {
    Recording w;
    w.service.on_session(true);
    w.comes(delivered("1", 1));
    w.store_all();
    w.comes(delivered("1", 1));  // the same words again: another message
    w.store_all();
    w.service.on_session(true);
    CHECK(w.comes(delivered("1", 1, true)));
    CHECK_FALSE(w.comes(delivered("2", 1, true)));
    w.store_all();
    CHECK(w.recorded() == Data{"1", "1", "2"});
}

TEST_CASE("recording: a delivery that its broker has named is recorded once, whatever its id",
          "[bridge][service]") {
    auto named = [](std::string_view payload, std::uint64_t name, std::uint16_t id) {
        auto message = delivered(payload, id);
        message.delivery = name;
        return message;
    };
    Recording w;
    w.service.on_session(true);
    w.comes(named("1", 7, 1));
    w.comes(named("1", 8, 2));  // the same words: another message
    w.store_all();
    // The broker was killed, and does not know that it has sent them.
    w.service.on_session(true);
    CHECK(w.comes(named("1", 7, 3)));
    CHECK(w.comes(named("1", 8, 4)));
    CHECK_FALSE(w.comes(named("1", 9, 5)));
    w.store_all();
    CHECK(w.recorded() == Data{"1", "1", "1"});
}

TEST_CASE("recording: in a new session every message is new", "[bridge][service]") {
    Recording w;
    w.service.on_session(false);
    w.comes(delivered("1", 1));
    w.store_all();
    w.service.on_session(false);
    CHECK_FALSE(w.comes(delivered("1", 1)));
    w.store_all();
    CHECK(w.recorded() == Data{"1", "1"});
}

TEST_CASE("recording: a copy that the bridge has published itself is not recorded again",
          "[bridge][service]") {
    Recording w;
    w.service.put_messages("7777", {{.type = "like"}}, {}, {}, [](auto const&) {});
    w.comes(delivered("1", 1));
    w.store_all();
    IncomingMessage copy{"u/7777/in", "null"};
    copy.packet_id = 2;
    copy.event_id = "k7.1";
    CHECK(w.comes(copy));
    copy.event_id = "other.1";  // another bridge's
    CHECK_FALSE(w.comes(copy));
    copy.event_id = "k7.9";  // nothing that it has published
    CHECK_FALSE(w.comes(copy));
    copy.event_id = "k7.2";  // in another topic
    CHECK_FALSE(w.comes(copy));
    auto passed_on = delivered("1", 3);
    passed_on.event_id = "k7.2";  // what was published by somebody else comes once
    CHECK_FALSE(w.comes(passed_on));
    w.store_all();
    CHECK(w.recorded() == Data{"null", "1", "null", "null", "null", "1"});
}

TEST_CASE("recording: what lies below the feed is not recorded, whoever published it",
          "[bridge][service]") {
    Service::Settings settings;
    settings.feed = {"e", 4};
    Recording w{settings, std::vector<EventClass>{{"#"}}};
    w.comes({"t/1", "1"});
    w.store_all();
    IncomingMessage copy{"e/t/1", "1"};
    copy.event_id = "k7.1";
    CHECK(w.comes(copy));
    CHECK(w.comes({"e/t/1", ""}));
    CHECK(w.comes({"e/$reset", "{}"}));
    w.comes({"e", "2"});
    w.comes({"ee/t/1", "3"});
    w.store_all();
    CHECK(w.recorded() == Data{"1", "2", "3"});
}

TEST_CASE("recording: each change of a command is an event of its device", "[bridge][service]") {
    ServiceWorld w{{}, {{"d/+/evt"}}, command_document};
    w.store.log = &w.events;
    w.message("d/b42/up", R"({"on":true,"boot":7,"up":1830})");
    auto before = w.log.head_offset();
    auto id = std::get<CommandTracker::Accepted>(
                  w.service.submit(unlock(), {"user:7777", "00-a-b-01"}, {}))
                  .id;
    CHECK(w.log.head_offset() == before);  // not before it is stored
    w.store_all();
    REQUIRE(w.uplink.published.size() == 1);
    auto answers = [&](std::string_view result) {
        w.message("d/b42/ans", R"({"id":")" + id.text() + R"(","n":1,"boot":7,"r":")" +
                                   std::string{result} + R"("})");
    };
    answers("started");
    answers("ok");
    std::vector<std::string> states;
    for (auto const& event : w.events.events({before, {"d/b42/evt"}}).events) {
        CHECK(event.type == "command");
        CHECK_FALSE(event.from_broker);
        CHECK(event.data.find("user:7777") == std::string::npos);
        CHECK(event.data.find(R"("by":"somebody")") != std::string::npos);
        auto at = event.data.find(R"("state":")") + 9;
        states.push_back(event.data.substr(at, event.data.find('"', at) - at));
    }
    CHECK(states == std::vector<std::string>{"queued", "running", "succeeded"});
}

TEST_CASE("recording: an order that could not be stored leaves no event", "[bridge][service]") {
    ServiceWorld w{{}, {{"d/+/evt"}}, command_document};
    w.store.log = &w.events;
    w.message("d/b42/up", R"({"on":true,"boot":7,"up":1830})");
    auto before = w.log.head_offset();
    static_cast<void>(w.service.submit(unlock(), {"user:7777"}, {}));
    w.store.complete(false);
    CHECK(w.log.head_offset() == before);
    CHECK(w.log.counters().refused == 1);
    w.message("d/b42/evt", R"({"e":"moved"})");
    CHECK(w.log.read(before, {"d/b42/evt"}, 10).events.size() == 1);
}

}  // namespace spoke::bridge::test
