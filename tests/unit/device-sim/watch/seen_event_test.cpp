#include "device-sim/watch/seen_event.hpp"

#include <catch2/catch.hpp>

namespace spoke::sim::test {
namespace {

constexpr std::string_view kAt = "2026-11-22T19:00:00.123Z";

}  // namespace

TEST_CASE("seen event: a document and a message of the same event are the same", "[seen-event]") {
    auto document = read_event(
        R"({"id":"k7.9","topic":"t/1/chat","n":3,"type":"say","at":"2026-11-22T19:00:00.123Z","data":{"m":"w-1","a":[1,2]}})");
    auto message =
        read_event(EventParts{"k7.9", "t/1/chat", "3", "say", kAt, R"({"m":"w-1","a":[1,2]})"});
    REQUIRE(document);
    REQUIRE(message);
    CHECK(*document == *message);
    CHECK(document->message == "w-1");
    CHECK(document->place == Place{"k7", 9});
}

TEST_CASE("seen event: what is none is refused", "[seen-event]") {
    CHECK_FALSE(read_event("{"));
    CHECK_FALSE(read_event("[]"));
    CHECK_FALSE(
        read_event(R"({"id":"k7","topic":"t","n":1,"at":"2026-11-22T19:00:00.123Z","data":1})"));
    CHECK_FALSE(read_event(R"({"id":"k7.1","n":1,"at":"2026-11-22T19:00:00.123Z","data":1})"));
    CHECK_FALSE(
        read_event(R"({"id":"k7.1","topic":"t","n":-1,"at":"2026-11-22T19:00:00.123Z","data":1})"));
    CHECK_FALSE(read_event(R"({"id":"k7.1","topic":"t","n":1,"at":"2026-11-22T19:00:00.123Z"})"));
    CHECK_FALSE(read_event(R"({"id":"k7.1","topic":"t","n":1,"at":"now","data":1})"));
    CHECK_FALSE(read_event(EventParts{"", "t", "1", "", kAt, "1"}));
    CHECK_FALSE(read_event(EventParts{"k7.1", "t", "x", "", kAt, "1"}));
    CHECK_FALSE(read_event(EventParts{"k7.1", "t", "1", "", "", "1"}));
}

TEST_CASE("seen event: a payload that is no JSON is text", "[seen-event]") {
    auto event = read_event(EventParts{"k7.1", "t", "1", "", kAt, "hello"});
    REQUIRE(event);
    CHECK(event->data == R"("hello")");
}

TEST_CASE("seen event: places are an epoch and an offset", "[seen-event]") {
    CHECK(Place::parse("k7.1042") == Place{"k7", 1042});
    CHECK(Place{"k7", 1042}.text() == "k7.1042");
    for (auto const* text : {"", "k7", ".1", "k7.", "k7.x", "K7.1", "k7.1 ", "k-7.1"}) {
        CHECK_FALSE(Place::parse(text));
    }
}

TEST_CASE("seen event: inboxes, pages and resets are read", "[seen-event]") {
    auto inbox = read_inbox(R"({"unread":3,"by":{"like":2,"comment":1,"x":0},"cursor":"k7.88"})");
    REQUIRE(inbox);
    CHECK(inbox->state == InboxState{3, {{"comment", 1}, {"like", 2}}});
    CHECK(inbox->cursor == Place{"k7", 88});
    CHECK(to_text(inbox->state) == "3 (comment 1, like 2)");
    CHECK_FALSE(read_inbox(R"({"unread":3})"));
    auto page = read_page(
        R"({"events":[{"id":"k7.1","topic":"t","n":1,"at":"2026-11-22T19:00:00.123Z","data":null}],"next":"k7.4"})");
    REQUIRE(page);
    CHECK(page->events.size() == 1);
    CHECK(page->next == "k7.4");
    CHECK_FALSE(read_page(R"({"events":[{}],"next":"k7.4"})"));
    CHECK_FALSE(read_page(R"({"events":[]})"));
    auto reset = read_reset(R"({"reason":"too-old","cursor":"k7.2000","snapshot":"/v1/x"})");
    REQUIRE(reset);
    CHECK(reset->reason == "too-old");
    CHECK(reset->cursor == "k7.2000");
    CHECK(reset->topic.empty());
    CHECK(read_reset(R"({"reason":"epoch","cursor":"k7.2","topic":"t/#"})")->topic == "t/#");
    CHECK_FALSE(read_reset(R"({"cursor":"k7.2000"})"));
    auto hello = read_hello(R"({"resumed":true,"from":"k7.9","lost":3})");
    REQUIRE(hello);
    CHECK(hello->resumed);
    CHECK(hello->lost == 3);
    CHECK_FALSE(read_hello(R"({"lost":null})")->resumed);
    CHECK(read_hello(R"({"lost":null})")->lost == 0);
    CHECK_FALSE(read_hello("7"));
}

}  // namespace spoke::sim::test
