#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spoke {

struct Utf8Character {
    std::uint32_t code = 0;
    std::size_t size = 0;  // bytes; 0: the text does not begin with a character
};

/// The character that `text`, which is not empty, begins with. No over-long forms, no surrogates.
[[nodiscard]] Utf8Character first_character(std::string_view text) noexcept;

}  // namespace spoke
