#include "broker/auth/prepared.hpp"

#include <algorithm>
#include <cstdint>

#include "protocol/base/utf8_character.hpp"

namespace spoke::broker {
namespace {

struct Range {
    std::uint32_t first;
    std::uint32_t last;
};

// Assigned in Unicode 3.2, alone in NFKC, composed with nothing else of these, written from left to
// right. Letters that stand for two (U+0132 and the like) are left out: NFKC takes them apart.
constexpr Range kStable[] = {
    {0x0020, 0x007E},                                      // ASCII
    {0x00C0, 0x0131}, {0x0134, 0x013E}, {0x0141, 0x0148},  // Latin
    {0x014A, 0x017E},                                      //
    {0x0388, 0x038A}, {0x038C, 0x038C}, {0x038E, 0x03A1},  // Greek
    {0x03A3, 0x03CE},                                      //
    {0x0400, 0x045F},                                      // Cyrillic
    {0x3041, 0x3096}, {0x30A1, 0x30FA},                    // kana
    {0x4E00, 0x9FA5},                                      // ideographs
    {0xAC00, 0xD7A3},                                      // Hangul
};

bool is_stable(std::uint32_t code) noexcept {
    return std::any_of(std::begin(kStable), std::end(kStable), [code](auto const& range) {
        return code >= range.first && code <= range.last;
    });
}

}  // namespace

bool is_prepared(std::string_view text) noexcept {
    if (text.empty()) return false;
    while (!text.empty()) {
        auto character = first_character(text);
        if (character.size == 0 || !is_stable(character.code)) return false;
        text.remove_prefix(character.size);
    }
    return true;
}

}  // namespace spoke::broker
