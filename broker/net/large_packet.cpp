#include "broker/net/large_packet.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

std::span<std::byte> make_room(Buffer& partial, std::size_t packet_size, std::size_t growth_min) {
    std::size_t held = partial.size();
    MQ_ASSERT(held < packet_size);
    std::size_t missing = packet_size - held;
    if (partial.capacity() == held)
        partial.reserve(held + std::min(missing, std::max(held, growth_min)));
    partial.resize(held + std::min({missing, partial.capacity() - held, kLargeReadMax}));
    return std::span{partial}.subspan(held);
}

}  // namespace spoke::broker
