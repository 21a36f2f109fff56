#pragma once

#include <variant>

#include "protocol/packet/auth.hpp"
#include "protocol/packet/connack.hpp"
#include "protocol/packet/connect.hpp"
#include "protocol/packet/disconnect.hpp"
#include "protocol/packet/ping.hpp"
#include "protocol/packet/puback.hpp"
#include "protocol/packet/pubcomp.hpp"
#include "protocol/packet/publish.hpp"
#include "protocol/packet/pubrec.hpp"
#include "protocol/packet/pubrel.hpp"
#include "protocol/packet/suback.hpp"
#include "protocol/packet/subscribe.hpp"
#include "protocol/packet/unsuback.hpp"
#include "protocol/packet/unsubscribe.hpp"

namespace spoke::mqtt {

/// Every control packet there is; the order is that of PacketType.
using Packet = std::variant<Connect, ConnAck, Publish, PubAck, PubRec, PubRel, PubComp, Subscribe,
                            SubAck, Unsubscribe, UnsubAck, PingReq, PingResp, Disconnect, Auth>;

}  // namespace spoke::mqtt
