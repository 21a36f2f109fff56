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

ResetNote reset(std::uint64_t offset, std::string reason = "too-old", std::string topic = {}) {
    return {std::move(reason), at(offset).text(), std::move(topic)};
}

/// A history that the test spoils: five events in two topics, written by a, b, ... and read by one
/// reader of everything.
struct History {
    History() { reader = judge.add_reader("sse-1", {"t/#", "u/+/in"}, at(10)); }

    /// The event at this offset, which the write `message` has made.
    static SeenEvent event(std::uint64_t offset, std::uint64_t n, std::string const& topic,
                           std::string const& message) {
        auto document = fmt::format(
            R"({{"id":"k7.{}","topic":"{}","n":{},"at":"1970-01-01T00:00:00.500Z","data":{{"m":"{}"}}}})",
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
            judge.on_asked(message, {}, now);
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

/// When an event of this history is recorded.
WallTime time_of(std::uint64_t offset) {
    return WallTime{std::chrono::seconds{offset}};
}

TimeSpan in_time(WallTime when) {
    return {when, when};
}

SeenEvent inbox_event(std::uint64_t offset, std::uint64_t n, std::string_view type,
                      std::string_view data = R"({"x":1})") {
    auto event = *read_event(fmt::format(
        R"({{"id":"k7.{}","topic":"u/7/in","n":{},"type":"{}","at":"2026-11-22T19:00:00.123Z","data":{}}})",
        offset, n, type, data));
    event.at = time_of(offset);
    return event;
}

/// The same of the write `message`.
SeenEvent inbox_message(std::uint64_t offset, std::uint64_t n, std::string_view type,
                        std::string_view message) {
    return inbox_event(offset, n, type, fmt::format(R"({{"m":"{}"}})", message));
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
        h.judge.on_kill(h.now);
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
        h.judge.on_kill(h.now);
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
    SECTION("time") {
        list[2].at += std::chrono::milliseconds{1};
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
    h.judge.on_reset(h.reader, reset(13), h.now);
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
        h.judge.on_reset(h.reader, reset(16), h.now);
        CHECK(h.judge.behind() == 0);
        CHECK(h.verdict().empty());
    }
}

TEST_CASE("watch judge: a reset excuses nobody else", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell(h.events());
    h.judge.add_reader("ws-1", {"t/0/#"}, at(10));
    h.judge.on_reset(h.reader, reset(16), h.now);
    CHECK(h.verdict() == "events_lost 3");
}

TEST_CASE("watch judge: what the log has forgotten is a gap that must be told", "[watch-judge]") {
    History h;
    auto other = h.judge.add_reader("ws-1", {"t/#"}, at(10));
    for (auto const& event : h.events()) h.judge.on_event(other, event, Repeats::never, h.now);
    h.judge.on_log_begins_behind(at(13));
    h.log({h.events()[3], h.events()[4]});
    SECTION("told") {
        h.judge.on_reset(h.reader, reset(13), h.now);
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
        h.judge.on_hello(h.reader, {true, 0});
        h.tell(h.events());
        CHECK(h.verdict().empty());
    }
    SECTION("not resumed, and nothing more") {
        h.judge.on_hello(h.reader, {false, 0});
        h.tell(h.events());
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("events lost, and nothing more") {
        h.judge.on_hello(h.reader, {true, 3});
        h.tell(h.events());
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("the reset comes before or after") {
        auto is_before = GENERATE(true, false);
        if (is_before) h.judge.on_reset(h.reader, reset(10), h.now);
        h.judge.on_hello(h.reader, {false, 0});
        if (!is_before) h.judge.on_reset(h.reader, reset(10), h.now);
        h.tell(h.events());
        CHECK(h.verdict().empty());
    }
    SECTION("of the connection before counts for nothing") {
        h.judge.on_reset(h.reader, reset(10), h.now);
        h.judge.on_connected(h.reader);
        h.judge.on_hello(h.reader, {false, 0});
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
        h.judge.on_asked("a", {}, h.now);
        h.judge.on_asked("z", {}, h.now);
        CHECK(h.verdict().empty());
    }
    SECTION("twice there") {
        h.judge.on_asked("e", {}, h.now);
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
    auto look = [&](std::string_view text) {
        h.judge.on_inbox("7", inbox(text), in_time(time_of(20)));
    };
    SECTION("sound") {
        look(R"({"unread":0,"by":{}})");
        look(R"({"unread":2,"by":{"like":1,"comment":1},"cursor":"k7.12"})");
        look(R"({"unread":3,"by":{"like":2,"comment":1},"cursor":"k7.13"})");
        h.judge.on_quiet_inbox("7", inbox(R"({"unread":1,"by":{"like":1},"cursor":"k7.14"})"),
                               in_time(time_of(20)));
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
        h.judge.on_quiet_inbox("7", old, in_time(time_of(20)));
        CHECK(h.verdict() == "unread_wrong 1");
    }
    SECTION("an inbox that nobody wrote to") {
        h.judge.on_quiet_inbox("8", inbox(R"({"unread":0,"by":{}})"), in_time(time_of(20)));
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

TEST_CASE("watch judge: a reset covers what was there when it was told", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell({h.events()[0]});
    // It leads far beyond the end, as no log can.
    auto told_at = GENERATE(as<int>{}, 499, 500);
    h.judge.on_reset(h.reader, reset(999), WallTime{std::chrono::milliseconds{told_at}});
    CHECK(h.verdict() == (told_at == 500 ? "" : "events_lost 4"));
}

TEST_CASE("watch judge: a reset to what is no place is of no use", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell(h.events());
    auto cursor = GENERATE(as<std::string>{}, "k7", "k8.16", "");
    h.judge.on_reset(h.reader, {"epoch", cursor}, h.now);
    CHECK(h.verdict() == "reset_untold 1");
}

TEST_CASE("watch judge: a cursor of no use must be answered by a reset", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell({h.events()[0], h.events()[1]});
    h.judge.on_begin(h.reader, WantedReset{"epoch"});
    h.judge.on_connected(h.reader);
    CHECK(h.judge.behind() == 1);
    auto rest = [&] { h.tell({h.events()[2], h.events()[3], h.events()[4]}); };
    SECTION("told") {
        h.judge.on_reset(h.reader, reset(12, "epoch"), h.now);
        h.judge.on_cursor(h.reader);
        rest();
        CHECK(h.judge.behind() == 0);
        CHECK(h.verdict().empty());
    }
    SECTION("an event in its place") {
        rest();
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("that there is nothing new in its place") {
        h.judge.on_cursor(h.reader);
        rest();
        CHECK(h.verdict() == "reset_untold 1");
        CHECK(h.judge.verdict().examples.front().who == "sse-1");
    }
    SECTION("nothing to the end") {
        h.judge.on_reset(h.reader, reset(12, "epoch"), h.now);
        rest();
        h.judge.on_begin(h.reader, WantedReset{"future"});
        CHECK(h.judge.behind() == 1);
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("another reason") {
        h.judge.on_reset(h.reader, reset(12, "future"), h.now);
        rest();
        CHECK(h.verdict() == "reset_untold 1");
    }
    SECTION("the connection is lost before it says anything, and the next one tells") {
        h.judge.on_begin(h.reader, WantedReset{"epoch"});
        h.judge.on_connected(h.reader);
        h.judge.on_reset(h.reader, reset(12, "epoch"), h.now);
        rest();
        CHECK(h.verdict().empty());
    }
}

TEST_CASE("watch judge: over a WebSocket a reset is told for each topic", "[watch-judge]") {
    History h;
    h.log(h.events());
    h.tell(h.events());
    h.judge.on_begin(h.reader, WantedReset{"malformed", {"t/#", "u/+/in"}});
    h.judge.on_connected(h.reader);
    h.judge.on_reset(h.reader, reset(16, "malformed", "t/#"), h.now);
    auto is_told = GENERATE(true, false);
    if (is_told) h.judge.on_reset(h.reader, reset(16, "malformed", "u/+/in"), h.now);
    h.judge.on_cursor(h.reader);
    CHECK(h.verdict() == (is_told ? "" : "reset_untold 1"));
}

TEST_CASE("watch judge: an answer that speaks of a loss needs a reset of its topic",
          "[watch-judge]") {
    History h;
    h.log(h.events());
    h.judge.on_connected(h.reader);
    auto topic = GENERATE(as<std::string>{}, "t/#", "u/+/in");
    h.judge.on_reset(h.reader, reset(10, "epoch", "t/#"), h.now);
    h.judge.on_hello(h.reader, {false, 0, topic});
    h.tell(h.events());
    CHECK(h.verdict() == (topic == "t/#" ? "" : "reset_untold 1"));
}

namespace {

/// An inbox with messages that expire and replace each other: like 11, like 12 (lives 3 s: until
/// 15), comment 13 and comment 14 of one collapse key, and the word of the bridge at 16.
struct InboxHistory : History {
    InboxHistory() {
        ask("a", {});
        ask("b", {.ttl = std::chrono::seconds{3}});
        ask("c", {.collapse = "post"});
        ask("d", {.collapse = "post"});
        list = {inbox_message(11, 1, "like", "a"), inbox_message(12, 2, "like", "b"),
                inbox_message(13, 3, "comment", "c"), inbox_message(14, 4, "comment", "d"),
                inbox_event(16, 5, "expired",
                            R"({"unread":2,"by":{"like":1,"comment":1},"upto":"k7.10"})")};
        now = time_of(30);
    }
    void ask(std::string const& message, MessageTerms const& terms) {
        judge.on_asked(message, terms, time_of(10));
        judge.on_acknowledged(message);
    }
    /// "a state at a place", looked at within some seconds.
    void look(std::string_view text, double from, double to) {
        auto when = [](double seconds) {
            return WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)}};
        };
        judge.on_inbox("7", inbox(text), {when(from), when(to)});
    }
    std::string judged() {
        tell(list);
        log(list);
        return verdict();
    }
    std::vector<SeenEvent> list;
};

constexpr std::string_view kBefore = R"({"unread":3,"by":{"like":2,"comment":1},"cursor":"k7.14"})";
constexpr std::string_view kAfter = R"({"unread":2,"by":{"like":1,"comment":1},"cursor":"k7.14"})";

}  // namespace

TEST_CASE("watch judge: an inbox whose messages expire and replace each other", "[watch-judge]") {
    InboxHistory h;
    h.look(R"({"unread":3,"by":{"like":2,"comment":1},"cursor":"k7.13"})", 13.1, 13.2);
    h.look(kBefore, 14.5, 14.999);
    h.look(kAfter, 15, 15.1);
    // Nobody knows at which moment of it the bridge looked.
    h.look(kBefore, 14.9, 15.1);
    h.look(kAfter, 14.9, 15.1);
    CHECK(h.judged().empty());
    CHECK(h.judge.counts().inboxes == 6);
    CHECK(h.judge.counts().expiring == 1);
    CHECK(h.judge.counts().expired == 1);
    CHECK(h.judge.counts().collapsing == 2);
}

TEST_CASE("watch judge: a missed expiry is a wrong count", "[watch-judge]") {
    InboxHistory h;
    SECTION("what has expired is still counted") {
        h.look(kBefore, 15, 15.1);
        CHECK(h.judged() == "unread_wrong 1");
    }
    SECTION("what has not expired is not counted any more") {
        h.look(kAfter, 14.5, 14.999);
        CHECK(h.judged() == "unread_wrong 1");
    }
    SECTION("no event says so") {
        h.list.pop_back();
        CHECK(h.judged() == "unread_wrong 1");
        CHECK(h.judge.verdict().examples.front().id == "k7.12");
    }
    SECTION("the event that says so counts it") {
        h.list.back() = inbox_event(16, 5, "expired",
                                    R"({"unread":3,"by":{"like":2,"comment":1},"upto":"k7.10"})");
        CHECK(h.judged() == "unread_wrong 1");
    }
    SECTION("the event comes too early, and no other one") {
        h.list.back().at = time_of(14);
        CHECK(h.judged() == "unread_wrong 2");  // and the state is not that of then
    }
}

TEST_CASE("watch judge: an expiry of what was no longer unread need not be told", "[watch-judge]") {
    InboxHistory h;
    h.list.pop_back();
    SECTION("read") {
        h.list.back() =
            inbox_event(14, 4, "read", R"({"unread":1,"by":{"comment":1},"upto":"k7.12"})");
        h.ask("d", {});
    }
    SECTION("replaced") {
        h.ask("e", {.collapse = "more", .ttl = std::chrono::seconds{3}});
        h.list = {inbox_message(11, 1, "like", "e"), inbox_message(12, 2, "like", "f")};
        h.ask("f", {.collapse = "more"});
    }
    h.tell(h.list);
    h.log(h.list);
    CHECK(h.judge.open_expiries(h.now) == 0);
    h.judge.on_end(h.now);
    CHECK(h.judge.verdict().count(Wrong::unread_wrong) == 0);
}

TEST_CASE("watch judge: a wrong collapse is a wrong count", "[watch-judge]") {
    InboxHistory h;
    SECTION("both are counted") {
        h.look(R"({"unread":4,"by":{"like":2,"comment":2},"cursor":"k7.14"})", 14.1, 14.2);
    }
    SECTION("none is") {
        h.look(R"({"unread":2,"by":{"like":2},"cursor":"k7.14"})", 14.1, 14.2);
    }
    SECTION("one without the key was replaced") {
        h.look(R"({"unread":2,"by":{"like":1,"comment":1},"cursor":"k7.14"})", 14.1, 14.2);
    }
    SECTION("it is replaced before the newer one is there") {
        h.look(R"({"unread":2,"by":{"like":2},"cursor":"k7.13"})", 14.1, 14.2);
    }
    CHECK(h.judged() == "unread_wrong 1");
}

TEST_CASE("watch judge: it knows what will expire, and what has and nobody has told",
          "[watch-judge]") {
    InboxHistory h;
    h.tell({h.list[0], h.list[1], h.list[2], h.list[3]});
    CHECK(h.judge.open_expiries(time_of(14)) == 1);
    CHECK(h.judge.open_expiries(time_of(15)) == 1);
    h.tell({h.list[4]});
    CHECK(h.judge.open_expiries(time_of(15)) == 0);
}

TEST_CASE("watch judge: a broker counts an expiry down by its seconds", "[watch-judge]") {
    InboxHistory h;
    // Asked for at 10, recorded at 12: it expires between 12 and 15.
    h.judge = WatchJudge{WallTime{}};
    h.reader = h.judge.add_reader("sse-1", {"u/+/in"}, at(10));
    h.ask("a", {});
    h.ask("b", {.ttl = std::chrono::seconds{3}, .counts_on_the_way = true});
    h.ask("c", {.collapse = "post"});
    h.ask("d", {.collapse = "post"});
    h.look(kAfter, 14.5, 14.9);
    h.look(kBefore, 14.5, 14.9);
    auto is_late = GENERATE(true, false);
    if (is_late) h.look(kBefore, 15, 15.1);
    CHECK(h.judged() == (is_late ? "unread_wrong 1" : ""));
}

TEST_CASE("watch judge: what expires on its way is lost only if nothing was killed",
          "[watch-judge]") {
    InboxHistory h;
    auto counts = GENERATE(true, false);
    auto killed_at = GENERATE(as<std::uint64_t>{}, 0, 11, 20);
    h.ask("e", {.ttl = std::chrono::seconds{5}, .counts_on_the_way = counts});
    if (killed_at != 0) h.judge.on_kill(time_of(killed_at));
    h.tell(h.list);
    h.log(h.list);
    bool may_be = counts && killed_at == 11;
    CHECK(h.judge.missing_writes() == (may_be ? 0 : 1));
    CHECK(h.verdict() == (may_be ? "" : "written_lost 1"));
    CHECK(h.judge.counts().died == (may_be ? 1 : 0));
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
