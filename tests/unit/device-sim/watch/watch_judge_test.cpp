#include "device-sim/watch/watch_judge.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace spoke::sim::test {
namespace {

using Repeats = WatchJudge::Repeats;

Place at(std::uint64_t offset) {
    return {"k7", offset};
}

/// A history that the test spoils: five events in two topics, written by a, b, ... and read by one
/// reader of everything.
struct History {
    History() { reader = judge.add_reader("sse-1", {"t/#", "u/+/in"}, at(10)); }

    /// The event at this offset, which the write `message` has made.
    static SeenEvent event(std::uint64_t offset, std::uint64_t n, std::string const& topic,
                           std::string const& message) {
        auto document = fmt::format(
            R"({{"id":"k7.{}","topic":"{}","n":{},"at":"2026-11-22T19:00:00.123Z","data":{{"m":"{}"}}}})",
            offset, topic, n, message);
        return *read_event(document);
    }

    static std::vector<SeenEvent> events() {
        return {event(11, 1, "t/0/chat", "a"), event(12, 1, "t/1/chat", "b"),
                event(13, 2, "t/0/chat", "c"), event(14, 2, "t/1/chat", "d"),
                event(16, 3, "t/0/chat", "e")};
    }

    void write(std::vector<std::string> const& messages) {
        for (auto const& message : messages) {
            judge.on_asked(message);
            judge.on_acknowledged(message);
        }
    }
    void log(std::vector<SeenEvent> const& list) {
        for (auto const& event : list) judge.on_log(event);
    }
    void tell(std::vector<SeenEvent> const& list, Repeats repeats = Repeats::never) {
        for (auto const& event : list) judge.on_event(reader, event, repeats, now);
    }
    /// "events_lost 1 unread_wrong 2"; empty: nothing.
    std::string verdict() {
        judge.on_end(now);
        std::string out;
        for (std::size_t i = 0; i < kWrongCount; ++i) {
            auto wrong = static_cast<Wrong>(i);
            auto count = judge.verdict().count(wrong);
            if (count != 0) {
                out += fmt::format("{}{} {}", out.empty() ? "" : " ", to_text(wrong), count);
            }
        }
        return out;
    }

    WallTime now{std::chrono::milliseconds{1'000}};
    WatchJudge judge{WallTime{}};
    WatchJudge::Reader reader{};
};

std::vector<SeenEvent> without(std::vector<SeenEvent> list, std::size_t index) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(index));
    return list;
}

SeenEvent inbox_event(std::uint64_t offset, std::uint64_t n, std::string_view type,
                      std::string_view data = R"({"x":1})") {
    return *read_event(
        fmt::format(R"({{"id":"k7.{}","topic":"u/7/in","n":{},"type":"{}","at":"","data":{}}})",
                    offset, n, type, data));
}

InboxDocument inbox(std::string_view text) {
    return *read_inbox(text);
}

}  // namespace

TEST_CASE("watch judge: a sound history is acquitted", "[watch-judge]") {
    History h;
    h.write({"a", "b", "c", "d", "e"});
    h.tell(h.events());
    h.log(h.events());
    CHECK(h.judge.behind() == 0);
    CHECK(h.verdict().empty());
    CHECK(h.judge.counts().told == 5);
    CHECK(h.judge.counts().log == 5);
    CHECK(h.judge.verdict().is_clean());
}

TEST_CASE("watch judge: what a reader was not told is lost, wherever it is", "[watch-judge]") {
    auto missing = GENERATE(0U, 2U, 4U);
    History h;
    h.tell(without(h.events(), missing));
    h.log(h.events());
    CHECK(h.judge.behind() == (missing == 4 ? 1 : 0));
    CHECK(h.verdict() == "events_lost 1");
    CHECK(h.judge.verdict().examples.front().who == "sse-1");
    CHECK(h.judge.verdict().examples.front().id == h.events()[missing].place.text());
}

