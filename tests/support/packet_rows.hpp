#pragma once

#include "tests/support/packet_table.hpp"

/// The parts that the packet table is put together from, and the words they are written in.
namespace spoke::test {

std::vector<PacketRow> connect_rows();
std::vector<PacketRow> connack_rows();
std::vector<PacketRow> publish_rows();
std::vector<PacketRow> acknowledgement_rows();
std::vector<PacketRow> subscribe_rows();
std::vector<PacketRow> unsubscribe_rows();
std::vector<PacketRow> closing_rows();
std::vector<PacketRow> framing_rows();

namespace rows {

using enum mqtt::Version;
using enum mqtt::Sender;

/// What stands behind a good packet: in which other sizes it is good too.
struct Cuts {
    std::vector<std::size_t> sizes{};
};

inline PacketRow good(std::string_view name, mqtt::Version version, mqtt::Sender sender,
                      std::string_view text, mqtt::Packet value, Cuts cuts = {}) {
    PacketRow row{name, text, version, sender};
    row.value = std::move(value);
    row.good_cuts = std::move(cuts.sizes);
    return row;
}

/// A good packet that the encoder writes in another form.
inline PacketRow longer(std::string_view name, mqtt::Version version, mqtt::Sender sender,
                        std::string_view text, mqtt::Packet value, Cuts cuts = {}) {
    auto row = good(name, version, sender, text, std::move(value), std::move(cuts));
    row.is_shortest = false;
    return row;
}

inline PacketRow bad(std::string_view name, mqtt::Version version, mqtt::Sender sender,
                     std::string_view text, mqtt::ReasonCode reason, std::string_view rule) {
    PacketRow row{name, text, version, sender};
    row.reason = reason;
    row.rule = rule;
    return row;
}

}  // namespace rows
}  // namespace spoke::test
