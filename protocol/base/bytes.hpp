#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace spoke {

using Bytes = std::span<std::byte const>;
using Buffer = std::vector<std::byte>;

/// The same memory, seen as bytes. Lives as long as what `text` points to.
[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<std::byte const*>(text.data()), text.size()};
}

/// The same memory, seen as text. Says nothing about its encoding.
[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline Buffer to_buffer(std::string_view text) {
    auto bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

}  // namespace spoke
