// What the subscription index and the retained store cost: bytes as malloc counts them, and
// nanoseconds of one thread. `index_bench [COUNT]`; build it with the preset `release`.
#include <fmt/core.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "broker/core/retained.hpp"
#include "broker/core/subscription_index.hpp"

namespace {

using namespace spoke;
using namespace spoke::broker;

/// Bytes that the heap holds for the program, the allocator's own headers included.
std::size_t heap_bytes() {
    auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

std::size_t resident_bytes() {
    std::ifstream statm{"/proc/self/statm"};
    std::size_t size = 0;
    std::size_t resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// The best of `rounds`, because what else runs on the machine only ever adds.
template <class Work>
double best_of(int rounds, Work&& work) {
    auto best = work();
    for (int round = 1; round < rounds; ++round) best = std::min(best, work());
    return best;
}

template <class Work>
double nanoseconds(std::size_t times, Work&& work) {
    auto begin = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
    return taken.count() / static_cast<double>(times);
}

Subscriber subscriber(std::size_t slot) {
    Subscriber made;
    made.slot = static_cast<std::uint32_t>(slot);
    return made;
}

struct Shape {
    char const* name;
    std::function<std::string(std::size_t)> filter;  // of the subscription with this number
};

void measure_subscriptions(Shape const& shape, std::size_t count) {
    Reclaimer reclaimer{1};
    reclaimer.online(0);
    std::vector<std::string> filters(count);
    for (std::size_t i = 0; i < count; ++i) filters[i] = shape.filter(i);
    std::vector<FilterNode const*> nodes(count);
    malloc_trim(0);
    auto heap = heap_bytes();
    auto resident = resident_bytes();
    SubscriptionIndex index{reclaimer, 1};
    auto subscribe = nanoseconds(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            nodes[i] = index.subscribe(filters[i], subscriber(i)).node;
            if (i % 64 == 0) reclaimer.quiescent(0);
        }
    });
    reclaimer.quiescent(0);
    reclaimer.collect();
    reclaimer.quiescent(0);
    reclaimer.collect();
    auto per = [&](std::size_t now, std::size_t before) {
        return (static_cast<double>(now) - static_cast<double>(before)) /
                   static_cast<double>(count) +
               8;
    };
    auto heap_per = per(heap_bytes(), heap);
    auto resident_per = per(resident_bytes(), resident);

    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937{1});
    Matches found;
    std::size_t hits = 0;
    auto topics = std::min(count, std::size_t{100'000});
    auto match = best_of(3, [&] {
        return nanoseconds(topics, [&] {
            for (std::size_t i = 0; i < topics; ++i) {
                std::string_view topic = filters[order[i]];
                if (topic.starts_with("$share/g/")) topic.remove_prefix(9);
                found.clear();
                index.match(topic, found);
                hits += found.plain.size() + found.shared.size();
            }
        });
    });
    auto unsubscribe = nanoseconds(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            index.unsubscribe(nodes[order[i]], subscriber(order[i]).session());
            if (i % 64 == 0) reclaimer.quiescent(0);
        }
    });
    fmt::print("{:34} {:9} {:8.1f} {:8.1f} {:10.0f} {:10.0f} {:10.0f}\n", shape.name, count,
               heap_per, resident_per, subscribe, match, unsubscribe);
    if (hits == 0) std::puts("nothing matched");
    reclaimer.offline(0);
}

void measure_match(char const* name, std::vector<std::string> const& filters,
                   std::vector<std::string> const& topics) {
    Reclaimer reclaimer{1};
    reclaimer.online(0);
    SubscriptionIndex index{reclaimer, 1};
    for (std::size_t i = 0; i < filters.size(); ++i) index.subscribe(filters[i], subscriber(i));
    Matches found;
    std::size_t spans = 0;
    std::size_t entries = 0;
    constexpr std::size_t kTimes = 100'000;
    constexpr int kRounds = 10;
    auto match = best_of(kRounds, [&] {
        spans = 0;
        entries = 0;
        return nanoseconds(kTimes, [&] {
            for (std::size_t i = 0, at = 0; i < kTimes; ++i) {
                found.clear();
                index.match(topics[at], found);
                spans += found.plain.size() + found.shared.size();
                for (auto span : found.plain) entries += span.size();
                if (++at == topics.size()) at = 0;
            }
        });
    });
    fmt::print("{:58} {:9.1f} {:9.1f} {:7.1f}\n", name, static_cast<double>(spans) / kTimes,
               static_cast<double>(entries) / kTimes, match);
    reclaimer.offline(0);
}

std::vector<std::string> numbered(std::string const& before, std::size_t count,
                                  std::string const& behind = "") {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(before + std::to_string(i) + behind);
    return all;
}

