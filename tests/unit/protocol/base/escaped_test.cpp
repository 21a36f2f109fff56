#include "protocol/base/escaped.hpp"

#include <catch2/catch.hpp>

#include "protocol/base/utf8_character.hpp"

namespace spoke {

TEST_CASE("escaped: what may stand in a line of a log stays", "[log]") {
    for (auto const* text : {"", "a", "bike 42", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x9A\xB2", "a'\"b"})
        CHECK(escaped(text) == text);
}

TEST_CASE("escaped: control characters and bytes that are no UTF-8 are spelt out", "[log]") {
    CHECK(escaped("a\nb\r\tc\\n") == "a\\nb\\r\\tc\\\\n");
    CHECK(escaped(std::string_view{"\0\x1B[31m\x7F", 7}) == "\\x00\\x1B[31m\\x7F");
    CHECK(escaped("\xC2\x85\xC2\x9B") == "\\u{0085}\\u{009B}");
    CHECK(escaped("a\xE2\x80\xAE"
                  "b\xE2\x80\xA8") == "a\\u{202E}b\\u{2028}");
    CHECK(escaped("\xEF\xBB\xBF") == "\\u{FEFF}");
    CHECK(escaped("\xF3\xA0\x81\xA1") == "\\u{E0061}");
    CHECK(escaped("\xFF\xC0\x80") == "\\xFF\\xC0\\x80");
    CHECK(escaped("a\xE2\x82") == "a\\xE2\\x82");
    CHECK(escaped("\xED\xA0\x80") == "\\xED\\xA0\\x80");
}

TEST_CASE("escaped: a long text is cut before a character that does not fit", "[log]") {
    CHECK(escaped("abcd", 4) == "abcd");
    CHECK(escaped("abcde", 4) == "abcd... (5 bytes)");
    CHECK(escaped("abc\xC3\xA4", 4) == "abc... (5 bytes)");
    CHECK(escaped("\xC3\xA4", 0) == "... (2 bytes)");
    CHECK(escaped(std::string(65'535, 'x')) == std::string(256, 'x') + "... (65535 bytes)");
}

TEST_CASE("first_character: takes what is UTF-8 and nothing else", "[log]") {
    CHECK(first_character("a\xFF").code == 'a');
    CHECK(first_character("\xC3\xA4"
                          "b")
              .code == 0xE4);
    CHECK(first_character("\xC3\xA4"
                          "b")
              .size == 2);
    CHECK(first_character("\xF4\x8F\xBF\xBF").code == 0x10'FFFF);
    for (auto const* bad : {"\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82",
                            "\xC3"
                            "a"})
        CHECK(first_character(bad).size == 0);
}

}  // namespace spoke
