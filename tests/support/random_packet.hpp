#pragma once

#include <random>

#include "protocol/packet/packet.hpp"

namespace spoke::test {

/// A sound packet that `sender` may send in `version`, with random content: every optional member
/// there or not, strings of all sizes, characters beyond ASCII.
[[nodiscard]] mqtt::Packet random_packet(std::mt19937_64& random, mqtt::Version version,
                                         mqtt::Sender sender);

/// One to eight levels of a few short words, so that topics and filters often meet. `wildcards` are
/// mixed in.
[[nodiscard]] std::string random_topic(std::mt19937_64& random, bool wildcards);

}  // namespace spoke::test
