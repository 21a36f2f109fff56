#pragma once

#include <cstddef>
#include <span>

#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// Most that is read of a large packet at a time. A buffer sets to zero what it grows by, so with
/// room for all that may come, each byte that a slow sender sends would cost as much as the packet.
inline constexpr std::size_t kLargeReadMax = std::size_t{256} * 1024;

/// Makes room in `partial` for more of a packet of `packet_size` bytes, of which it holds the
/// first. The memory it takes grows with what has come, not with what the peer says will come: at
/// most `growth_min` or as much again as there is.
/// Out     the room, 1 .. kLargeReadMax bytes at the end of `partial`; what of it is not used the
///         caller takes off again.
std::span<std::byte> make_room(Buffer& partial, std::size_t packet_size, std::size_t growth_min);

}  // namespace spoke::broker
