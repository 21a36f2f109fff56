#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spoke::test {

/// Strings that no field may hold: ill-formed, surrogates, U+0000 (MQTT 5, 1.5.4).
[[nodiscard]] inline std::vector<std::string> bad_utf8() {
    return {
        std::string{"\0", 1},        // U+0000
        std::string{"a\0b", 3},      // U+0000 in the middle
        "\x80",                      // continuation without start
        "\xBF",                      //
        "\xC0\x80",                  // over-long U+0000
        "\xC0\xAF",                  // over-long '/'
        "\xC1\xBF",                  // over-long U+007F
        "\xC2",                      // cut
        "\xC3(",                     // start without continuation
        "\xE0\x80\xAF",              // over-long '/'
        "\xE0\x9F\xBF",              // over-long U+07FF
        "\xE2\x82",                  // cut
        "\xE2(\xA1",                 // broken in the middle
        "\xED\xA0\x80",              // surrogate U+D800
        "\xED\xAD\xBF",              // surrogate U+DB7F
        "\xED\xBF\xBF",              // surrogate U+DFFF
        "\xED\xA0\x80\xED\xB0\x80",  // a pair of surrogates
        "\xF0\x80\x80\xAF",          // over-long '/'
        "\xF0\x8F\xBF\xBF",          // over-long U+FFFF
        "\xF0\x9F\x9A",              // cut
        "\xF4\x90\x80\x80",          // above U+10FFFF
        "\xF5\x80\x80\x80",          // above U+10FFFF
        "\xF8\x88\x80\x80\x80",      // five bytes
        "\xFC\x84\x80\x80\x80\x80",  // six bytes
        "\xFE",                      // never in UTF-8
        "\xFF",                      //
    };
}

/// Strings that every field may hold. None has a wildcard.
[[nodiscard]] inline std::vector<std::string> good_utf8() {
    return {
        "plain",
        "\x01\x1F\x7F",              // control characters: let through
        "\xC2\x80\xC2\x9F",          // more of them
        "\xC3\xA4\xC3\xB6",          // two bytes each
        "\xE0\xA0\x80",              // U+0800
        "\xED\x9F\xBF\xEE\x80\x80",  // around the surrogates
        "\xEF\xBB\xBF"
        "bom",                       // U+FEFF stays
        "\xEF\xBF\xBE\xEF\xBF\xBF",  // noncharacters: let through
        "\xF0\x90\x80\x80",          // U+10000
        "\xF0\x9F\x9A\xB2",          // a bicycle
        "\xF4\x8F\xBF\xBF",          // U+10FFFF
    };
}

[[nodiscard]] inline std::string hex_of(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string hex;
    for (char character : text) {
        auto byte = static_cast<unsigned char>(character);
        hex += kDigits[byte >> 4];
        hex += kDigits[byte & 15];
        hex += ' ';
    }
    return hex;
}

}  // namespace spoke::test