TEST_CASE("watch judge: a reader that was told nothing has lost everything", "[watch-judge]") {
    History h;
    h.log(h.events());
    CHECK(h.judge.behind() == 1);
    CHECK(h.verdict() == "events_lost 5");
}

TEST_CASE("watch judge: what a reader did not ask for it need not be told", "[watch-judge]") {
    History h;
    auto other = h.judge.add_reader("poll-1", {"t/1/#"}, at(12));
    h.judge.on_event(other, h.events()[3], Repeats::never, h.now);
    h.tell(h.events());
    h.log(h.events());
    CHECK(h.verdict().empty());
}

TEST_CASE("watch judge: what a reader did not ask for it must not be told", "[watch-judge]") {
    History h;
    h.tell(h.events());
    h.log(h.events());
    SECTION("another topic") {
        auto other = h.judge.add_reader("poll-1", {"t/1/#"}, at(13));
        h.judge.on_event(other, h.events()[4], Repeats::never, h.now);
        h.judge.on_event(other, h.events()[3], Repeats::never, h.now);
        CHECK(h.verdict() == "events_altered 1");
    }
    SECTION("an event before its cursor") {
        auto other = h.judge.add_reader("poll-1", {"t/1/#"}, at(14));
        h.judge.on_event(other, h.events()[3], Repeats::never, h.now);
        CHECK(h.verdict() == "events_altered 1");
    }
}

TEST_CASE("watch judge: an event told twice is doubled, at once or later", "[watch-judge]") {
    History h;
    auto list = h.events();
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(GENERATE(1U, 4U, 5U)), list[0]);
    h.tell(list);
    h.log(h.events());
    CHECK(h.verdict() == "events_doubled 1");
}

TEST_CASE("watch judge: MQTT may repeat after failures, once for each", "[watch-judge]") {
    History h;
    h.judge.on_connected(h.reader);
    h.tell(h.events(), Repeats::after_failures);
    h.log(h.events());
    SECTION("not without a failure") {
        h.tell({h.events()[4]}, Repeats::after_failures);
        CHECK(h.verdict() == "events_doubled 1");
    }
    SECTION("after a kill") {
        h.judge.on_kill();
        h.tell({h.events()[3], h.events()[4]}, Repeats::after_failures);
        CHECK(h.judge.counts().repeats == 2);
        h.tell({h.events()[4]}, Repeats::after_failures);
        CHECK(h.verdict() == "events_doubled 1");
    }
    SECTION("after a lost connection") {
        h.judge.on_connected(h.reader);
        h.tell({h.events()[4]}, Repeats::after_failures);
        CHECK(h.verdict().empty());
    }
    SECTION("no other way may") {
        h.judge.on_kill();
        h.judge.on_connected(h.reader);
        h.tell({h.events()[4]}, Repeats::never);
        CHECK(h.verdict() == "events_doubled 1");
    }
}

TEST_CASE("watch judge: an event behind a later one is reordered, not lost", "[watch-judge]") {
    History h;
    auto list = h.events();
    std::swap(list[1], list[2]);
    h.tell(list, GENERATE(Repeats::never, Repeats::after_failures));
    h.log(h.events());
    CHECK(h.verdict() == "events_reordered 1");
}

TEST_CASE("watch judge: an event must be the same for all", "[watch-judge]") {
    History h;
    h.log(h.events());
    auto list = h.events();
    SECTION("data") {
        list[2] = History::event(13, 2, "t/0/chat", "x");
    }
    SECTION("number") {
        list[2].n = 5;
    }
    SECTION("topic") {
        list[2].topic = "t/0/talk";
    }
    SECTION("type") {
        list[2].type = "moved";
    }
    h.tell(list);
    CHECK(h.verdict() == "events_altered 1");
}

TEST_CASE("watch judge: what the log does not have was made up", "[watch-judge]") {
    History h;
    h.tell(h.events());
    h.log(without(h.events(), 4));
    CHECK(h.verdict() == "events_altered 1");
}

