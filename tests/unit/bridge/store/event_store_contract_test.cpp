#include <fmt/format.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "protocol/topic/topic.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/bridge/store/forms.hpp"

namespace spoke::bridge::test {
namespace {

std::vector<EventClass> small_classes() {
    return {{"d/+/evt", 1h, 5, 1'000'000}, {"d/#", 1h, 1'000, 300}, {"t/#", 1h, 1'000, 1'000'000}};
}

std::unique_ptr<StoreForm> make_form(std::string_view name, std::vector<EventClass> classes = {
                                                                {"#", 1h, 100'000, 100'000'000}}) {
    if (name == "memory") return std::make_unique<MemoryForm>(std::move(classes));
    SqliteStore::Settings settings;
    settings.classes = std::move(classes);
    return std::make_unique<SqliteForm>(std::move(settings));
}

Event event_of(std::uint64_t offset, std::string topic, std::string data = "1") {
    Event event;
    event.offset = offset;
    event.n = offset;
    event.at = FakeClock{}.now.wall;
    event.topic = std::move(topic);
    event.data = std::move(data);
    return event;
}

void append(StoreForm& form, std::vector<Event> events) {
    form.events().append_events(std::move(events), {}, Need::certain, form.done());
    form.await_all();
}

std::vector<std::uint64_t> offsets(EventPage const& page) {
    std::vector<std::uint64_t> out;
    for (auto const& event : page.events) out.push_back(event.offset);
    return out;
}

using Offsets = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("event store: an event comes back as it was written", "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto event = event_of(7, "u/7777/in", R"({"who":"åse","n":[1,2]})");
    event.n = 3;
    event.type = "like";
    event.key = "key-1";
    event.collapse = "post-9";
    event.expires_at = event.at + 1'500ms;
    event.from_broker = true;
    event.encoding = GENERATE(EventEncoding::json, EventEncoding::text, EventEncoding::base64);
    append(*form, {event, event_of(8, "d/b1/evt", "")});
    auto page = form->events().events({});
    REQUIRE(page.events.size() == 2);
    for (auto const& found : {page.events[0], *form->events().find_event("u/7777/in", "key-1")}) {
        CHECK(found.offset == 7);
        CHECK(found.n == 3);
        CHECK(found.at == event.at);
        CHECK(found.topic == event.topic);
        CHECK(found.type == "like");
        CHECK(found.data == event.data);
        CHECK(found.encoding == event.encoding);
        CHECK(found.key == "key-1");
        CHECK(found.collapse == "post-9");
        CHECK(found.expires_at == event.expires_at);
        CHECK(found.from_broker);
    }
    CHECK(page.events[1].data.empty());
    CHECK_FALSE(page.events[1].expires_at);
    CHECK_FALSE(page.events[1].from_broker);
    CHECK(page.scanned_to == 8);
    CHECK(form->events().last_offset() == 8);
}

TEST_CASE("event store: nothing is shown before it is told to be stored",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    CHECK(form->events().last_offset() == 0);
    CHECK(form->events().events({}).events.empty());
    CHECK(form->events().events({}).scanned_to == 0);
    auto is_told = false;
    form->events().append_events({event_of(1, "a")}, {}, Need::now_or_never,
                                 [&](bool stored) { is_told = stored; });
    CHECK_FALSE(is_told);
    form->tasks.run_until([&] { return is_told; });
    CHECK(offsets(form->events().events({})) == Offsets{1});
}

TEST_CASE("event store: what is asked for is limited by filters, place and number",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    append(*form, {event_of(1, "d/b1/evt"), event_of(2, "d/b2/evt"), event_of(3, "d/b1/ans"),
                   event_of(5, "d/b1/evt"), event_of(6, "t/1"), event_of(9, "d/b1"),
                   event_of(10, "$x/1")});
    auto& log = form->events();
    CHECK(offsets(log.events({})) == Offsets{1, 2, 3, 5, 6, 9, 10});
    CHECK(offsets(log.events({.filters = {"d/b1/evt"}})) == Offsets{1, 5});
    CHECK(offsets(log.events({.filters = {"d/+/evt"}})) == Offsets{1, 2, 5});
    CHECK(offsets(log.events({.filters = {"d/b1/#"}})) == Offsets{1, 3, 5, 9});
    CHECK(offsets(log.events({.filters = {"d/b1/#", "d/b1/evt", "t/1"}})) ==
          Offsets{1, 3, 5, 6, 9});
    CHECK(offsets(log.events({.filters = {"#"}})) == Offsets{1, 2, 3, 5, 6, 9});
    CHECK(offsets(log.events({.filters = {"+/1"}})) == Offsets{6});
    CHECK(log.events({.filters = {"nothing/at/all"}}).events.empty());
    CHECK(log.events({.filters = {"nothing/at/all"}}).scanned_to == 10);

    CHECK(offsets(log.events({.after = 3, .filters = {"d/b1/evt"}})) == Offsets{5});
    CHECK(log.events({.after = 10}).events.empty());
    CHECK(log.events({.after = 10}).scanned_to == 10);
    auto page = log.events({.filters = {"d/b1/evt"}, .limit = 1});
    CHECK(offsets(page) == Offsets{1});
    CHECK(page.scanned_to < 5);
    page = log.events({.filters = {"+/b1/evt"}, .scan_max = 2});
    CHECK(page.scanned_to >= 2);
    REQUIRE_FALSE(page.events.empty());
    CHECK(page.events[0].offset == 1);
    page = log.events({.filters = {}, .scan_max = 2});
    CHECK(offsets(page) == Offsets{1, 2});
    CHECK(page.scanned_to == 2);
    page = log.events({.after = 2, .limit = 2});
    CHECK(offsets(page) == Offsets{3, 5});
    CHECK(page.scanned_to == 5);
}

TEST_CASE("event store: page by page there is every event that matches, once and in order",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto seed = spoke::test::seed_or(4'100) + static_cast<std::uint64_t>(GENERATE(range(0, 4)));
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    auto below = [&](std::uint64_t n) { return random() % n; };
    std::vector<Event> all;
    std::uint64_t offset = 0;
    auto topics = 3 + below(60);
    for (auto i = 0; i < 600; ++i) {
        offset += 1 + below(3) / 2;
        all.push_back(event_of(offset, fmt::format("{}/{}/{}", below(2) ? "d" : "t", below(topics),
                                                   below(2) ? "evt" : "ans")));
    }
    for (std::size_t i = 0; i < all.size(); i += 50) {
        append(*form, {all.begin() + static_cast<std::ptrdiff_t>(i),
                       all.begin() + static_cast<std::ptrdiff_t>(i) + 50});
    }
    std::vector<std::vector<std::string>> const questions{
        {},         {"d/1/evt"}, {"d/1/#"}, {"d/#"}, {"+/2/evt"}, {"t/0/ans", "d/1/+", "t/2/#"},
        {"t/+/evt"}};
    for (auto const& filters : questions) {
        Offsets expected;
        for (auto const& event : all) {
            auto is_wanted =
                filters.empty() || std::ranges::any_of(filters, [&](std::string const& filter) {
                    return mqtt::matches(filter, event.topic);
                });
            if (is_wanted) expected.push_back(event.offset);
        }
        Offsets found;
        EventQuery query{0, filters, 1 + below(40), 1 + below(100)};
        while (query.after < offset) {
            auto page = form->events().events(query);
            REQUIRE(page.scanned_to > query.after);
            REQUIRE(page.events.size() <= query.limit);
            for (auto at : offsets(page)) {
                CHECK(at > query.after);
                CHECK(at <= page.scanned_to);
                found.push_back(at);
            }
            query.after = page.scanned_to;
        }
        INFO(
            fmt::format("{} filters, first {}", filters.size(), filters.empty() ? "" : filters[0]));
        CHECK(found == expected);
    }
}

TEST_CASE("event store: the last number of a topic, and the event of a key",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto keyed = event_of(2, "t/1");
    keyed.key = "k";
    keyed.n = 12;
    append(*form, {event_of(1, "t/1"), keyed, event_of(3, "t/2")});
    auto& log = form->events();
    CHECK(log.last_n("t/1") == 12);
    CHECK(log.last_n("t/2") == 3);
    CHECK(log.last_n("t") == 0);
    CHECK(log.find_event("t/1", "k")->offset == 2);
    CHECK_FALSE(log.find_event("t/2", "k"));
    CHECK_FALSE(log.find_event("t/1", "K"));
    CHECK_FALSE(log.find_event("t/1", ""));
}

TEST_CASE("event store: how far an inbox was read never goes back", "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto& log = form->events();
    CHECK(log.inbox_mark("7777") == 0);
    log.append_events({event_of(1, "u/7777/in")}, InboxMark{"7777", 5}, Need::certain,
                      form->done());
    log.append_events({}, InboxMark{"7777", 3}, Need::certain, form->done());
    log.append_events({}, InboxMark{"8888", 4}, Need::now_or_never, form->done());
    form->await_all();
    CHECK(log.inbox_mark("7777") == 5);
    CHECK(log.inbox_mark("8888") == 4);
    form->reopen();
    CHECK(form->events().inbox_mark("7777") == 5);
}

TEST_CASE("event store: a reader finds his place again", "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    CHECK_FALSE(form->events().position("feed"));
    for (std::uint64_t i = 1; i <= 100; ++i) form->events().put_position("feed", i);
    form->events().put_position("hook/a", 7);
    form->events().put_position("hook/b", 8);
    form->events().erase_position("hook/a");
    form->events().erase_position("hook/none");
    for (auto i = 0; i < 2; ++i) {
        CHECK(form->events().position("feed") == 100U);
        CHECK_FALSE(form->events().position("hook/a"));
        CHECK(form->events().position("hook/b") == 8U);
        form->reopen();
    }
    form->events().put_position("feed", 3);  // wherever he says he is
    form->reopen();
    CHECK(form->events().position("feed") == 3U);
}

TEST_CASE("event store: each class keeps what its limits allow, the oldest go first",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"), small_classes());
    std::vector<Event> events;
    for (std::uint64_t i = 1; i <= 90; i += 3) {
        events.push_back(event_of(i, fmt::format("d/b{}/evt", i % 2)));
        events.push_back(event_of(i + 1, "d/b1/ans", std::string(42, '1')));  // 50 bytes each
        events.push_back(event_of(i + 2, "t/1"));
    }
    for (std::size_t i = 0; i < events.size(); i += 10) {
        append(*form, {events.begin() + static_cast<std::ptrdiff_t>(i),
                       events.begin() + static_cast<std::ptrdiff_t>(i) + 10});
    }
    auto& log = form->events();
    CHECK(offsets(log.events({.filters = {"d/+/evt"}})) == Offsets{76, 79, 82, 85, 88});
    CHECK(offsets(log.events({.filters = {"d/+/ans"}})) == Offsets{74, 77, 80, 83, 86, 89});
    CHECK(log.events({.filters = {"t/1"}}).events.size() == 30);
    CHECK(log.removed_upto(0) == 73);
    CHECK(log.removed_upto(1) == 71);
    CHECK(log.removed_upto(2) == 0);
    CHECK(log.removed_upto(3) == 0);
    CHECK(log.last_n("d/b0/evt") == 88);
    CHECK(log.last_offset() == 90);
    form->reopen();
    CHECK(form->events().removed_upto(0) == 73);
    CHECK(form->events().last_offset() == 90);
    append(*form, {event_of(91, "d/b1/evt")});
    CHECK(form->events().removed_upto(0) == 76);
}

TEST_CASE("event store: an event that alone is beyond its class goes at once, and is known to",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"), {{"t/#", 1h, 10, 100}});
    auto keyed = event_of(1, "t/1", std::string(200, '1'));
    keyed.key = "k";
    append(*form, {keyed});
    auto& log = form->events();
    CHECK(log.events({}).events.empty());
    CHECK(log.events({}).scanned_to == 1);
    CHECK(log.removed_upto(0) == 1);
    CHECK_FALSE(log.find_event("t/1", "k"));
    form->reopen();
    CHECK(form->events().last_offset() == 1);
    keyed.offset = 2;
    keyed.data = "1";
    append(*form, {keyed});
    CHECK(form->events().find_event("t/1", "k")->offset == 2);
}

TEST_CASE("event store: events that no class takes are kept within bounds of their own",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"), {{"t/#"}});
    std::vector<Event> events;
    auto count = EventClass{}.events_max + 10;
    for (std::uint64_t i = 1; i <= count; ++i) events.push_back(event_of(i, "u/1/in"));
    append(*form, std::move(events));
    CHECK(form->events().removed_upto(0) == 0);
    CHECK(form->events().removed_upto(1) >= 10);
    CHECK(form->events().removed_upto(1) <= 10 + 64);
}

TEST_CASE("event store: events that are put with a record are there with it",
          "[bridge][store][event]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto random = counting_random();
    Command command;
    command.id = CommandId::make(FakeClock{}.now.wall, random);
    command.request = unlock();
    form->store().put(command, {}, {event_of(1, "d/b42/evt")}, Need::now_or_never, form->done());
    form->events().append_events({event_of(2, "d/b42/evt")}, {}, Need::certain_soon, form->done());
    ++command.version;
    form->store().put(command, {}, {event_of(3, "d/b42/evt")}, Need::certain, form->done());
    form->await_all();
    CHECK(std::ranges::all_of(form->outcomes, &std::pair<std::size_t, bool>::second));
    CHECK(offsets(form->events().events({})) == Offsets{1, 2, 3});
    CHECK(form->store().find(command.id) == command);
}

}  // namespace spoke::bridge::test
