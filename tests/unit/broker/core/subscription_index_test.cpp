#include "broker/core/subscription_index.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "protocol/topic/topic.hpp"

namespace spoke::broker {
namespace {

Subscriber subscriber(std::uint32_t slot, std::uint32_t qos = 0, std::uint32_t identifier = 0) {
    Subscriber made;
    made.slot = slot;
    made.qos = qos & 3u;
    made.identifier = identifier & 0xFFF'FFFFu;
    made.generation = static_cast<std::uint16_t>(slot >> 3);
    made.shard = static_cast<std::uint8_t>(slot & 3u);
    return made;
}

SessionRef session(std::uint32_t slot) {
    return subscriber(slot).session();
}

/// An index with one reader that is online, as the only thread of a test is.
struct Fixture {
    Reclaimer reclaimer{1};
    SubscriptionIndex index{reclaimer, 42};

    Fixture() { reclaimer.online(0); }
    ~Fixture() { reclaimer.offline(0); }

    void quiesce() {
        for (int i = 0; i < 3; ++i) {
            reclaimer.quiescent(0);
            reclaimer.collect();
        }
    }
    Matches match(std::string_view topic) const {
        Matches found;
        index.match(topic, found);
        return found;
    }
    /// The slots of all plain subscriptions that match, sorted; one that is found twice stands
    /// twice.
    std::vector<std::uint32_t> plain(std::string_view topic) const {
        auto found = match(topic);
        std::vector<std::uint32_t> slots;
        for (auto span : found.plain) {
            for (auto const& entry : span) slots.push_back(entry.slot);
        }
        std::sort(slots.begin(), slots.end());
        return slots;
    }
    /// The slot of the member chosen in the only group that matches.
    std::uint32_t chosen(std::string_view topic) const {
        auto found = match(topic);
        REQUIRE(found.shared.size() == 1);
        return found.shared[0].slot;
    }
};

using Slots = std::vector<std::uint32_t>;

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("index: a filter matches the topics it should and no others",
          "[v3.1.1][MQTT-4.7.1-2][MQTT-4.7.1-3][MQTT-4.7.2-1][MQTT-4.7.3-4]"
          "[v5.0][MQTT-4.7.1-1][MQTT-4.7.1-2][MQTT-4.7.2-1][MQTT-4.7.3-4]") {
    struct Row {
        char const* filter;
        char const* topic;
        bool matches;
    };
    auto row = GENERATE(values<Row>({
        {"a", "a", true},
        {"a", "b", false},
        {"a", "A", false},
        {"a", "a/", false},
        {"a", "/a", false},
        {"a b", "a b", true},
        {"a/b", "a/b", true},
        {"a/b", "a//b", false},
        {"a//b", "a//b", true},
        {"\xC3\xA9", "e\xCC\x81", false},  // one letter, composed and not
        {"#", "a", true},
        {"#", "/", true},
        {"#", "a/b/c", true},
        {"#", "$SYS", false},
        {"#", "$SYS/x", false},
        {"#", "/$SYS", true},
        {"$SYS/#", "$SYS/x", true},
        {"$SYS/#", "$SYS", true},
        {"$SYS/+", "$SYS/x", true},
        {"+", "$SYS", false},
        {"+/x", "$SYS/x", false},
        {"+/#", "$SYS/x", false},
        {"+/#", "$SYS", false},
        {"x/+", "x/$y", true},
        {"x/#", "x/$y", true},
        {"a/#", "a", true},
        {"a/#", "a/", true},
        {"a/#", "a/b", true},
        {"a/#", "a/b/c/d", true},
        {"a/#", "ab", false},
        {"a/b/#", "a", false},
        {"+", "a", true},
        {"+", "", false},
        {"+", "/a", false},
        {"+", "a/b", false},
        {"/+", "/a", true},
        {"+/+", "/a", true},
        {"+/+", "/", true},
        {"+/+", "a", false},
        {"a/+", "a/", true},
        {"a/+", "a", false},
        {"a/+", "a/b", true},
        {"a/+/c", "a/b/c", true},
        {"a/+/c", "a//c", true},
        {"a/+/c", "a/b/d", false},
        {"+/b/#", "a/b", true},
        {"+/b/#", "a/b/c", true},
        {"+/b/#", "b/b/c/d", true},
        {"+/+/#", "a/b", true},
        {"+/+/#", "a", false},
        {"/", "/", true},
        {"//", "/", false},
        {"/#", "/", true},
        {"/#", "a", false},
        {"/#", "foo", false},
    }));
    CAPTURE(row.filter, row.topic);
    Fixture f;
    f.index.subscribe(row.filter, subscriber(7));
    if (row.topic[0] != '\0') CHECK(f.plain(row.topic) == (row.matches ? Slots{7} : Slots{}));

    f.index.subscribe(std::string{"$share/g/"} + row.filter, subscriber(8));
    if (row.topic[0] != '\0') CHECK(f.match(row.topic).shared.size() == (row.matches ? 1 : 0));
}

TEST_CASE("index: filters of one session that overlap are each found") {
    Fixture f;
    f.index.subscribe("a/b", subscriber(1, 0, 11));
    f.index.subscribe("a/+", subscriber(1, 1, 12));
    f.index.subscribe("a/#", subscriber(1, 2, 13));
    auto found = f.match("a/b");
    REQUIRE(found.plain.size() == 3);
    CHECK(found.plain_filters == 3);
    std::set<std::tuple<std::uint32_t, std::uint32_t>> options;
    for (auto span : found.plain) {
        REQUIRE(span.size() == 1);
        options.emplace(span[0].qos, span[0].identifier);
    }
    CHECK(options == std::set<std::tuple<std::uint32_t, std::uint32_t>>{{0, 11}, {1, 12}, {2, 13}});
}

TEST_CASE("index: subscribing again replaces the options and keeps the node") {
    Fixture f;
    auto others = GENERATE(0u, 1u, 5u, 5000u);
    for (std::uint32_t i = 0; i < others; ++i) f.index.subscribe("a/b", subscriber(100 + i));
    auto first = f.index.subscribe("a/b", subscriber(7, 1, 5));
    CHECK(first.was_new);
    auto same = f.index.subscribe("a/b", subscriber(7, 1, 5));
    CHECK_FALSE(same.was_new);
    CHECK(same.node == first.node);
    auto second = f.index.subscribe("a/b", subscriber(7, 2, 6));
    CHECK_FALSE(second.was_new);
    CHECK(second.node == first.node);
    CHECK(f.index.subscription_count() == others + 1);
    CHECK(f.plain("a/b").size() == others + 1);
    auto now = f.index.subscriber_at(first.node, session(7));
    CHECK(now.qos == 2);
    CHECK(now.identifier == 6);
}

TEST_CASE("index: slots of one session after another differ by generation and shard") {
    Fixture f;
    auto old = subscriber(7);
    auto young = old;
    young.generation = static_cast<std::uint16_t>(young.generation + 1);
    auto elsewhere = old;
    elsewhere.shard = static_cast<std::uint8_t>(elsewhere.shard + 1);
    f.index.subscribe("a", old);
    CHECK(f.index.subscribe("a", young).was_new);
    CHECK(f.index.subscribe("a", elsewhere).was_new);
    CHECK(f.index.unsubscribe("a", old.session()) != nullptr);
    CHECK(f.index.unsubscribe("a", old.session()) == nullptr);
    CHECK(f.plain("a") == Slots{7, 7});
}

TEST_CASE("index: unsubscribing compares filters as strings",
          "[v3.1.1][MQTT-3.10.4-1][v5.0][MQTT-3.10.4-1]") {
    Fixture f;
    auto added = f.index.subscribe("a/+", subscriber(1));
    CHECK(f.index.unsubscribe("a/b", session(1)) == nullptr);
    CHECK(f.index.unsubscribe("a/#", session(1)) == nullptr);
    CHECK(f.index.unsubscribe("a", session(1)) == nullptr);
    CHECK(f.index.unsubscribe("$share/g/a/+", session(1)) == nullptr);
    CHECK(f.index.unsubscribe("a/+", session(2)) == nullptr);
    CHECK(f.plain("a/b") == Slots{1});
    CHECK(f.index.unsubscribe("a/+", session(1)) == added.node);
    CHECK(f.plain("a/b").empty());
    CHECK(f.index.level_count() == 0);
}

TEST_CASE("index: a node gives back the filter it was made for") {
    Fixture f;
    auto filter =
        GENERATE(as<std::string>{}, "a", "/", "//", "a/", "/a", "#", "+", "+/#", "a/b/c", "a//b",
                 "$SYS/x", "$share/g/a/b", "$share/g//", "$share/name//a", "$share/g/#",
                 "$share/g/$SYS/+", std::string(65'535, 'a'), repeated("/", 65'535));
    auto added = f.index.subscribe(filter, subscriber(1));
    CHECK(f.index.filter_of(added.node) == filter);
    CHECK(SubscriptionIndex::is_shared(added.node) == filter.starts_with("$share/"));
    auto between = f.index.subscribe("a", subscriber(2));
    CHECK(f.index.filter_of(between.node) == "a");
    f.index.unsubscribe(added.node, session(1));
    f.index.unsubscribe(between.node, session(2));
    CHECK(f.index.level_count() == 0);
}

TEST_CASE("index: topics and filters as long and as deep as can be",
          "[v3.1.1][MQTT-4.7.3-3][v5.0][MQTT-4.7.3-3][gotcha-56]") {
    Fixture f;
    SECTION("one level of 65535 bytes") {
        std::string topic(65'535, 'x');
        f.index.subscribe(topic, subscriber(1));
        f.index.subscribe("+", subscriber(2));
        CHECK(f.plain(topic) == Slots{1, 2});
        topic.back() = 'y';
        CHECK(f.plain(topic) == Slots{2});
    }
    SECTION("65536 empty levels") {
        auto topic = repeated("/", 65'535);
        f.index.subscribe(topic, subscriber(1));
        f.index.subscribe("#", subscriber(2));
        f.index.subscribe(repeated("/", 65'534) + "#", subscriber(3));
        CHECK(f.plain(topic) == Slots{1, 2, 3});
        CHECK(f.plain(topic.substr(1)) == Slots{2, 3});
    }
    SECTION("30000 levels and wildcards in every one") {
        auto topic = repeated("a/", 30'000) + "a";
        f.index.subscribe(repeated("+/", 30'000) + "+", subscriber(1));
        f.index.subscribe(repeated("+/", 30'000) + "#", subscriber(2));
        f.index.subscribe(repeated("a/", 30'000) + "+", subscriber(3));
        f.index.subscribe(topic, subscriber(4));
        for (std::size_t depth = 1; depth < 300; ++depth) {
            f.index.subscribe(repeated("a/", depth) + "#", subscriber(5));
        }
        CHECK(f.plain(topic).size() == 4 + 299);
        CHECK(f.plain(topic + "/").size() == 1 + 299);
        f.index.unsubscribe(topic, session(4));
        CHECK(f.plain(topic).size() == 3 + 299);
    }
}

TEST_CASE("index: more nodes match at a time than usual") {
    Fixture f;
    // Every filter of '+' and 'a' over eight levels: 256 nodes match in the last.
    for (std::uint32_t bits = 0; bits < 256; ++bits) {
        std::string filter;
        for (std::uint32_t level = 0; level < 8; ++level) {
            filter += (bits >> level & 1u) ? "/a" : "/+";
        }
        f.index.subscribe(filter.substr(1), subscriber(bits));
    }
    Slots all(256);
    for (std::uint32_t i = 0; i < 256; ++i) all[i] = i;
    CHECK(f.plain("a/a/a/a/a/a/a/a") == all);
    CHECK(f.plain("a/a/a/a/b/b/b/b").size() == 16);
    CHECK(f.plain("b/b/b/b/b/b/b/b") == Slots{0});
}

TEST_CASE("index: one filter with thousands of subscribers, who leave in any order") {
    Fixture f;
    constexpr std::uint32_t kCount = 6000;  // several times over the size where a list is spread
    Slots order(kCount);
    for (std::uint32_t i = 0; i < kCount; ++i) order[i] = i;
    std::mt19937 random{1};
    std::shuffle(order.begin(), order.end(), random);

    FilterNode const* node = nullptr;
    for (auto slot : order) node = f.index.subscribe("all/+", subscriber(slot, 1)).node;
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    CHECK(f.plain("all/x") == sorted);
    CHECK(f.match("all/x").plain.size() <= 8);
    CHECK(f.match("all/x").plain_filters == 1);
    for (auto slot : order) CHECK(f.index.subscriber_at(node, session(slot)).slot == slot);

    std::shuffle(order.begin(), order.end(), random);
    while (!order.empty()) {
        f.index.unsubscribe(node, session(order.back()));
        order.pop_back();
        if (order.size() % 500 != 0) continue;
        f.quiesce();
        sorted = order;
        std::sort(sorted.begin(), sorted.end());
        CHECK(f.plain("all/x") == sorted);
    }
    CHECK(f.index.subscription_count() == 0);
    CHECK(f.index.level_count() == 0);
}

TEST_CASE("index: a thousand subscribers of one filter are one span") {
    Fixture f;
    for (std::uint32_t i = 0; i < 1000; ++i) f.index.subscribe("a", subscriber(i));
    CHECK(f.match("a").plain.size() == 1);
}

TEST_CASE("index: many children under one node come and go") {
    Fixture f;
    constexpr std::uint32_t kCount = 20'000;
    for (std::uint32_t i = 0; i < kCount; ++i) {
        f.index.subscribe("d/" + std::to_string(i), subscriber(i));
    }
    f.index.subscribe("d/+", subscriber(kCount));
    f.index.subscribe("d/#", subscriber(kCount + 1));
    for (std::uint32_t i = 0; i < kCount; i += 7) {
        CHECK(f.plain("d/" + std::to_string(i)) == Slots{i, kCount, kCount + 1});
    }
    for (std::uint32_t i = 0; i < kCount; i += 2) {
        CHECK(f.index.unsubscribe("d/" + std::to_string(i), session(i)) != nullptr);
    }
    for (std::uint32_t i = 0; i < kCount; i += 7) {
        auto expected = i % 2 == 0 ? Slots{kCount, kCount + 1} : Slots{i, kCount, kCount + 1};
        CHECK(f.plain("d/" + std::to_string(i)) == expected);
    }
    for (std::uint32_t i = 1; i < kCount; i += 2) {
        f.index.unsubscribe("d/" + std::to_string(i), session(i));
    }
    CHECK(f.index.level_count() == 3);  // d, d/+, d/#
}

TEST_CASE("index: nothing is left of filters that come and go") {
    Fixture f;
    std::mt19937 random{3};
    for (int round = 0; round < 2000; ++round) {
        auto filter = "a/" + std::to_string(random() % 50) + "/b/" + std::to_string(random() % 50);
        if (random() % 4 == 0) filter = "$share/g" + std::to_string(random() % 3) + "/" + filter;
        auto count = 1 + random() % 4;
        for (std::uint32_t i = 0; i < count; ++i) f.index.subscribe(filter, subscriber(i));
        for (std::uint32_t i = 0; i < count; ++i) {
            CHECK(f.index.unsubscribe(filter, session(i)) != nullptr);
        }
        REQUIRE(f.index.level_count() == 0);
        f.reclaimer.quiescent(0);
    }
    CHECK(f.index.subscription_count() == 0);
}

TEST_CASE("index: an inner node with a subscription outlives its children, and they it") {
    Fixture f;
    auto inner = f.index.subscribe("a/b", subscriber(1));
    auto leaf = f.index.subscribe("a/b/c", subscriber(2));
    f.index.unsubscribe(leaf.node, session(2));
    CHECK(f.plain("a/b") == Slots{1});
    CHECK(f.index.level_count() == 2);
    leaf = f.index.subscribe("a/b/c", subscriber(2));
    f.index.unsubscribe(inner.node, session(1));
    CHECK(f.plain("a/b").empty());
    CHECK(f.plain("a/b/c") == Slots{2});
    CHECK(f.index.filter_of(leaf.node) == "a/b/c");
    inner = f.index.subscribe("a/b", subscriber(3));
    CHECK(f.plain("a/b") == Slots{3});
    f.index.unsubscribe(inner.node, session(3));
    f.index.unsubscribe(leaf.node, session(2));
    CHECK(f.index.level_count() == 0);
}

TEST_CASE("index: a share group takes turns", "[v5.0][MQTT-4.8.2-1]") {
    Fixture f;
    for (std::uint32_t i = 0; i < 5; ++i) f.index.subscribe("$share/g/a/+", subscriber(i));
    f.index.subscribe("a/+", subscriber(9));
    std::map<std::uint32_t, int> times;
    for (int turn = 0; turn < 100; ++turn) ++times[f.chosen("a/b")];
    CHECK(times == std::map<std::uint32_t, int>{{0, 20}, {1, 20}, {2, 20}, {3, 20}, {4, 20}});
    CHECK(f.plain("a/b") == Slots{9});
}

TEST_CASE("index: each share group counts its own turns", "[gotcha-54]") {
    // A publisher who serves several topics in a fixed order meets every member of each group.
    Fixture f;
    for (std::uint32_t i = 0; i < 2; ++i) {
        f.index.subscribe("$share/g/a", subscriber(i));
        f.index.subscribe("$share/g/b", subscriber(10 + i));
    }
    std::map<std::uint32_t, int> times;
    for (int round = 0; round < 50; ++round) {
        ++times[f.chosen("a")];
        ++times[f.chosen("b")];
        (void)f.match("c");
    }
    CHECK(times == std::map<std::uint32_t, int>{{0, 25}, {1, 25}, {10, 25}, {11, 25}});
}

TEST_CASE("index: a share group is asked for another member by its id until it is gone",
          "[gotcha-54]") {
    Fixture f;
    f.index.subscribe("$share/g/a", subscriber(0));
    f.index.subscribe("$share/g/a", subscriber(1));
    auto group = f.match("a").shared.at(0).group;
    CHECK(group != ShareId{});
    f.index.unsubscribe("$share/g/a", session(0));
    REQUIRE(f.index.choose(group));
    CHECK(f.index.choose(group)->slot == 1);
    CHECK(f.index.choose(group)->group == group);
    f.index.unsubscribe("$share/g/a", session(1));
    CHECK_FALSE(f.index.choose(group));
    // Made anew it is the same one: what a store remembers finds it.
    f.index.subscribe("$share/g/a", subscriber(2));
    CHECK(f.index.choose(group)->slot == 2);
    CHECK_FALSE(f.index.choose(ShareId{}));
    f.index.subscribe("$share/h/a", subscriber(2));
    f.index.subscribe("$share/g/b", subscriber(2));
    CHECK(f.match("a").shared.size() == 2);
    CHECK(f.match("b").shared.at(0).group != group);
}

TEST_CASE("index: groups of one filter differ by name, and by filter") {
    Fixture f;
    for (std::uint32_t i = 0; i < 40; ++i) {
        f.index.subscribe("$share/g" + std::to_string(i) + "/a", subscriber(i));
    }
    auto other = f.index.subscribe("$share/g0/+", subscriber(40));
    CHECK(f.match("a").shared.size() == 41);
    CHECK(f.match("a").plain.empty());
    CHECK(f.index.unsubscribe("$share/g0/a", session(40)) == nullptr);
    CHECK(f.index.unsubscribe("$share/nobody/a", session(0)) == nullptr);
    CHECK(f.index.unsubscribe("$share/g0/+", session(40)) == other.node);
    for (std::uint32_t i = 0; i < 40; ++i) {
        CHECK(f.index.unsubscribe("$share/g" + std::to_string(i) + "/a", session(i)) != nullptr);
        CHECK(f.match("a").shared.size() == 39 - i);
    }
    CHECK(f.index.level_count() == 0);
}

TEST_CASE("index: members that are not connected are chosen only if none is") {
    Fixture f;
    FilterNode const* node = nullptr;
    for (std::uint32_t i = 0; i < 4; ++i)
        node = f.index.subscribe("$share/g/a", subscriber(i)).node;
    auto chosen = [&] {
        std::set<std::uint32_t> slots;
        for (int turn = 0; turn < 12; ++turn) slots.insert(f.chosen("a"));
        return slots;
    };
    using Set = std::set<std::uint32_t>;
    CHECK(chosen() == Set{0, 1, 2, 3});
    f.index.set_connected(node, session(0), false);
    f.index.set_connected(node, session(2), false);
    f.index.set_connected(node, session(2), false);
    CHECK(chosen() == Set{1, 3});
    f.index.set_connected(node, session(1), false);
    f.index.set_connected(node, session(3), false);
    CHECK(chosen() == Set{0, 1, 2, 3});
    f.index.set_connected(node, session(2), true);
    CHECK(chosen() == Set{2});
    CHECK_FALSE(f.index.subscribe("$share/g/a", subscriber(0, 1)).was_new);  // connects it
    CHECK(chosen() == Set{0, 2});
    CHECK(f.index.subscriber_at(node, session(0)).qos == 1);
    f.index.unsubscribe(node, session(2));
    CHECK(chosen() == Set{0});
    f.index.unsubscribe(node, session(0));
    CHECK(chosen() == Set{1, 3});
    f.index.set_connected(node, session(77), true);
    CHECK(chosen() == Set{1, 3});
}

TEST_CASE("index: to set a plain subscription connected does nothing") {
    Fixture f;
    auto added = f.index.subscribe("a", subscriber(1));
    f.index.set_connected(added.node, session(1), false);
    CHECK(f.plain("a") == Slots{1});
}

TEST_CASE("index: each member is chosen with its own options", "[v5.0][MQTT-4.8.2-3]") {
    Fixture f;
    f.index.subscribe("$share/g/a", subscriber(0, 0, 7));
    f.index.subscribe("$share/g/a", subscriber(1, 2, 8));
    for (int turn = 0; turn < 4; ++turn) {
        auto chosen = f.match("a").shared.at(0);
        CHECK(chosen.qos == (chosen.slot == 0 ? 0 : 2));
        CHECK(chosen.identifier == (chosen.slot == 0 ? 7 : 8));
    }
}

TEST_CASE("index: agrees with a list of filters tried one by one, whatever happens",
          "[v3.1.1][MQTT-4.7.2-1][v5.0][MQTT-4.7.2-1][gotcha-55][gotcha-56]") {
    auto seed = GENERATE(range(1u, 9u));
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto pick = [&](std::uint32_t below) { return static_cast<std::uint32_t>(random()) % below; };

    static constexpr std::array kLevels{
        "", "a", "b", "ab", "$x", "longer than eight", "0123456789abcdefXYZ"};
    auto topic = [&] {
        std::string made = kLevels[pick(kLevels.size())];
        for (auto more = pick(5); more > 0; --more)
            made.append("/").append(kLevels[pick(kLevels.size())]);
        return made.empty() ? std::string{"/"} : made;
    };
    auto filter = [&] {
        std::string made;
        for (auto levels = 1 + pick(5); levels > 0; --levels) {
            made.append(pick(3) == 0 ? "+" : kLevels[pick(kLevels.size())]).push_back('/');
        }
        if (pick(3) == 0) {
            made.push_back('#');
        } else if (made.size() > 1) {
            made.pop_back();
        }
        return made;
    };

    struct Held {
        Subscriber options;
        FilterNode const* node;
        bool connected;
    };
    Fixture f;
    std::map<std::string, std::map<std::uint32_t, Held>> model;  // filter, slot
    std::size_t held = 0;
    auto subscribe = [&] {
        auto name = filter();
        if (pick(3) == 0) name = "$share/" + std::string{pick(2) == 0 ? "g/" : "h/"} + name;
        auto options = subscriber(pick(12), pick(3), pick(1000));
        auto added = f.index.subscribe(name, options);
        auto [place, was_new] =
            model[name].insert_or_assign(options.slot, Held{options, added.node, true});
        REQUIRE(added.was_new == was_new);
        held += was_new;
    };
    auto unsubscribe = [&] {
        if (model.empty()) return;
        auto at = std::next(model.begin(), pick(static_cast<std::uint32_t>(model.size())));
        auto slot = pick(12);
        auto it = at->second.find(slot);
        auto const* expected = it == at->second.end() ? nullptr : it->second.node;
        if (expected && pick(2) == 0) {
            f.index.unsubscribe(expected, session(slot));
        } else {
            REQUIRE(f.index.unsubscribe(at->first, session(slot)) == expected);
        }
        if (!expected) return;
        --held;
        at->second.erase(it);
        if (at->second.empty()) model.erase(at);
    };
    auto connect = [&] {
        for (auto& [name, members] : model) {
            if (!name.starts_with("$share/") || pick(4) != 0) continue;
            for (auto& [slot, member] : members) {
                member.connected = pick(2) == 0;
                f.index.set_connected(member.node, session(slot), member.connected);
            }
        }
    };
    auto compare = [&] {
        auto name = topic();
        CAPTURE(name);
        auto found = f.match(name);
        std::multiset<std::string> expected;
        std::multiset<std::string> plain;
        auto show = [](Subscriber const& s) {
            return std::to_string(s.slot) + " " + std::to_string(s.qos) + " " +
                   std::to_string(s.identifier);
        };
        for (auto span : found.plain) {
            for (auto const& entry : span) plain.insert(show(entry));
        }
        std::vector<std::set<std::string>> groups;
        for (auto const& [filter_name, holders] : model) {
            auto shared = mqtt::parse_shared(filter_name);
            if (!mqtt::matches(shared ? shared->filter : filter_name, name)) continue;
            std::set<std::string> all;
            std::set<std::string> connected;
            for (auto const& [slot, holder] : holders) {
                if (!shared) expected.insert(show(holder.options));
                all.insert(show(holder.options));
                if (holder.connected) connected.insert(show(holder.options));
            }
            if (shared) groups.push_back(connected.empty() ? all : connected);
        }
        REQUIRE(plain == expected);
        REQUIRE(found.plain_filters == found.plain.size());
        REQUIRE(found.shared.size() == groups.size());
        for (auto const& chosen : found.shared) {
            REQUIRE(std::any_of(groups.begin(), groups.end(),
                                [&](auto const& group) { return group.contains(show(chosen)); }));
        }
    };

    for (int step = 0; step < 4000; ++step) {
        auto kind = pick(10);
        if (kind < 3) subscribe();
        if (kind >= 3 && kind < 5) unsubscribe();
        if (kind == 5 && step % 10 == 0) connect();
        if (kind > 5) compare();
        if (step % 100 == 0) f.quiesce();
        REQUIRE(f.index.subscription_count() == held);
    }
    for (auto const& [name, holders] : model) {
        for (auto const& [slot, holder] : holders) {
            REQUIRE(f.index.filter_of(holder.node) == name);
            REQUIRE(f.index.subscriber_at(holder.node, session(slot)).identifier ==
                    holder.options.identifier);
            f.index.unsubscribe(holder.node, session(slot));
        }
    }
    CHECK(f.index.level_count() == 0);
}

namespace {

/// Readers that match, each with its own quiescent states and naps, while the caller writes.
class Readers {
public:
    template <class Check>
    Readers(Reclaimer& reclaimer, std::size_t count, Check check) {
        for (std::size_t reader = 0; reader < count; ++reader) {
            threads_.emplace_back([this, &reclaimer, reader, check]() mutable {
                reclaimer.online(reader);
                for (std::uint64_t turn = 0; !stop_.load(std::memory_order_relaxed); ++turn) {
                    if (!check(turn)) failures_.fetch_add(1, std::memory_order_relaxed);
                    turns_.fetch_add(1, std::memory_order_relaxed);
                    if (turn % 4 == 0) reclaimer.quiescent(reader);
                    if (turn % 256 == 0) {
                        reclaimer.offline(reader);
                        std::this_thread::yield();
                        reclaimer.online(reader);
                    }
                }
                reclaimer.offline(reader);
            });
        }
        while (turns_.load(std::memory_order_relaxed) < 100) std::this_thread::yield();
    }
    ~Readers() { stop(); }
    int stop() {
        stop_.store(true, std::memory_order_relaxed);
        for (auto& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
        return failures_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<bool> stop_{false};
    std::atomic<int> failures_{0};
    std::atomic<std::uint64_t> turns_{0};
    std::vector<std::thread> threads_;
};

/// Entries that could not have been put together from two others.
bool is_whole(Subscriber const& entry) {
    return entry.identifier == (entry.slot * 31u & 0xFFF'FFFFu) &&
           entry.session() == subscriber(entry.slot).session();
}
Subscriber whole(std::uint32_t slot, std::uint32_t qos = 0) {
    return subscriber(slot, qos, slot * 31u);
}

}  // namespace

TEST_CASE("index: what stays subscribed is found at all times while others come and go") {
    constexpr std::size_t kReaders = 3;
    Reclaimer reclaimer{kReaders};
    SubscriptionIndex index{reclaimer, 7};
    // These stay: an exact filter, one of each wildcard, one with many neighbours in its list.
    index.subscribe("a/b/c", whole(1));
    index.subscribe("a/+/c", whole(2));
    index.subscribe("a/#", whole(3));
    index.subscribe("+/b/+", whole(4));
    index.subscribe("$share/g/a/b/c", whole(5));
    {
        Readers readers{reclaimer, kReaders, [&, found = Matches{}](std::uint64_t) mutable {
                            found.clear();
                            index.match("a/b/c", found);
                            std::uint32_t seen = 0;
                            for (auto span : found.plain) {
                                for (auto const& entry : span) {
                                    if (!is_whole(entry)) return false;
                                    if (entry.slot < 5) seen += 1u << (8 * (entry.slot - 1));
                                }
                            }
                            if (found.shared.size() != 1 || !is_whole(found.shared[0]))
                                return false;
                            return seen == 0x01010101u;  // each once, none twice
                        }};
        std::mt19937 random{5};
        std::vector<std::string> const filters{"a/b/c", "a/+/c", "a/#",     "a/b/#",          "#",
                                               "a/b",   "a/b/+", "a/b/c/d", "$share/g/a/b/c", "x/y",
                                               "a/x/c", "+/+/+", "+/b/+",   "a/b/c/#",        "a"};
        std::vector<std::set<std::uint32_t>> held(filters.size());
        for (int step = 0; step < 30'000; ++step) {
            auto which = random() % filters.size();
            auto slot = 10 + static_cast<std::uint32_t>(random() % 40);
            if (held[which].erase(slot) > 0 && random() % 2 == 0) {
                index.unsubscribe(filters[which], session(slot));
            } else {
                index.subscribe(filters[which], whole(slot, step % 3));
                held[which].insert(slot);
            }
            if (step % 16 == 0) {  // many children come to a node and go
                for (std::uint32_t i = 0; i < 12; ++i) {
                    auto name = "a/b/" + std::to_string(random() % 500);
                    if (random() % 2 == 0) {
                        index.subscribe(name, whole(60));
                    } else {
                        index.unsubscribe(name, session(60));
                    }
                }
            }
        }
        CHECK(readers.stop() == 0);
    }
}

TEST_CASE("index: a match during a change of options sees the old or the new ones") {
    constexpr std::size_t kReaders = 2;
    Reclaimer reclaimer{kReaders};
    SubscriptionIndex index{reclaimer, 7};
    auto others = GENERATE(0u, 1u, 3000u);
    for (std::uint32_t i = 0; i < others; ++i) index.subscribe("a", whole(100 + i));
    index.subscribe("a", whole(1, 0));
    Readers readers{reclaimer, kReaders, [&, found = Matches{}](std::uint64_t) mutable {
                        found.clear();
                        index.match("a", found);
                        int seen = 0;
                        for (auto span : found.plain) {
                            for (auto const& entry : span) {
                                if (!is_whole(entry)) return false;
                                seen += entry.slot == 1 && entry.qos < 3;
                            }
                        }
                        return seen == 1;
                    }};
    for (std::uint32_t step = 0; step < 3000; ++step) index.subscribe("a", whole(1, step % 3));
    CHECK(readers.stop() == 0);
}

TEST_CASE("index: a group always has a member to choose while others come and go") {
    constexpr std::size_t kReaders = 2;
    Reclaimer reclaimer{kReaders};
    SubscriptionIndex index{reclaimer, 7};
    auto* node = index.subscribe("$share/g/a", whole(1)).node;
    Readers readers{reclaimer, kReaders, [&, found = Matches{}](std::uint64_t) mutable {
                        found.clear();
                        index.match("a", found);
                        return found.shared.size() == 1 && is_whole(found.shared[0]);
                    }};
    std::mt19937 random{9};
    for (int step = 0; step < 20'000; ++step) {
        auto slot = 2 + static_cast<std::uint32_t>(random() % 60);
        switch (random() % 4) {
            case 0:
                index.unsubscribe(node, session(slot));
                break;
            case 1:
                index.set_connected(node, session(slot), random() % 2 == 0);
                break;
            case 2:
                index.set_connected(node, session(1), random() % 2 == 0);
                break;
            default:
                index.subscribe("$share/g/a", whole(slot, step % 3));
                break;
        }
    }
    CHECK(readers.stop() == 0);
}

TEST_CASE("index: several writers at a time each find their own") {
    constexpr std::size_t kWriters = 3;
    Reclaimer reclaimer{kWriters};
    SubscriptionIndex index{reclaimer, 7};
    std::atomic<int> failures{0};
    std::vector<std::thread> writers;
    for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&, writer] {
            reclaimer.online(writer);
            Matches found;
            for (std::uint32_t step = 0; step < 3000; ++step) {
                auto topic = "w/" + std::to_string(step % 37) + "/x";
                auto added = index.subscribe(topic, whole(writer));
                found.clear();
                index.match(topic, found);
                bool seen = false;
                for (auto span : found.plain) {
                    for (auto const& entry : span) seen = seen || entry.slot == writer;
                }
                if (!seen || index.filter_of(added.node) != topic) ++failures;
                index.unsubscribe(added.node, session(writer));
                found.clear();
                index.match(topic, found);
                for (auto span : found.plain) {
                    for (auto const& entry : span) failures += entry.slot == writer;
                }
                reclaimer.quiescent(writer);
            }
            reclaimer.offline(writer);
        });
    }
    for (auto& writer : writers) writer.join();
    CHECK(failures == 0);
    CHECK(index.level_count() == 0);
    CHECK(index.subscription_count() == 0);
}

}  // namespace spoke::broker