TEST_CASE("watch judge: an event of another epoch is none of this log", "[watch-judge]") {
    History h;
    auto list = h.events();
    list[4].place.epoch = "k8";
    h.tell(list);
    h.log(without(h.events(), 4));
    CHECK(h.verdict() == "events_altered 1");
}

TEST_CASE("watch judge: a hole in the numbers of a topic is a loss of the log", "[watch-judge]") {
    History h;
    auto list = without(h.events(), 2);
    h.tell(list);
    h.log(list);
    CHECK(h.verdict() == "events_lost 1");
    CHECK(h.judge.verdict().examples.front().who == "the log");
}

TEST_CASE("watch judge: a told reset excuses what it covers and nothing else", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell({h.events()[0]});
    h.judge.on_reset(h.reader, at(13), h.now);
    SECTION("all that it says") {
        h.tell({h.events()[3], h.events()[4]});
        CHECK(h.verdict().empty());
        CHECK(h.judge.counts().excused == 2);
    }
    SECTION("not what comes behind") {
        h.tell({h.events()[4]});
        CHECK(h.verdict() == "events_lost 1");
    }
    SECTION("up to the end") {
        h.judge.on_reset(h.reader, at(16), h.now);
        CHECK(h.judge.behind() == 0);
        CHECK(h.verdict().empty());
    }
}

TEST_CASE("watch judge: a reset excuses nobody else", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell(h.events());
    h.judge.add_reader("ws-1", {"t/0/#"}, at(10));
    h.judge.on_reset(h.reader, at(16), h.now);
    CHECK(h.verdict() == "events_lost 3");
}

TEST_CASE("watch judge: what the log has forgotten is a gap that must be told", "[watch-judge]") {
    History h;
    auto other = h.judge.add_reader("ws-1", {"t/#"}, at(10));
    for (auto const& event : h.events()) h.judge.on_event(other, event, Repeats::never, h.now);
    h.judge.on_log_begins_behind(at(13));
    h.log({h.events()[3], h.events()[4]});
    SECTION("told") {
        h.judge.on_reset(h.reader, at(13), h.now);
        h.tell({h.events()[3], h.events()[4]});
        CHECK(h.verdict().empty());
    }
    SECTION("untold") {
        h.tell({h.events()[3], h.events()[4]});
        CHECK(h.verdict() == "reset_untold 3");
    }
}

