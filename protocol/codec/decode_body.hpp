#pragma once

#include "protocol/codec/reader.hpp"
#include "protocol/packet/ping.hpp"

namespace spoke::mqtt {

struct Connect;
struct ConnAck;
struct PubAck;
struct PubRec;
struct PubRel;
struct PubComp;
struct Subscribe;
struct SubAck;
struct Unsubscribe;
struct UnsubAck;
struct Disconnect;
struct Auth;

/// Read what stands behind the fixed header. Errors stay in the reader; what it has left over is
/// the caller's to refuse. PUBLISH is not here: see decode_publish().
void read_body(Reader& reader, Connect& packet);
void read_body(Reader& reader, ConnAck& packet);
void read_body(Reader& reader, PubAck& packet);
void read_body(Reader& reader, PubRec& packet);
void read_body(Reader& reader, PubRel& packet);
void read_body(Reader& reader, PubComp& packet);
void read_body(Reader& reader, Subscribe& packet);
void read_body(Reader& reader, SubAck& packet);
void read_body(Reader& reader, Unsubscribe& packet);
void read_body(Reader& reader, UnsubAck& packet);
void read_body(Reader& reader, Disconnect& packet);
void read_body(Reader& reader, Auth& packet);
inline void read_body(Reader&, PingReq&) {}
inline void read_body(Reader&, PingResp&) {}

}  // namespace spoke::mqtt
