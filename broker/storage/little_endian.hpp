#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// Numbers as RocksDB's files have them.

/// At the beginning of `bytes`, which are long enough.
template <std::unsigned_integral T>
[[nodiscard]] T little_endian(std::string_view bytes) {
    MQ_ASSERT(bytes.size() >= sizeof(T));
    T value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) {
        value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 |
                               static_cast<unsigned char>(bytes[i]));
    }
    return value;
}

template <std::unsigned_integral T>
void append_little_endian(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out += static_cast<char>(static_cast<std::uint64_t>(value) >> 8 * i & 0xFF);
}

/// Takes a number of seven bits a byte, lowest first, off the front; none if there is no end to it.
[[nodiscard]] inline std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 10; ++i) {
        auto const byte = static_cast<unsigned char>(bytes[i]);
        value |= static_cast<std::uint64_t>(byte & 0x7F) << 7 * i;
        if (byte < 0x80) {
            bytes.remove_prefix(i + 1);
            return value;
        }
    }
    return std::nullopt;
}

/// What RocksDB writes for a checksum, so that one over bytes that hold checksums is sound.
[[nodiscard]] inline std::uint32_t masked_crc32c(std::uint32_t crc) {
    return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

}  // namespace spoke::broker
