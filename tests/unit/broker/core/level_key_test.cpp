#include "broker/core/level_key.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "protocol/topic/topic.hpp"

namespace spoke::broker {
namespace {

constexpr std::uint64_t kSeed = 42;

/// Walks a copy without a byte to spare, so that a sanitizer sees a read beyond it.
void check_walk(std::string const& text) {
    CAPTURE(text);
    std::vector<char> topic{text.begin(), text.end()};
    topic.shrink_to_fit();
    std::string_view view{topic.data(), topic.size()};
    LevelWalk walk{view, kSeed};
    mqtt::Levels levels{view};
    LevelKey key;
    for (auto level = levels.next(); level; level = levels.next()) {
        REQUIRE(walk.next(key));
        REQUIRE(key.text == *level);
        auto alone = level_key(*level, kSeed);
        REQUIRE(key.hash == alone.hash);
        REQUIRE(key.head == alone.head);
        REQUIRE(alone.text == *level);
        std::vector<char> written(LevelText::room(*level));
        LevelText::write(written.data(), *level);
        REQUIRE(LevelText::is({written.data(), level->size()}, key));
    }
    CHECK(walk.is_done());
    CHECK_FALSE(walk.next(key));
}

}  // namespace

TEST_CASE("level walk: gives the same levels as the plain one, and their keys") {
    SECTION("of all lengths around a word") {
        for (std::size_t first = 0; first < 20; ++first) {
            for (std::size_t second = 0; second < 20; ++second) {
                check_walk(std::string(first, 'a') + "/" + std::string(second, 'b'));
                check_walk(std::string(first, 'a') + "/" + std::string(second, 'b') + "/c");
            }
            if (first > 0) check_walk(std::string(first, 'a'));
        }
    }
    SECTION("of any bytes, also those next to '/'") {
        static constexpr std::array kBytes{'/',    '/',    '.',    '0',    '\x2e',
                                           '\x30', '\xaf', '\xff', '\x01', 'a'};
        std::mt19937 random{1};
        for (int i = 0; i < 5000; ++i) {
            std::string topic(1 + random() % 40, 'x');
            for (auto& byte : topic) byte = kBytes[random() % kBytes.size()];
            check_walk(topic);
        }
    }
}

TEST_CASE("level key: differs where the texts do") {
    std::set<std::uint64_t> hashes;
    std::vector<std::string> texts{""};
    for (std::size_t size = 1; size < 40; ++size) {
        texts.push_back(std::string(size, 'a'));
        texts.push_back(std::string(size - 1, 'a') + 'b');
        texts.push_back('b' + std::string(size - 1, 'a'));
    }
    std::set<std::string> distinct{texts.begin(), texts.end()};
    for (auto const& text : distinct) hashes.insert(level_key(text, kSeed).hash);
    CHECK(hashes.size() == distinct.size());
    CHECK(level_key("a", 1).hash != level_key("a", 2).hash);

    for (auto const& one : distinct) {
        std::vector<char> written(LevelText::room(one));
        LevelText::write(written.data(), one);
        for (auto const& other : distinct) {
            auto is = LevelText::is({written.data(), one.size()}, level_key(other, kSeed));
            if (is != (one == other)) FAIL(one << " and " << other);
        }
    }
}

}  // namespace spoke::broker
