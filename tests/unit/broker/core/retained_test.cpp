#include "broker/core/retained.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "protocol/topic/topic.hpp"

namespace spoke::broker {
namespace {

using Stored = RetainedMessages::Stored;
using Topics = std::vector<std::string>;

constexpr RetainedMessages::Limits kNoLimits{SIZE_MAX / 2, SIZE_MAX / 2};

WallTime at(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

MessagePtr message(std::string topic, std::string_view payload, Deadline deadline = kNever) {
    return Message::make(
        mqtt::Publish{.topic = std::move(topic), .payload = to_buffer(payload), .retain = true},
        deadline);
}

struct Fixture {
    Reclaimer reclaimer{1};
    RetainedMessages retained;

    explicit Fixture(RetainedMessages::Limits limits = kNoLimits)
        : retained(reclaimer, limits, 42) {
        reclaimer.online(0);
    }
    ~Fixture() { reclaimer.offline(0); }

    Stored set(std::string topic, std::string_view payload, Deadline deadline = kNever) {
        return retained.set(message(std::move(topic), payload, deadline));
    }
    std::string payload(std::string_view topic, WallTime now = at(0)) const {
        auto found = retained.find(topic, now);
        return found ? std::string{as_text(found->payload())} : "none";
    }
    /// All topics that match, sorted, read in slices of `count_max`.
    Topics match(std::string_view filter, std::size_t count_max = 1000, WallTime now = at(0)) {
        Topics topics;
        std::string cursor;
        do {
            std::vector<MessagePtr> found;
            retained.match(filter, now, count_max, cursor, found);
            REQUIRE(found.size() <= count_max);
            for (auto const& each : found) topics.emplace_back(each->topic());
            reclaimer.quiescent(0);
        } while (!cursor.empty());
        std::sort(topics.begin(), topics.end());
        return topics;
    }
};

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("retained: the last message of a topic is kept",
          "[v3.1.1][MQTT-3.3.1-7][v5.0][MQTT-3.3.1-5]") {
    Fixture f;
    CHECK(f.payload("a/b") == "none");
    CHECK(f.set("a/b", "x") == Stored::stored);
    CHECK(f.payload("a/b") == "x");
    CHECK(f.set("a/b", "yy") == Stored::replaced);
    CHECK(f.payload("a/b") == "yy");
    CHECK(f.payload("a") == "none");
    CHECK(f.payload("a/b/c") == "none");
    CHECK(f.retained.count() == 1);
    CHECK(f.retained.bytes() == message("a/b", "yy")->footprint());
    CHECK(f.set("a/b", "z") == Stored::replaced);
    CHECK(f.retained.bytes() == message("a/b", "z")->footprint());
    CHECK(f.set("a", "above") == Stored::stored);
    CHECK(f.set("a/b/c", "below") == Stored::stored);
    CHECK(f.payload("a") == "above");
    CHECK(f.payload("a/b") == "z");
    CHECK(f.payload("a/b/c") == "below");
}

TEST_CASE("retained: an empty payload removes and is not stored",
          "[v3.1.1][MQTT-3.3.1-10][MQTT-3.3.1-11][v5.0][MQTT-3.3.1-6][MQTT-3.3.1-7]") {
    Fixture f;
    CHECK(f.set("a/b", "") == Stored::nothing_to_remove);
    CHECK(f.set("a/b", "x") == Stored::stored);
    CHECK(f.set("a/b/c", "x") == Stored::stored);
    CHECK(f.set("a", "") == Stored::nothing_to_remove);
    CHECK(f.set("a/b", "") == Stored::removed);
    CHECK(f.set("a/b", "") == Stored::nothing_to_remove);
    CHECK(f.match("#") == Topics{"a/b/c"});
    CHECK(f.set("a/b/c", "") == Stored::removed);
    CHECK(f.match("#").empty());
    CHECK(f.retained.count() == 0);
    CHECK(f.retained.bytes() == 0);
    CHECK(f.retained.level_count() == 0);
}

TEST_CASE("retained: a filter finds the topics it matches and no others",
          "[v3.1.1][MQTT-3.3.1-6][MQTT-4.7.2-1][v5.0][MQTT-3.3.1-9][MQTT-4.7.2-1]") {
    static Topics const topics{"a",    "a/",  "a/b", "a/b/c", "a//b",     "/",       "/a",
                               "//",   "foo", "b/b", "b",     "$SYS",     "$SYS/x",  "$SYS/x/y",
                               "x/$y", "a b", "A",   "a/b/d", "/foo/bar", "$other/x"};
    auto filter =
        GENERATE(as<std::string>{}, "a", "b", "A", "/", "//", "#", "+", "/#", "+/#", "a/#", "a/+",
                 "+/+", "/+", "+/b", "+/b/#", "a/+/c", "a/+/+", "+/+/+", "$SYS/#", "$SYS/+", "$SYS",
                 "+/x", "x/+", "x/#", "a/b/c/#", "+/x/#", "nothing/#", "nothing", "$SYS/+/y");
    CAPTURE(filter);
    Fixture f;
    for (auto const& topic : topics) f.set(topic, topic);
    Topics expected;
    std::copy_if(topics.begin(), topics.end(), std::back_inserter(expected),
                 [&](auto const& topic) { return mqtt::matches(filter, topic); });
    std::sort(expected.begin(), expected.end());
    CHECK(f.match(filter) == expected);
    CHECK(f.match(filter, 1) == expected);
    CHECK(f.match(filter, 3) == expected);
}

TEST_CASE("retained: an expired message is not found, and goes when it is met") {
    Fixture f;
    f.set("a/1", "x", 1000);
    f.set("a/2", "x", 2000);
    f.set("a/3", "x");
    CHECK(f.payload("a/1", at(999)) == "x");
    CHECK(f.payload("a/1", at(1000)) == "none");
    CHECK(f.match("a/+", 10, at(999)) == Topics{"a/1", "a/2", "a/3"});
    CHECK(f.retained.count() == 3);
    CHECK(f.match("a/+", 10, at(1000)) == Topics{"a/2", "a/3"});
    CHECK(f.retained.count() == 2);
    CHECK(f.match("a/2", 10, at(5000)).empty());
    CHECK(f.match("#", 10, at(5000)) == Topics{"a/3"});
    CHECK(f.retained.count() == 1);
    CHECK(f.retained.bytes() == message("a/3", "x")->footprint());
    CHECK(f.set("a/1", "again") == Stored::stored);
}

TEST_CASE("retained: expired messages by the thousand end a slice as well") {
    Fixture f;
    for (int i = 0; i < 20'000; ++i) f.set("a/" + std::to_string(i), "x", 1);
    f.set("b", "x");
    std::string cursor;
    std::vector<MessagePtr> found;
    f.retained.match("#", at(1), 1, cursor, found);
    CHECK_FALSE(cursor.empty());
    CHECK(f.retained.count() > 15'000);
    CHECK(f.match("#", 1, at(1)) == Topics{"b"});
    CHECK(f.retained.count() == 1);
    CHECK(f.retained.level_count() == 1);
}

TEST_CASE("retained: at the limit of messages only topics that have one are stored") {
    Fixture f{{.messages_max = 2, .bytes_max = 1'000'000}};
    CHECK(f.set("a", "x") == Stored::stored);
    CHECK(f.set("b", "x") == Stored::stored);
    CHECK(f.set("c", "x") == Stored::limit_reached);
    CHECK(f.set("a", "y") == Stored::replaced);
    CHECK(f.match("#") == Topics{"a", "b"});
    CHECK(f.set("b", "") == Stored::removed);
    CHECK(f.set("c", "x") == Stored::stored);
    CHECK(f.match("#") == Topics{"a", "c"});
    CHECK(f.retained.level_count() == 2);
}

TEST_CASE("retained: the limit of bytes is kept to the byte, and nothing changes beyond it") {
    auto const room = message("a", "12345")->footprint() + message("b", "12345")->footprint();
    Fixture f{{.messages_max = 100, .bytes_max = room}};
    CHECK(f.set("a", "12345") == Stored::stored);
    CHECK(f.set("b", "123456") == Stored::limit_reached);
    CHECK(f.retained.count() == 1);
    CHECK(f.set("b", "12345") == Stored::stored);
    CHECK(f.retained.bytes() == room);
    CHECK(f.set("b", "123456") == Stored::limit_reached);
    CHECK(f.payload("b") == "12345");
    CHECK(f.set("c", "1") == Stored::limit_reached);
    CHECK(f.retained.bytes() == room);
    CHECK(f.set("a", "1234") == Stored::replaced);
    CHECK(f.set("b", "123456") == Stored::replaced);
    CHECK(f.retained.bytes() == room);
    CHECK(f.set("a", "") == Stored::removed);
    CHECK(f.set("b", "") == Stored::removed);
    CHECK(f.retained.bytes() == 0);
}

TEST_CASE("retained: a topic of many levels is read in time linear to its depth", "[gotcha-56]") {
    // Counted in slices and in what it takes to find the place where each goes on.
    auto cost = [](std::size_t depth) {
        Fixture f;
        f.set(repeated("a/", depth) + "a", "x");
        std::size_t slices = 0;
        std::size_t walked = 0;
        std::string cursor;
        std::vector<MessagePtr> found;
        do {
            walked += cursor.size();
            f.retained.match("#", WallTime{}, 16, cursor, found);
            ++slices;
        } while (!cursor.empty());
        CHECK(found.size() == 1);
        return std::pair{slices, walked};
    };
    auto [slices, walked] = cost(16'000);
    auto [slices_of_twice, walked_of_twice] = cost(32'000);
    CHECK(slices_of_twice <= slices + 2);
    CHECK(walked_of_twice <= 3 * walked);
}

TEST_CASE("retained: topics as long and as deep as can be",
          "[v3.1.1][MQTT-4.7.3-3][v5.0][MQTT-4.7.3-3]") {
    Fixture f;
    auto topic =
        GENERATE(std::string(65'535, 'x'), repeated("/", 65'535), repeated("a/", 30'000) + "a");
    f.set(topic, "x");
    f.set("b", "x");
    CHECK(f.payload(topic) == "x");
    CHECK(f.match(topic) == Topics{topic});
    CHECK(f.match("#", 1).size() == 2);
    CHECK(f.match(topic + "/#") == Topics{topic});
    auto depth = static_cast<std::size_t>(std::count(topic.begin(), topic.end(), '/'));
    CHECK(f.match(repeated("+/", depth) + "+").size() == (depth == 0 ? 2 : 1));
    CHECK(f.set(topic, "") == Stored::removed);
    CHECK(f.retained.level_count() == 1);
}

TEST_CASE("retained: a cursor of the one empty level is not taken for the end") {
    Fixture f;
    f.set("/", "x");
    f.set("/a", "x");
    f.set("b", "x");
    CHECK(f.match("#", 1) == Topics{"/", "/a", "b"});
    CHECK(f.match("+/#", 1) == Topics{"/", "/a", "b"});
    CHECK(f.match("/+", 1) == Topics{"/", "/a"});
}

TEST_CASE(
    "retained: topics that stay are found once each while others come and go between slices") {
    auto seed = GENERATE(range(1u, 7u));
    auto filter = GENERATE(as<std::string>{}, "#", "a/+", "+/+", "a/#", "+/17/#", "+/+/c");
    CAPTURE(seed, filter);
    std::mt19937 random{seed};
    auto pick = [&](std::size_t below) { return random() % below; };
    auto topic = [&](std::size_t number) {
        std::string made = number % 3 == 0 ? "a/" : number % 3 == 1 ? "b/" : "";
        made += std::to_string(number % 100);
        if (number % 5 == 0) made += "/c";
        if (number % 7 == 0) made += "/" + std::to_string(number);
        return made;
    };
    Fixture f;
    std::set<std::string> stays;
    for (int i = 0; i < 200; ++i) stays.insert(topic(pick(5000)));
    std::set<std::string> comes_and_goes;
    for (int i = 0; i < 600; ++i) {
        auto made = topic(pick(5000));
        if (!stays.contains(made)) comes_and_goes.insert(made);
    }
    for (auto const& each : stays) f.set(each, "x");
    std::vector<std::string> others{comes_and_goes.begin(), comes_and_goes.end()};

    std::map<std::string, int> times;
    std::string cursor;
    do {
        std::vector<MessagePtr> found;
        f.retained.match(filter, at(0), 1 + pick(20), cursor, found);
        for (auto const& each : found) ++times[std::string{each->topic()}];
        // Sometimes nearly all of them go or come, so that tables change their size.
        auto kind = pick(4);
        for (std::size_t i = 0; i < (kind == 0 ? others.size() * 2 : 10); ++i) {
            f.set(others[pick(others.size())], kind == 0 || pick(2) == 0 ? "y" : "");
        }
        if (kind == 1) {
            for (auto const& each : others) f.set(each, "");
        }
        f.reclaimer.quiescent(0);
    } while (!cursor.empty());
    for (auto const& each : stays) {
        CAPTURE(each);
        CHECK(times[each] == (mqtt::matches(filter, each) ? 1 : 0));
    }
    for (auto const& [found, count] : times) {
        if (count > 0) CHECK(mqtt::matches(filter, found));
    }
}

TEST_CASE("retained: agrees with a map that is searched one by one, whatever happens",
          "[v3.1.1][MQTT-3.3.1-6][v5.0][MQTT-3.3.1-9][gotcha-46]") {
    auto seed = GENERATE(range(1u, 7u));
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto pick = [&](std::uint32_t below) { return static_cast<std::uint32_t>(random()) % below; };
    static constexpr std::array kLevels{
        "", "a", "b", "ab", "$x", "longer than eight", "0123456789abcdefXYZ"};
    auto topic = [&] {
        std::string made = kLevels[pick(kLevels.size())];
        for (auto more = pick(4); more > 0; --more)
            made.append("/").append(kLevels[pick(kLevels.size())]);
        return made.empty() ? std::string{"/"} : made;
    };
    auto filter = [&] {
        std::string made;
        for (auto levels = 1 + pick(4); levels > 0; --levels) {
            made.append(pick(2) == 0 ? "+" : kLevels[pick(kLevels.size())]).push_back('/');
        }
        if (pick(3) == 0) {
            made.push_back('#');
        } else if (made.size() > 1) {
            made.pop_back();
        }
        return made;
    };
    Fixture f;
    std::map<std::string, std::string> model;
    for (int step = 0; step < 3000; ++step) {
        auto name = topic();
        auto payload = pick(3) == 0 ? std::string{} : std::to_string(step);
        auto had = model.contains(name);
        auto stored = f.set(name, payload);
        if (payload.empty()) {
            REQUIRE(stored == (had ? Stored::removed : Stored::nothing_to_remove));
            model.erase(name);
        } else {
            REQUIRE(stored == (had ? Stored::replaced : Stored::stored));
            model[name] = payload;
        }
        REQUIRE(f.retained.count() == model.size());
        auto other = topic();
        auto it = model.find(other);
        REQUIRE(f.payload(other) == (it == model.end() ? "none" : it->second));
        if (step % 10 != 0) continue;
        auto wanted = filter();
        CAPTURE(wanted);
        Topics expected;
        for (auto const& [held, value] : model) {
            if (mqtt::matches(wanted, held)) expected.push_back(held);
        }
        REQUIRE(f.match(wanted, 1 + pick(30)) == expected);
    }
    for (auto const& [held, value] : model) f.set(held, "");
    CHECK(f.retained.level_count() == 0);
    CHECK(f.retained.bytes() == 0);
}

namespace {

/// A payload that shows whether a message has been put together from two or freed.
std::string marked(std::string_view topic, unsigned number) {
    return std::string{topic} + "|" + std::to_string(number);
}
bool is_intact(Message const& message) {
    auto payload = as_text(message.payload());
    return payload.starts_with(message.topic()) &&
           payload.substr(message.topic().size()).starts_with('|');
}

}  // namespace

TEST_CASE("retained: readers see whole messages while several threads write") {
    constexpr std::size_t kReaders = 2;
    constexpr std::size_t kWriters = 2;
    Reclaimer reclaimer{kReaders + kWriters};
    RetainedMessages retained{reclaimer, kNoLimits, 5};
    // Always there, replaced over and over.
    Topics const stays{"a", "a/b", "a/b/c", "x/y"};
    for (auto const& topic : stays) retained.set(message(topic, marked(topic, 0)));

    std::atomic<bool> stop{false};
    std::atomic<int> failures{0};
    std::atomic<std::size_t> running{0};
    std::vector<std::thread> threads;
    for (std::size_t reader = 0; reader < kReaders; ++reader) {
        threads.emplace_back([&, reader] {
            reclaimer.online(reader);
            ++running;
            while (!stop.load(std::memory_order_relaxed)) {
                for (auto const& topic : stays) {
                    auto found = retained.find(topic, at(0));
                    failures += !found || found->topic() != topic || !is_intact(*found);
                }
                std::multiset<std::string> seen;
                std::string cursor;
                do {
                    std::vector<MessagePtr> found;
                    retained.match("#", at(0), 7, cursor, found);
                    reclaimer.quiescent(reader);
                    for (auto const& each : found) {
                        failures += !is_intact(*each);
                        seen.emplace(each->topic());
                    }
                } while (!cursor.empty());
                for (auto const& topic : stays) failures += seen.count(topic) != 1;
            }
            reclaimer.offline(reader);
        });
    }
    while (running < kReaders) std::this_thread::yield();
    std::vector<std::thread> writers;
    for (std::size_t writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&, writer] {
            reclaimer.online(kReaders + writer);
            std::mt19937 random{static_cast<unsigned>(writer)};
            for (unsigned step = 0; step < 8000; ++step) {
                auto const& kept = stays[random() % stays.size()];
                retained.set(message(kept, marked(kept, step)));
                auto topic = "a/b/" + std::to_string(random() % 60);
                if (random() % 2 == 0) topic += "/d";
                auto is_removal = random() % 3 == 0;
                retained.set(message(topic, is_removal ? "" : marked(topic, step)));
                reclaimer.quiescent(kReaders + writer);
            }
            reclaimer.offline(kReaders + writer);
        });
    }
    for (auto& writer : writers) writer.join();
    stop = true;
    for (auto& thread : threads) thread.join();
    CHECK(failures == 0);

    reclaimer.online(0);
    std::vector<MessagePtr> left;
    std::string cursor;
    retained.match("#", at(0), 1000, cursor, left);
    CHECK(cursor.empty());
    CHECK(left.size() == retained.count());
    std::size_t bytes = 0;
    for (auto const& each : left) bytes += each->footprint();
    CHECK(bytes == retained.bytes());
    for (auto const& each : left) retained.set(message(std::string{each->topic()}, ""));
    CHECK(retained.level_count() == 0);
    CHECK(retained.bytes() == 0);
    reclaimer.offline(0);
}

TEST_CASE("retained: a message that replaces an expired one is not removed in its stead") {
    Reclaimer reclaimer{2};
    RetainedMessages retained{reclaimer, kNoLimits, 5};
    // Removals come at the end of a slice, so a long one leaves time for a replacement.
    for (int i = 0; i < 300; ++i) retained.set(message("other/" + std::to_string(i), "x"));
    std::atomic<bool> stop{false};
    std::atomic<int> slices{0};
    std::thread reader{[&] {
        reclaimer.online(0);
        std::string cursor;
        std::vector<MessagePtr> found;
        while (!stop.load(std::memory_order_relaxed)) {
            found.clear();
            retained.match("#", at(100), 1000, cursor, found);
            reclaimer.quiescent(0);
            ++slices;
        }
        reclaimer.offline(0);
    }};
    reclaimer.online(1);
    int lost = 0;
    for (unsigned step = 0; slices < 1000; ++step) {
        auto topic = std::to_string(step % 16);
        lost += step >= 16 && !retained.find(topic, at(100));  // what was "new" a round ago
        retained.set(message(topic, "old", 50));
        retained.set(message(topic, "new"));
        reclaimer.quiescent(1);
    }
    stop = true;
    reader.join();
    CHECK(lost == 0);
    reclaimer.offline(1);
}

TEST_CASE("retained: the limits hold when threads race for the last place") {
    constexpr std::size_t kThreads = 4;
    Reclaimer reclaimer{kThreads};
    auto const room = 10 * message("t/0/0", "x")->footprint();
    RetainedMessages retained{reclaimer, {.messages_max = 10, .bytes_max = room}, 5};
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            reclaimer.online(thread);
            for (int step = 0; step < 4000; ++step) {
                auto topic = "t/" + std::to_string(thread) + "/" + std::to_string(step % 5);
                auto payload = step % 7 == 0 ? "longer than the rest" : "x";
                retained.set(message(topic, step % 3 == 0 ? "" : payload));
                failures += retained.count() > 10;
                reclaimer.quiescent(thread);
            }
            for (int i = 0; i < 5; ++i) {
                retained.set(message("t/" + std::to_string(thread) + "/" + std::to_string(i), ""));
            }
            reclaimer.offline(thread);
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(failures == 0);
    CHECK(retained.count() == 0);
    CHECK(retained.bytes() == 0);
    CHECK(retained.level_count() == 0);
}

}  // namespace spoke::broker
