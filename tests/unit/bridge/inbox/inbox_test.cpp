#include "tests/unit/bridge/inbox/inbox_world.hpp"

namespace spoke::bridge {
namespace {

using namespace test;

TEST_CASE("an inbox: counts what is unread, in total and by type", "[inbox]") {
    InboxWorld w;
    CHECK(*w.inboxes->look("7777").document == R"({"unread":0,"by":{},"cursor":"k7.0"})");
    w.put("7777", {message("like"), message("comment")});
    w.publish("7777", "like");
    w.publish("8888", "like");
    CHECK(w.unread("7777") == 0);  // nothing is committed yet
    w.settle();
    CHECK(w.unread("7777") == 3);
    CHECK(w.by("7777") == R"({"comment":1,"like":2})");
    CHECK(w.inboxes->look("7777").etag == "\"k7.3-3\"");
    CHECK(w.document("7777").at("latest").at("id").as_string() == "k7.3");
    CHECK(w.document("7777").at("cursor").as_string() == "k7.3");
    CHECK(w.unread("8888") == 1);
    REQUIRE(w.last_put);
    CHECK(w.last_put->offsets == std::vector<std::uint64_t>{1, 2});
    CHECK(w.last_put->view.unread == 2);  // as it was when they were committed
}

TEST_CASE("an inbox: a message without a type counts as message", "[inbox]") {
    InboxWorld w;
    w.publish("7777", "");
    w.settle();
    CHECK(w.by("7777") == R"({"message":1})");
}

TEST_CASE("an inbox: reading never makes anything unread again", "[inbox]") {
    InboxWorld w;
    for (int i = 0; i < 4; ++i) w.publish("7777", "like");
    w.settle();
    w.mark_read("7777", 3);
    CHECK(w.unread("7777") == 4);  // not committed yet
    w.settle();
    CHECK(w.unread("7777") == 1);
    w.mark_read("7777", 1);
    CHECK(w.reads_done == 2);  // at once: there is nothing to do
    CHECK(w.last_read->unread == 1);
    CHECK(w.store.pending.empty());
    auto last = w.events_of("7777").back();
    CHECK(last.type == "read");
    CHECK(last.data == R"({"unread":1,"by":{"like":1},"upto":"k7.3"})");
    w.kill_and_restart();
    CHECK(w.unread("7777") == 1);
}

TEST_CASE("an inbox: the one asked for the longest ago goes, although it has just grown",
          "[inbox]") {
    InboxWorld w{{.cache_bytes_max = 2'000}};
    w.unread("7777");
    w.unread("8888");
    REQUIRE(w.inboxes->cached() == 2);
    for (int i = 0; i < 10; ++i) w.publish("7777", "like");
    w.settle();
    CHECK(w.inboxes->cached() == 1);
    CHECK(w.inboxes->cache_bytes() <= 2'000);
    CHECK(w.unread("7777") == 10);
}

TEST_CASE("an inbox: while the log cannot be read, nothing wrong is told of it", "[inbox]") {
    // Nothing is among the newest, which are in memory.
    InboxWorld w{{}, 10'000, 0};
    for (int i = 0; i < 3; ++i) w.put("7777", {message("like", "post-9")});
    w.settle();
    w.put("7777", {message("like", {}, 5s)});
    w.settle();
    w.kill_and_restart();
    auto& store = w.store;
    store.can_read = false;
    CHECK_FALSE(w.inboxes->look("7777").document);
    w.mark_read("7777", 4);
    CHECK(w.reads_done == 1);
    CHECK_FALSE(w.last_read);
    auto page = w.inboxes->messages("7777", {});
    CHECK(page.messages.empty());
    CHECK(page.has_more);
    CHECK(page.is_stuck);
    w.advance(5s);
    CHECK(store.pending.empty());  // no word of an inbox that is not known
    store.can_read = true;
    CHECK(w.unread("7777") == 1);
    CHECK(w.listed("7777") == std::vector<std::string>{"k7.3"});
    w.advance(1s);
    w.settle();
    CHECK(w.events_of("7777").back().data == R"({"unread":1,"by":{"like":1},"upto":"k7.0"})");
    SECTION("nor of one whose latest message cannot be read") {
        w.publish("7777", "like");
        w.settle();
        store.can_read = false;
        CHECK_FALSE(w.inboxes->look("7777").document);
        store.can_read = true;
        CHECK(w.document("7777").at("latest").at("id").as_string() == "k7.6");
    }
}

TEST_CASE("an inbox: two devices that read the same are one event", "[inbox]") {
    InboxWorld w;
    w.publish("7777", "like");
    w.settle();
    w.mark_read("7777", 1);
    w.mark_read("7777", 1);
    CHECK(w.store.pending.size() == 1);
    w.settle();
    CHECK(w.reads_done == 2);
    CHECK(w.events_of("7777").size() == 2);
}

TEST_CASE("an inbox: what is on its way when it is read still counts", "[inbox]") {
    InboxWorld w;
    w.publish("7777", "like");
    w.settle();
    w.publish("7777", "comment");
    w.mark_read("7777", 1);
    w.settle();
    CHECK(w.events_of("7777").back().data == R"({"unread":1,"by":{"comment":1},"upto":"k7.1"})");
    CHECK(w.unread("7777") == 1);
}

TEST_CASE("an inbox: a message over MQTT is stored although one of its key over HTTP fails",
          "[inbox]") {
    InboxWorld w;
    w.put("7777", {message("like")}, "k1");
    auto stored = 0;
    auto draft = make_draft("u/7777/in", "{}");
    draft.key = "k1";
    for (int i = 0; i < 2; ++i) {
        w.inboxes->record(draft, Need::certain,
                          [&](EventLog::Recorded const& recorded) { stored += recorded.stored; });
    }
    w.store.complete_one(false);
    CHECK(w.last_put->kind == Inboxes::PutResult::Kind::failed);
    CHECK(stored == 0);
    w.settle();
    CHECK(stored == 2);
    CHECK(w.events_of("7777").size() == 1);
    CHECK(w.unread("7777") == 1);
}

TEST_CASE("an inbox: a word that counted a message which failed is corrected", "[inbox]") {
    InboxWorld w;
    w.publish("7777", "like");
    w.settle();
    w.put("7777", {message("comment")});
    w.mark_read("7777", 1);
    w.store.complete_one(false);
    w.settle();
    auto events = w.events_of("7777");
    REQUIRE(events.size() == 3);
    CHECK(events[1].data == R"({"unread":1,"by":{"comment":1},"upto":"k7.1"})");
    CHECK(events[2].data == R"({"unread":0,"by":{},"upto":"k7.1"})");
    CHECK(w.last_put->kind == Inboxes::PutResult::Kind::failed);
    CHECK(w.unread("7777") == 0);
}

TEST_CASE("an inbox: reading that could not be stored has not happened", "[inbox]") {
    InboxWorld w;
    w.publish("7777", "like");
    w.settle();
    w.mark_read("7777", 1);
    w.store.complete_one(false);
    CHECK(w.reads_done == 1);
    CHECK_FALSE(w.last_read);
    CHECK(w.unread("7777") == 1);
}

TEST_CASE("an inbox: what expires is told, once, and wakes those who wait", "[inbox]") {
    InboxWorld w;
    auto while_away = GENERATE(false, true);
    w.put("7777", {message("offer", {}, 1'000ms), message("like")});
    w.settle();
    auto woken = 0;
    if (while_away) {
        w.kill_and_restart();
        w.clock.advance(1'000ms);
    } else {
        auto etag = w.inboxes->look("7777").etag;
        w.inboxes->hold({"7777", [etag](auto const& view) { return view.etag == etag; },
                         SteadyTime::max(),
                         [&](auto const& view) {
                             ++woken;
                             CHECK(view.unread == 1);
                         }});
        w.advance(999ms);
        CHECK(woken == 0);
        w.advance(1ms);
        CHECK(woken == 1);
    }
    w.settle();
    CHECK(w.unread("7777") == 1);
    w.advance(1h);
    w.settle();
    auto events = w.events_of("7777");
    REQUIRE(events.size() == 3);
    CHECK(events[2].type == "expired");
    CHECK(events[2].data == R"({"unread":1,"by":{"like":1},"upto":"k7.0"})");
    w.kill_and_restart();
    w.settle();
    CHECK(w.events_of("7777").size() == 3);
}

TEST_CASE("an inbox: the search for what expires begins where it must, and not before", "[inbox]") {
    InboxWorld w;
    for (int i = 0; i < 10; ++i) w.publish("8888", "like");
    w.publish("7777", "offer", {}, 1h);
    w.settle();
    w.inboxes->drain();
    CHECK(w.store.position("inboxes") == 10);
    w.kill_and_restart();
    w.settle();
    w.advance(1h);
    w.settle();
    CHECK(w.events_of("7777").back().type == "expired");
    w.inboxes->drain();
    CHECK(w.store.position("inboxes") == 12);
}

TEST_CASE("an inbox: the newest message of a collapse key stands for the others", "[inbox]") {
    InboxWorld w;
    w.put("7777", {message("like", "post-9"), message("like"), message("like", "post-9")});
    w.settle();
    CHECK(w.unread("7777") == 2);
    CHECK(w.listed("7777") == std::vector<std::string>{"k7.2", "k7.3"});
    CHECK(w.events_of("7777").size() == 3);  // in the log are all of them
    w.mark_read("7777", 3);
    w.settle();
    CHECK(w.listed("7777") == std::vector<std::string>{"k7.2", "k7.3"});
    w.publish("7777", "like", "post-9");
    w.settle();
    CHECK(w.unread("7777") == 1);
    CHECK(w.listed("7777") == std::vector<std::string>{"k7.2", "k7.5"});
    CHECK(w.listed("7777", {.unread_only = true}) == std::vector<std::string>{"k7.5"});
}

TEST_CASE("an inbox: is listed in pages", "[inbox]") {
    InboxWorld w;
    for (int i = 0; i < 5; ++i) w.publish("7777", "like");
    w.settle();
    auto page = w.inboxes->messages("7777", {.limit = 2});
    CHECK(page.messages.size() == 2);
    CHECK(page.has_more);
    CHECK(page.position == 2);
    page = w.inboxes->messages("7777", {.after = 2, .limit = 3});
    CHECK(page.messages.size() == 3);
    CHECK_FALSE(page.has_more);
    CHECK(page.position == 5);
}

TEST_CASE("an inbox: a retry under the same key puts nothing in again", "[inbox]") {
    InboxWorld w;
    w.put("7777", {message("like"), message("comment")}, "k");
    w.settle();
    w.put("7777", {message("like"), message("comment")}, "k");
    w.settle();
    REQUIRE(w.last_put);
    CHECK(w.last_put->repeated);
    CHECK(w.last_put->offsets == std::vector<std::uint64_t>{1, 2});
    CHECK(w.unread("7777") == 2);
    w.put("7777", {message("like"), message("other")}, "k");
    REQUIRE(w.last_put);
    CHECK(w.last_put->kind == Inboxes::PutResult::Kind::key_reused);
    CHECK(w.store.pending.empty());
    w.put("8888", {message("like"), message("other")}, "k");  // another inbox, other keys
    w.settle();
    CHECK(w.unread("8888") == 2);
}

TEST_CASE("an inbox: another message under a key that is on its way ends as that one does",
          "[inbox]") {
    using Kind = Inboxes::PutResult::Kind;
    InboxWorld w;
    w.put("7777", {message("like"), message("comment")}, "k");
    w.put("7777", {message("like"), message("other")}, "k");
    CHECK_FALSE(w.last_put);
    SECTION("it is stored: the key is taken") {
        w.settle();
        REQUIRE(w.last_put);
        CHECK(w.last_put->kind == Kind::key_reused);
        CHECK(w.unread("7777") == 2);
    }
    SECTION("it is not: nothing is") {
        w.store.complete_one(false);
        REQUIRE(w.last_put);
        CHECK(w.last_put->kind == Kind::failed);
        w.put("7777", {message("like"), message("other")}, "k");
        w.settle();
        CHECK(w.last_put->kind == Kind::stored);
        CHECK(w.by("7777") == R"({"like":1,"other":1})");
    }
}

TEST_CASE("an inbox: beyond unread_max the oldest counts as read, for good", "[inbox]") {
    InboxWorld w{{.limits = {.unread_max = 3}}};
    for (int i = 0; i < 3; ++i) w.publish("7777", "old");
    w.settle();
    CHECK(w.unread("7777") == 3);
    w.publish("7777", "new");
    w.settle();
    CHECK(w.by("7777") == R"({"new":1,"old":2})");
    CHECK(w.store.inbox_mark("7777") == 1);
    w.kill_and_restart();
    CHECK(w.by("7777") == R"({"new":1,"old":2})");
}

TEST_CASE("an inbox: an old unread message does not make the log behind it grow for ever",
          "[inbox]") {
    InboxWorld w{{.limits = {.unread_max = 10, .behind_max = 100}}};
    w.publish("7777", "first");
    for (int i = 0; i < 99; ++i) w.publish("7777", "state", "one");
    w.settle();
    CHECK(w.by("7777") == R"({"first":1,"state":1})");
    w.publish("7777", "state", "one");
    w.settle();
    CHECK(w.by("7777") == R"({"state":1})");
}

TEST_CASE("an inbox: nobody asks for it, and its mark follows all the same", "[inbox]") {
    InboxWorld w;
    for (int i = 0; i < 2'000; ++i) w.publish("7777", "state", "one");
    w.settle();
    CHECK(w.store.inbox_mark("7777") >= 999);
    w.kill_and_restart();
    CHECK(w.unread("7777") == 1);
}

TEST_CASE("inboxes: state beyond the bound is read from the log again", "[inbox]") {
    InboxWorld w{{.cache_bytes_max = 1}};
    w.publish("a", "like");
    w.publish("b", "like");
    w.settle();
    CHECK(w.unread("a") == 1);
    CHECK(w.unread("b") == 1);
    CHECK(w.inboxes->cached() == 1);
    auto loaded = w.inboxes->counters().loaded;
    CHECK(w.unread("b") == 1);
    CHECK(w.inboxes->counters().loaded == loaded);
    CHECK(w.unread("a") == 1);
    CHECK(w.inboxes->counters().loaded == loaded + 1);
}

TEST_CASE("inboxes: beyond expiries_max nobody is told, and the count is right", "[inbox]") {
    InboxWorld w{{.expiries_max = 1}};
    w.publish("a", "offer", {}, 1s);
    w.publish("b", "offer", {}, 1s);
    w.settle();
    w.advance(1s);
    w.settle();
    CHECK(w.events_of("a").size() == 2);
    CHECK(w.events_of("b").size() == 1);
    CHECK(w.unread("b") == 0);
}

TEST_CASE("inboxes: a wait ends when its time is up, or with the bridge", "[inbox]") {
    InboxWorld w;
    auto told = 0;
    auto known = [](InboxView const&) { return true; };
    auto done = [&](InboxView const&) { ++told; };
    w.inboxes->hold({"7777", known, w.clock.now.steady + 5s, done});
    w.advance(4'999ms);
    CHECK(told == 0);
    w.advance(1ms);
    CHECK(told == 1);
    w.inboxes->hold({"7777", known, w.clock.now.steady + 5s, done});
    w.inboxes->drain();
    CHECK(told == 2);
    CHECK_FALSE(w.inboxes->hold({"7777", known, w.clock.now.steady + 5s, done}));
    CHECK(told == 3);
}

TEST_CASE("inboxes: a wait of somebody who has gone is given up", "[inbox]") {
    InboxWorld w;
    auto ticket = w.inboxes->hold(
        {"7777", [](auto const&) { return true; }, SteadyTime::max(), [](auto const&) {}});
    REQUIRE(ticket);
    CHECK(w.inboxes->held() == 1);
    w.inboxes->let_go(*ticket);
    CHECK(w.inboxes->held() == 0);
}

TEST_CASE("the name of an inbox: 1 to 128 bytes without '/', '+', '#' and control characters",
          "[inbox]") {
    for (auto const* name : {"7", "user:7777", "a b", "\xC3\xA4", "$x"}) CHECK(is_inbox_name(name));
    CHECK(is_inbox_name(std::string(128, 'x')));
    for (auto const* name : {"", "a/b", "a+b", "a#", "a\nb", "a\x7F"})
        CHECK_FALSE(is_inbox_name(name));
    CHECK_FALSE(is_inbox_name(std::string(129, 'x')));
    CHECK(inbox_of("u/7/in") == "7");
    for (auto const* topic : {"u//in", "u/in", "u/7/out", "v/7/in", "u/7/8/in", "u/+/in"}) {
        CHECK_FALSE(inbox_of(topic));
    }
}

}  // namespace
}  // namespace spoke::bridge
