#include "protocol/codec/decode.hpp"

#include "protocol/base/assert.hpp"
#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_publish.hpp"
#include "protocol/codec/frame_check.hpp"

namespace spoke::mqtt {
namespace {

template <class Kind>
Result<Packet> read_packet(Reader& reader) {
    Kind packet{};
    read_body(reader, packet);
    if (!reader.at_end()) {
        reader.fail(ReasonCode::malformed_packet, rule::kLeftover, reader.position());
    }
    if (reader.failed()) return *reader.error();
    return Packet{std::move(packet)};
}

Result<Packet> read_publish(Bytes frame, Version version, Sender sender) {
    auto view = decode_publish(frame, version, sender);
    if (!view) return view.error();
    return Packet{to_publish(*view)};
}

}  // namespace

Result<Packet> decode(Bytes frame, Version version, Sender sender) {
    Reader reader{frame, version, sender};
    auto header = read_header(reader, frame);
    if (reader.failed()) return *reader.error();
    switch (header.type()) {
        case PacketType::connect:
            return read_packet<Connect>(reader);
        case PacketType::connack:
            return read_packet<ConnAck>(reader);
        case PacketType::publish:
            return read_publish(frame, version, sender);
        case PacketType::puback:
            return read_packet<PubAck>(reader);
        case PacketType::pubrec:
            return read_packet<PubRec>(reader);
        case PacketType::pubrel:
            return read_packet<PubRel>(reader);
        case PacketType::pubcomp:
            return read_packet<PubComp>(reader);
        case PacketType::subscribe:
            return read_packet<Subscribe>(reader);
        case PacketType::suback:
            return read_packet<SubAck>(reader);
        case PacketType::unsubscribe:
            return read_packet<Unsubscribe>(reader);
        case PacketType::unsuback:
            return read_packet<UnsubAck>(reader);
        case PacketType::pingreq:
            return read_packet<PingReq>(reader);
        case PacketType::pingresp:
            return read_packet<PingResp>(reader);
        case PacketType::disconnect:
            return read_packet<Disconnect>(reader);
        case PacketType::auth:
            return read_packet<Auth>(reader);
    }
    assertion_failed("read_header() lets no other type pass", __FILE__, __LINE__);
}

}  // namespace spoke::mqtt
