#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {

void read_body(Reader& reader, Disconnect& packet) {
    if (reader.version() != Version::v5 || reader.at_end()) return;
    packet.reason = reader.reason_code(PacketType::disconnect);
    if (reader.at_end()) return;
    read_properties(reader, Place::disconnect, packet);
}

}  // namespace spoke::mqtt
