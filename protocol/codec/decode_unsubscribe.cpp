#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"

namespace spoke::mqtt {

void read_body(Reader& reader, Unsubscribe& packet) {
    packet.id = reader.packet_id();
    if (reader.version() == Version::v5) read_properties(reader, Place::unsubscribe, packet);
    if (reader.at_end())
        reader.fail(ReasonCode::protocol_error, rule::kNoFilter, reader.position());
    while (!reader.at_end()) packet.filters.emplace_back(reader.utf8());
}

}  // namespace spoke::mqtt
