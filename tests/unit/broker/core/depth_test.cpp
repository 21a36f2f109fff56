// Topics of as many levels as fit: what they cost grows with their length and no faster.
#include <time.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::Version;

namespace {

std::string levels(std::size_t count, std::string_view level) {
    std::string topic{level};
    topic.reserve(count * (level.size() + 1));
    for (std::size_t i = 1; i < count; ++i) topic.append("/").append(level);
    return topic;
}

/// CPU time of this thread: other processes do not count.
std::chrono::nanoseconds cpu_time() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

/// What it costs to subscribe, publish, retain, read retained, match and unsubscribe; the least of
/// some runs.
std::chrono::nanoseconds cost(std::size_t count) {
    auto const topic = levels(count, "a");
    auto const plus = levels(count, "+");
    auto least = std::chrono::nanoseconds::max();
    for (int run = 0; run < 5; ++run) {
        Script s;
        auto& a = s.link("a");
        a.sends(connect(Version::v5)).gets(connack());
        auto begin = cpu_time();
        a.sends(subscribe(1, topic).also(plus)).gets(suback(1));
        a.sends(publish(topic, "x").retain());
        CHECK(a.takes<mqtt::Publish>().topic.size() == topic.size());
        for (std::string filter : {std::string{"#"}, plus, topic, topic + "/#"}) {
            a.sends(subscribe(2, filter)).gets(suback(2)).gets(publish(topic, "x").retain());
            a.sends(unsubscribe(3, {filter})).gets(unsuback(3));
        }
        a.sends(publish(topic, "").retain()).gets_nothing();
        least = std::min(least, cpu_time() - begin);
        CHECK(s.index().level_count() == 0);
        CHECK(s.retained().level_count() <= 1);
    }
    return least;
}

}  // namespace

TEST_CASE("depth: eight times the levels cost far less than the square of it", "[gotcha-56]") {
    auto some = cost(4'000);
    auto many = cost(32'000);
    CAPTURE(some.count(), many.count());
    CHECK(many < 24 * some);  // in proportion it were 8, by the square 64
}

TEST_CASE("depth: 65536 empty levels, and one of 65535 bytes", "[gotcha-56]") {
    auto topic = GENERATE(std::string(65'535, '/'), std::string(65'535, 'x'));
    Script s;
    auto& a = s.link("a");
    a.sends(connect(Version::v5)).gets(connack());
    for (std::string filter : {topic, std::string{"#"}}) {
        a.sends(subscribe(1, filter)).gets(suback(1));
        a.sends(publish(topic, "x").retain()).gets(publish(topic, "x"));
        a.sends(subscribe(2, filter)).gets(suback(2)).gets(publish(topic, "x").retain());
        a.sends(unsubscribe(3, {filter})).gets(unsuback(3));
        a.sends(publish(topic, "").retain()).gets_nothing();
    }
    CHECK(s.index().level_count() == 0);
}
