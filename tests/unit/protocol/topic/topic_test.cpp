#include "protocol/topic/topic.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "protocol/topic/utf8.hpp"
#include "tests/support/bad_utf8.hpp"
#include "tests/support/random_packet.hpp"
#include "tests/support/reference_matcher.hpp"
#include "tests/support/seed.hpp"

namespace spoke::mqtt {

TEST_CASE("Topic name: at least one character, at most 65535 bytes, no wildcard",
          "[v3.1.1][MQTT-3.3.2-2][MQTT-4.7.1-1][MQTT-4.7.3-1][MQTT-4.7.3-3]"
          "[v5.0][MQTT-3.3.2-2][MQTT-4.7.0-1][MQTT-4.7.3-1][MQTT-4.7.3-3]") {
    for (auto const* name : {"a", "/", "//", "a/b", "$SYS/x", " ", "a b", "d/7/cmd", "\xC3\xA4"}) {
        CAPTURE(name);
        CHECK(is_valid_topic_name(name));
    }
    for (auto const* name :
         {"", "+", "#", "a/+", "a/#", "a+", "a#b", "abcdefgh+", "abcdefghijk#"}) {
        CAPTURE(name);
        CHECK_FALSE(is_valid_topic_name(name));
        CHECK_FALSE(is_ascii_topic_name(name));
    }
    CHECK(is_valid_topic_name(std::string(65'535, 'a')));
    CHECK_FALSE(is_valid_topic_name(std::string(65'536, 'a')));
    CHECK_FALSE(is_ascii_topic_name(std::string(65'536, 'a')));
}

TEST_CASE("Topic name: the fast check finds a wildcard, NUL or high byte at every place") {
    for (std::size_t size = 1; size < 40; ++size) {
        std::string good(size, 'a');
        CHECK(is_ascii_topic_name(good));
        for (std::size_t at = 0; at < size; ++at) {
            for (char character : {'+', '#', '\0', '\x80', '\xFF', '\xA3', '\xAB'}) {
                auto name = good;
                name[at] = character;
                CAPTURE(size, at, static_cast<int>(character));
                CHECK_FALSE(is_ascii_topic_name(name));
            }
            for (char character : {'\x01', '*', ',', '"', '$', '/', '\x7F', '\x2A', '\x24'}) {
                auto name = good;
                name[at] = character;
                CAPTURE(size, at, static_cast<int>(character));
                CHECK(is_ascii_topic_name(name));
            }
        }
    }
}

TEST_CASE("Topic name: the fast check agrees with the slow ones on random ASCII") {
    auto seed = test::seed_or(2);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (auto round = 0; round < 100'000; ++round) {
        std::string name(1 + random() % 24, 'a');
        for (auto left = random() % 3; left > 0; --left) {
            name[random() % name.size()] = static_cast<char>(random() % 128);
        }
        if (is_ascii_topic_name(name) != (is_valid_topic_name(name) && is_valid_utf8(name))) {
            FAIL(test::hex_of(name));
        }
    }
}

TEST_CASE("Topic filter: '#' stands last and alone in its level, '+' alone",
          "[v3.1.1][MQTT-4.7.1-2][MQTT-4.7.1-3][MQTT-4.7.3-1][MQTT-4.7.3-3]"
          "[v5.0][MQTT-4.7.1-1][MQTT-4.7.1-2][MQTT-4.7.3-1][MQTT-4.7.3-3]") {
    for (auto const* filter : {"a", "/", "//", "#", "+", "/#", "/+", "+/", "+/+", "a/#", "a/+/b",
                               "+/b/#", "+/#", "$SYS/#", "a/b c/", "a//b", "$share/g/t"}) {
        CAPTURE(filter);
        CHECK(is_valid_topic_filter(filter));
    }
    for (auto const* filter : {"", "a#", "#a", "##", "a/#/b", "#/", "#/a", "a+", "+a", "++", "a/+b",
                               "a/b+/c", "+#", "#+", "a/##", "a/+#", "/#/"}) {
        CAPTURE(filter);
        CHECK_FALSE(is_valid_topic_filter(filter));
    }
    CHECK(is_valid_topic_filter(std::string(65'535, 'a')));
    CHECK_FALSE(is_valid_topic_filter(std::string(65'536, 'a')));
}

TEST_CASE("Matching: wildcards, empty levels and the level above '#'",
          "[v3.1.1][MQTT-4.7.1-2][MQTT-4.7.1-3][v5.0][MQTT-4.7.1-1][MQTT-4.7.1-2]") {
    struct Case {
        char const* filter;
        char const* name;
        bool matches;
    };
    for (auto [filter, name, expected] : {
             Case{"a", "a", true},           Case{"a", "b", false},
             Case{"a/b", "a/b", true},       Case{"a/b", "a", false},
             Case{"a", "a/b", false},        Case{"#", "a", true},
             Case{"#", "a/b/c", true},       Case{"#", "/", true},
             Case{"a/#", "a", true},         Case{"a/#", "a/", true},
             Case{"a/#", "a/b/c", true},     Case{"a/#", "b", false},
             Case{"a/#", "aa", false},       Case{"+", "a", true},
             Case{"+", "a/b", false},        Case{"+", "/a", false},
             Case{"/+", "/a", true},         Case{"/+", "/", true},
             Case{"+/+", "/a", true},        Case{"+/+", "/", true},
             Case{"a/+", "a/", true},        Case{"a/+", "a", false},
             Case{"a/+/c", "a/b/c", true},   Case{"a/+/c", "a//c", true},
             Case{"a/+/c", "a/b/d", false},  Case{"+/b/#", "a/b", true},
             Case{"+/b/#", "a/b/c/d", true}, Case{"a//b", "a//b", true},
             Case{"a//b", "a/b", false},     Case{"a/+/+/b", "a//b", false},
             Case{"/a", "a", false},         Case{"a/", "a", false},
             Case{"/", "/", true},
         }) {
        CAPTURE(filter, name);
        CHECK(matches(filter, name) == expected);
        CHECK(test::slowly_matches(filter, name) == expected);
    }
}

TEST_CASE("Matching: a wildcard in the first level does not match names that begin with $",
          "[v3.1.1][MQTT-4.7.2-1][v5.0][MQTT-4.7.2-1][gotcha-55]") {
    for (auto const* filter : {"#", "+", "+/x", "+/#", "+/+"}) {
        CAPTURE(filter);
        CHECK_FALSE(matches(filter, "$SYS/x"));
        CHECK_FALSE(matches(filter, "$t"));
    }
    CHECK(matches("$SYS/#", "$SYS/x"));
    CHECK(matches("$SYS/+", "$SYS/x"));
    CHECK(matches("$SYS/#", "$SYS"));
    CHECK(matches("x/+", "x/$y"));
    CHECK(matches("#", "x/$y"));
    CHECK(matches("+/$y", "x/$y"));
}

TEST_CASE("Matching: names are compared as they are",
          "[v3.1.1][MQTT-4.7.3-4][MQTT-1.5.3-3][v5.0][MQTT-4.7.3-4][MQTT-1.5.4-3]") {
    CHECK_FALSE(matches("a", "A"));
    CHECK_FALSE(matches("a", "a "));
    CHECK_FALSE(matches("\xC3\xA4", "a\xCC\x88"));  // composed and decomposed
    CHECK_FALSE(matches("a",
                        "\xEF\xBB\xBF"
                        "a"));
    CHECK(
        matches("\xEF\xBB\xBF"
                "a",
                "\xEF\xBB\xBF"
                "a"));
}

TEST_CASE("Matching: agrees with the reference on random filters and names",
          "[v3.1.1][MQTT-3.3.2-3][v5.0][MQTT-3.3.2-3]") {
    auto seed = test::seed_or(3);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    auto matched = 0;
    auto refused = 0;
    for (auto round = 0; round < 200'000; ++round) {
        auto filter = test::random_topic(random, true);
        auto name = test::random_topic(random, false);
        CHECK(is_valid_topic_filter(filter) == test::is_slowly_valid_filter(filter));
        if (!is_valid_topic_filter(filter) || name.empty()) {
            ++refused;
            continue;
        }
        auto expected = test::slowly_matches(filter, name);
        matched += expected;
        if (matches(filter, name) != expected) FAIL(filter << " against " << name);
    }
    CHECK(matched > 1'000);
    CHECK(refused > 1'000);
}

TEST_CASE("Matching: 30000 levels neither overflow the stack nor take long") {
    std::string name;
    std::string filter;
    for (auto level = 0; level < 32'767; ++level) {
        name += "a/";
        filter += "+/";
    }
    CHECK(is_valid_topic_filter(filter));
    CHECK(matches(filter, name));
    CHECK_FALSE(matches(filter + "b", name));
    CHECK(matches(filter + "#", name));
}

TEST_CASE("$share: the table of what is a shared filter",
          "[v5.0][MQTT-4.8.2-1][MQTT-4.8.2-2][gotcha-53]") {
    struct Good {
        char const* text;
        char const* name;
        char const* filter;
    };
    for (auto [text, name, filter] : {
             Good{"$share/g/t", "g", "t"},
             Good{"$share/g//t", "g", "/t"},
             Good{"$share/g/#", "g", "#"},
             Good{"$share/g/+/x", "g", "+/x"},
             Good{"$share/g//", "g", "/"},
             Good{"$share/g$ 1/$SYS/#", "g$ 1", "$SYS/#"},
             Good{"$share/g/$share/h/t", "g", "$share/h/t"},
         }) {
        CAPTURE(text);
        CHECK(is_shared(text));
        auto parts = parse_shared(text);
        REQUIRE(parts);
        CHECK(parts->share_name == name);
        CHECK(parts->filter == filter);
    }
    for (auto const* text : {"$share", "$share/", "$share/g", "$share/g/", "$share//t", "$share//",
                             "$share/+/t", "$share/#/t", "$share/g+/t", "$share/g#/t",
                             "$share/g/a#", "$share/g/#/b", "$share/g/++", "$share/#"}) {
        CAPTURE(text);
        CHECK(is_shared(text));
        CHECK_FALSE(parse_shared(text));
    }
    for (auto const* text : {"$shared/x", "$SHARE/g/t", "share/g/t", "/$share/g/t", "$sharex",
                             "$shar", "", "a/$share"}) {
        CAPTURE(text);
        CHECK_FALSE(is_shared(text));
        CHECK_FALSE(parse_shared(text));
    }
}

TEST_CASE("Levels: a topic has at least one level, perhaps empty") {
    auto levels_of = [](std::string_view topic) {
        std::vector<std::string> found;
        Levels levels{topic};
        while (auto level = levels.next()) found.emplace_back(*level);
        CHECK_FALSE(levels.next());
        return found;
    };
    CHECK(levels_of("") == std::vector<std::string>{""});
    CHECK(levels_of("a") == std::vector<std::string>{"a"});
    CHECK(levels_of("/") == std::vector<std::string>{"", ""});
    CHECK(levels_of("a//b/") == std::vector<std::string>{"a", "", "b", ""});
}

}  // namespace spoke::mqtt