std::vector<std::string> operator+(std::vector<std::string> left, std::vector<std::string> right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

std::vector<std::string> shuffled(std::vector<std::string> all) {
    std::shuffle(all.begin(), all.end(), std::mt19937{2});
    return all;
}

void measure_matches() {
    fmt::print("\n{:58} {:>9} {:>9} {:>7}\n", "match", "filters", "entries", "ns");
    auto grid = [] {
        std::vector<std::string> all;
        for (int i = 0; i < 100'000; ++i) {
            all.push_back(fmt::format("bench/s/{}/{}", i / 100, i % 100));
        }
        return all;
    }();
    measure_match("50 exact filters, one each", numbered("p2p/", 50), numbered("p2p/", 50));
    measure_match("one exact filter in four levels", {"a/b/c/d"}, {"a/b/c/d"});
    measure_match("100000 exact filters, the same topic again", grid, {"bench/s/123/45"});
    measure_match("100000 exact filters, any topic", grid, shuffled(grid));
    measure_match("100000 exact filters, none matches", grid, numbered("bench/s/none", 1000));
    measure_match("d/+/cmd, d/# and + among 100000 exact d/N/cmd",
                  numbered("d/", 100'000, "/cmd") + std::vector<std::string>{"d/+/cmd", "d/#", "+"},
                  shuffled(numbered("d/", 100'000, "/cmd")));
    measure_match("a/# , # and +/# ", {"a/#", "#", "+/#"}, {"a/b/c/d"});
    measure_match("one filter with 1000 subscribers", std::vector<std::string>(1000, "fan/out"),
                  {"fan/out"});
    measure_match("one filter with 100000 subscribers",
                  std::vector<std::string>(100'000, "fan/out"), {"fan/out"});
    measure_match("a share group of 100", std::vector<std::string>(100, "$share/g/a/b"), {"a/b"});
}

void measure_retained(std::size_t count) {
    Reclaimer reclaimer{1};
    reclaimer.online(0);
    std::vector<MessagePtr> messages;
    std::vector<MessagePtr> others;
    for (std::size_t i = 0; i < count; ++i) {
        mqtt::Publish publish{
            .topic = fmt::format("d/{}/state", i), .payload = Buffer(64), .retain = true};
        messages.push_back(Message::make(publish, kNever));
        others.push_back(Message::make(publish, kNever));
    }
    auto heap = heap_bytes();
    RetainedMessages retained{reclaimer, {SIZE_MAX / 2, SIZE_MAX / 2}, 1};
    auto each_of = [&](std::vector<MessagePtr> const& all, auto&& work) {
        return nanoseconds(count, [&] {
            for (std::size_t i = 0; i < count; ++i) {
                work(all[i]);
                if (i % 64 == 0) reclaimer.quiescent(0);
            }
        });
    };
    auto store = each_of(messages, [&](MessagePtr const& message) { retained.set(message); });
    reclaimer.quiescent(0);
    reclaimer.collect();
    reclaimer.quiescent(0);
    reclaimer.collect();
    auto bytes = static_cast<double>(heap_bytes() - heap) / static_cast<double>(count);
    auto replace = each_of(others, [&](MessagePtr const& message) { retained.set(message); });
    std::size_t found = 0;
    auto find = each_of(messages, [&](MessagePtr const& message) {
        found += static_cast<bool>(retained.find(message->topic(), WallTime{}));
    });
    std::string cursor;
    std::vector<MessagePtr> slice;
    double longest = 0;
    auto read = nanoseconds(count, [&] {
        do {
            slice.clear();
            longest = std::max(longest, nanoseconds(1, [&] {
                                   retained.match("d/+/state", WallTime{}, 256, cursor, slice);
                               }));
            found += slice.size();
            reclaimer.quiescent(0);
        } while (!cursor.empty());
    });
    fmt::print(
        "\n{} retained d/N/state: {:.1f} bytes beside each message; ns each: store {:.0f}, "
        "replace {:.0f}, find {:.0f}, read by d/+/state {:.0f}; the longest slice of 256 took "
        "{:.0f} us\n",
        count, bytes, store, replace, find, read, longest / 1000);
    if (found != 2 * count) std::puts("not all were found");
    reclaimer.offline(0);
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
    if (count == 0) {
        std::fputs("usage: index_bench [COUNT]\n", stderr);
        return 2;
    }
#ifndef NDEBUG
    std::puts("not a release build: the figures mean little");
#endif
    fmt::print("{:34} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}\n", "subscriptions", "count", "heap B",
               "RSS B", "subscr. ns", "match ns", "unsub. ns");
    // Bytes are for each subscription, with the eight that its session keeps.
    measure_subscriptions(
        {"bench/s/N/N, 100 in a group",
         [](std::size_t i) { return fmt::format("bench/s/{}/{}", i / 100, i % 100); }},
        count);
    measure_subscriptions(
        {"bench/s/N/N, 10 in a group",
         [](std::size_t i) { return fmt::format("bench/s/{}/{}", i / 10, i % 10); }},
        count);
    measure_subscriptions({"d/N/cmd", [](std::size_t i) { return fmt::format("d/{}/cmd", i); }},
                          count);
    measure_subscriptions({"d/N", [](std::size_t i) { return fmt::format("d/{}", i); }}, count);
    measure_subscriptions({"d/N", [](std::size_t i) { return fmt::format("d/{}", i); }},
                          10 * count);
    measure_subscriptions({"one filter", [](std::size_t) { return std::string{"all"}; }}, count);
    measure_subscriptions({"$share/g/all", [](std::size_t) { return std::string{"$share/g/all"}; }},
                          count);
    measure_matches();
    measure_retained(10 * count);
}
