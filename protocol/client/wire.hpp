#pragma once

#include <cstdint>
#include <unordered_map>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

struct Outgoing;

/// What CONNACK said about the server (MQTT 5, table 3.2.2.3); 3.1.1 has the defaults.
struct ServerLimits {
    std::uint32_t packet_size_max = kVariableByteIntegerMax + 5;
    std::uint16_t receive_maximum = 65'535;
    std::uint16_t topic_alias_maximum = 0;
    Qos maximum_qos = Qos::exactly_once;
    bool retain_available = true;
    bool wildcard_subscription_available = true;
    bool subscription_identifiers_available = true;
    bool shared_subscription_available = true;

    [[nodiscard]] static ServerLimits of(ConnAck const& packet) noexcept;
};

/// The ids in use by the client's PUBLISH, SUBSCRIBE and UNSUBSCRIBE: one space for all three
/// [MQTT-2.2.1-3]. Ids go round, so that one which was just freed is not used at once for something
/// else.
class PacketIds {
public:
    /// An id that is not in use, for `owner` (null: a SUBSCRIBE or UNSUBSCRIBE).
    [[nodiscard]] PacketId take(Outgoing* owner);
    void free(PacketId id) noexcept { used_.erase(id.value); }
    /// The publish with this id; null if the id is free or not of a publish.
    [[nodiscard]] Outgoing* find(PacketId id) const noexcept;

private:
    std::unordered_map<std::uint16_t, Outgoing*> used_;
    std::uint16_t last_ = 0;
};

/// One connection as the parts of a machine see it: what was agreed, and the bytes which wait to be
/// taken.
struct Wire {
    Buffer outbox;
    std::uint64_t taken = 0;  // bytes handed to the transport; the outbox begins at this position
    ServerLimits server{};
    PacketIds ids{};
    Version version = Version::v5;
    bool connected = false;
    bool writing = false;  // the transport has not yet written what it took

    /// Position of the next byte that is encoded.
    [[nodiscard]] std::uint64_t position() const noexcept { return taken + outbox.size(); }

    template <class T>
    void send(T const& packet) {
        encode(packet, version, outbox);
    }
};

/// A packet starts a new batch once so much is waiting: a bound of what is handed over and can no
/// longer expire.
inline constexpr std::size_t kBatchBytes = 64 * 1024;

}  // namespace spoke::mqtt