TEST_CASE("watch judge: a first frame that speaks of a loss must be followed by a reset",
          "[watch-judge]") {
    History h;
    h.log(h.events());
    h.judge.on_connected(h.reader);
    SECTION("it says resumed") {
        h.judge.on_hello(h.reader, true, 0);
        h.tell(h.events());
        CHECK(h.verdict().empty());
    }
    SECTION("not resumed, and nothing more") {
        h.judge.on_hello(h.reader, false, 0);
        h.tell(h.events());
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("events lost, and nothing more") {
        h.judge.on_hello(h.reader, true, 3);
        h.tell(h.events());
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("the reset comes before or after") {
        auto is_before = GENERATE(true, false);
        if (is_before) h.judge.on_reset(h.reader, at(10), h.now);
        h.judge.on_hello(h.reader, false, 0);
        if (!is_before) h.judge.on_reset(h.reader, at(10), h.now);
        h.tell(h.events());
        CHECK(h.verdict().empty());
    }
    SECTION("of the connection before counts for nothing") {
        h.judge.on_reset(h.reader, at(10), h.now);
        h.judge.on_connected(h.reader);
        h.judge.on_hello(h.reader, false, 0);
        h.tell(h.events());
        CHECK(h.verdict() == "reset_untold 1");
    }
}

TEST_CASE("watch judge: an acknowledged write must be in the log, once", "[watch-judge]") {
    History h;
    h.tell(h.events());
    h.log(h.events());
    SECTION("acknowledged, and not there") {
        h.write({"a", "z"});
        CHECK(h.verdict() == "written_lost 1");
        CHECK(h.judge.verdict().examples.front().who == "z");
    }
    SECTION("nobody has answered: there or not") {
        h.judge.on_asked("a");
        h.judge.on_asked("z");
        CHECK(h.verdict().empty());
    }
    SECTION("twice there") {
        h.judge.on_asked("e");
        auto again = History::event(17, 4, "t/0/chat", "e");
        h.tell({again});
        h.log({again});
        CHECK(h.verdict() == "written_doubled 1");
    }
}

TEST_CASE("watch judge: an inbox is what its messages and marks make, at every place",
          "[watch-judge]") {
    History h;
    std::vector<SeenEvent> list{
        inbox_event(11, 1, "like"), inbox_event(12, 2, "comment"), inbox_event(13, 3, "like"),
        inbox_event(14, 4, "read", R"({"unread":1,"by":{"like":1},"upto":"k7.12"})")};
    h.tell(list);
    h.log(list);
    auto look = [&](std::string_view text) { h.judge.on_inbox("7", inbox(text), h.now); };
    SECTION("sound") {
        look(R"({"unread":0,"by":{}})");
        look(R"({"unread":2,"by":{"like":1,"comment":1},"cursor":"k7.12"})");
        look(R"({"unread":3,"by":{"like":2,"comment":1},"cursor":"k7.13"})");
        h.judge.on_quiet_inbox("7", inbox(R"({"unread":1,"by":{"like":1},"cursor":"k7.14"})"),
                               h.now);
        h.judge.on_marked("7", at(12));
        CHECK(h.verdict().empty());
        CHECK(h.judge.counts().inboxes == 5);  // and the state in the event `read`
    }
    SECTION("a wrong sum") {
        look(R"({"unread":1,"by":{"like":1,"comment":1},"cursor":"k7.12"})");
        CHECK(h.verdict() == "unread_wrong 1");
    }
    SECTION("a wrong share") {
        look(R"({"unread":2,"by":{"like":2},"cursor":"k7.12"})");
        CHECK(h.verdict() == "unread_wrong 1");
    }
    SECTION("an inbox that does not know the latest when all is quiet") {
        auto old = inbox(R"({"unread":3,"by":{"like":2,"comment":1},"cursor":"k7.13"})");
        h.judge.on_quiet_inbox("7", old, h.now);
        CHECK(h.verdict() == "unread_wrong 1");
    }
    SECTION("an inbox that nobody wrote to") {
        h.judge.on_quiet_inbox("8", inbox(R"({"unread":0,"by":{}})"), h.now);
        CHECK(h.verdict().empty());
    }
    SECTION("an acknowledged mark that covers nothing new, and is not there") {
        list.push_back(inbox_event(15, 5, "read", R"({"unread":0,"by":{},"upto":"k7.13"})"));
        h.tell({list.back()});
        h.log({list.back()});
        h.judge.on_marked("7", at(15));
        CHECK(h.verdict().empty());
    }
    SECTION("an acknowledged mark that is not there") {
        h.judge.on_marked("7", at(13));
        CHECK(h.verdict() == "unread_wrong 1");
    }
}

TEST_CASE("watch judge: a mark that goes back un-reads nothing", "[watch-judge]") {
    History h;
    std::vector<SeenEvent> list{
        inbox_event(11, 1, "like"), inbox_event(12, 2, "like"),
        inbox_event(13, 3, "read", R"({"unread":0,"by":{},"upto":"k7.12"})"),
        inbox_event(14, 4, "read", R"({"unread":1,"by":{"like":1},"upto":"k7.11"})")};
    h.tell(list);
    h.log(list);
    CHECK(h.verdict() == "unread_wrong 1");
}

TEST_CASE("watch judge: of each kind a few examples are kept", "[watch-judge]") {
    History h;
    for (std::uint64_t i = 0; i < 20; ++i) {
        h.log({History::event(11 + i, 1 + i, "t/0/chat", fmt::format("m{}", i))});
    }
    CHECK(h.verdict() == "events_lost 20");
    CHECK(h.judge.verdict().examples.size() == WatchVerdict::kExamplesMax);
}

}  // namespace spoke::sim::test
