#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.hpp"

namespace spoke::test {

/// The first byte of a frame: opcode, and FIN unless a fragment follows.
inline constexpr std::uint8_t kBinary = 0x82;
inline constexpr std::uint8_t kFirstFragment = 0x02;
inline constexpr std::uint8_t kFragment = 0x00;
inline constexpr std::uint8_t kLastFragment = 0x80;
inline constexpr std::uint8_t kText = 0x81;
inline constexpr std::uint8_t kClose = 0x88;
inline constexpr std::uint8_t kPing = 0x89;
inline constexpr std::uint8_t kPong = 0x8A;

/// A frame as a client writes it (RFC 6455, 5.2), written down here apart from the broker's code.
inline Buffer client_frame(std::uint8_t first, Bytes payload,
                           std::array<std::uint8_t, 4> mask = {0x37, 0xFA, 0x21, 0x3D}) {
    Buffer frame;
    auto put = [&frame](std::uint64_t value) { frame.push_back(static_cast<std::byte>(value)); };
    put(first);
    std::uint64_t size = payload.size();
    if (size < 126) {
        put(0x80 | size);
    } else if (size < 65'536) {
        put(0x80 | 126);
        for (int shift : {8, 0}) put(size >> shift & 0xFF);
    } else {
        put(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8) put(size >> shift & 0xFF);
    }
    for (auto byte : mask) put(byte);
    for (std::size_t i = 0; i < payload.size(); ++i)
        put(static_cast<std::uint8_t>(payload[i]) ^ mask[i % 4]);
    return frame;
}

inline Buffer client_frame(std::uint8_t first, std::string_view payload) {
    return client_frame(first, as_bytes(payload));
}

}  // namespace spoke::test
