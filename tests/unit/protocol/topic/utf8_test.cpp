#include "protocol/topic/utf8.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/support/bad_utf8.hpp"
#include "tests/support/seed.hpp"

namespace spoke::mqtt {
namespace {

/// Decodes by the bit patterns first and judges the code point afterwards: another way than the
/// real one takes.
bool is_slowly_valid_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        auto first = static_cast<unsigned char>(text[at]);
        auto size = first < 0x80       ? 1u
                    : first >> 5 == 6  ? 2u
                    : first >> 4 == 14 ? 3u
                    : first >> 3 == 30 ? 4u
                                       : 0u;
        if (size == 0 || at + size > text.size()) return false;
        auto point = size == 1 ? first + 0u : first & (0xFFu >> (size + 1));
        for (auto next = at + 1; next < at + size; ++next) {
            auto byte = static_cast<unsigned char>(text[next]);
            if (byte >> 6 != 2) return false;
            point = point << 6 | (byte & 0x3Fu);
        }
        constexpr std::uint32_t kSmallest[] = {0, 1, 0x80, 0x800, 0x10000};
        if (point < kSmallest[size] || point > 0x10FFFF) return false;
        if (point >= 0xD800 && point <= 0xDFFF) return false;
        at += size;
    }
    return true;
}

}  // namespace

TEST_CASE("UTF-8: ill-formed strings and NUL are refused at every place of a string",
          "[v3.1.1][MQTT-1.5.3-1][MQTT-1.5.3-2][v5.0][MQTT-1.5.4-1][MQTT-1.5.4-2]") {
    for (auto const& bad : test::bad_utf8()) {
        for (std::size_t before = 0; before < 20; ++before) {
            for (std::size_t after : {0u, 1u, 7u, 8u, 9u}) {
                // ASCII behind a cut sequence does not complete it.
                auto text = std::string(before, 'x') + bad + std::string(after, 'y');
                CAPTURE(before, after, test::hex_of(bad));
                CHECK_FALSE(is_valid_utf8(text));
            }
        }
    }
}

TEST_CASE("UTF-8: well-formed strings of all kinds are taken",
          "[v3.1.1][MQTT-1.5.3-3][v5.0][MQTT-1.5.4-3]") {
    CHECK(is_valid_utf8(""));
    for (auto const& good : test::good_utf8()) {
        for (std::size_t before = 0; before < 20; ++before) {
            CAPTURE(before, test::hex_of(good));
            CHECK(is_valid_utf8(std::string(before, 'x') + good));
            CHECK(is_valid_utf8(good + std::string(before, 'x')));
        }
    }
}

TEST_CASE("UTF-8: agrees with a slow decoder on all strings of one and two bytes") {
    for (unsigned first = 0; first < 256; ++first) {
        std::string text(1, static_cast<char>(first));
        if (is_valid_utf8(text) != is_slowly_valid_utf8(text)) FAIL(test::hex_of(text));
        for (unsigned second = 0; second < 256; ++second) {
            auto pair = text + static_cast<char>(second);
            if (is_valid_utf8(pair) != is_slowly_valid_utf8(pair)) FAIL(test::hex_of(pair));
        }
    }
}

TEST_CASE("UTF-8: agrees with a slow decoder on every code point and beyond") {
    for (std::uint32_t point = 0x800; point < 0x200000; ++point) {
        std::string text;
        if (point < 0x10000) {
            text += static_cast<char>(0xE0 | point >> 12);
        } else {
            text += static_cast<char>(0xF0 | point >> 18);
            text += static_cast<char>(0x80 | (point >> 12 & 0x3F));
        }
        text += static_cast<char>(0x80 | (point >> 6 & 0x3F));
        text += static_cast<char>(0x80 | (point & 0x3F));
        if (is_valid_utf8(text) != is_slowly_valid_utf8(text)) FAIL(test::hex_of(text));
    }
}

TEST_CASE("UTF-8: agrees with a slow decoder on random strings of nearly good bytes") {
    auto seed = test::seed_or(1);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    constexpr unsigned char kBytes[] = {'a',  'b',  0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                        0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF,
                                        0xF0, 0xF1, 0xF4, 0xF5, 0x00, 'c'};
    auto good = 0;
    for (auto round = 0; round < 200'000; ++round) {
        std::string text(random() % 8, 'x');
        for (auto left = random() % 6; left > 0; --left) {
            text += static_cast<char>(kBytes[random() % std::size(kBytes)]);
        }
        auto expected = is_slowly_valid_utf8(text);
        good += expected;
        if (is_valid_utf8(text) != expected) FAIL(test::hex_of(text));
    }
    CHECK(good > 10'000);
}

}  // namespace spoke::mqtt
