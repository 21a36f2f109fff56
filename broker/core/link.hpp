#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/out_queue.hpp"
#include "broker/core/timer_wheel.hpp"
#include "broker/core/topic_aliases.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::broker {

struct Authentication;
struct LinkSettings;
class Session;

/// Where a connection stands, as the core sees it.
enum class LinkState : std::uint8_t {
    awaiting_connect,  // nothing accepted yet; the timer is the connect timeout
    authenticating,    // CONNECT is there, who sent it is not known yet; the same timer
    connected,         // belongs to a session
    closing,  // nothing more is read or queued; what is queued goes out, then the connection closes
};

/// A network connection as the core sees it: what CONNECT and CONNACK agreed on, and the bytes
/// still to be written. Owned by the net layer (its Connection derives from it) or a test; touched
/// by one shard.
class Link {
public:
    Link();
    ~Link();
    Link(Link const&) = delete;
    Link& operator=(Link const&) = delete;

    [[nodiscard]] bool is_v5() const noexcept { return version == mqtt::Version::v5; }

    /// Not to be read for now, but to be kept.
    [[nodiscard]] bool is_at_rest() const noexcept {
        return paused || awaits_verdict || awaits_disk;
    }

    OutQueue out{};
    LinkSettings const* settings = nullptr;  // its listener's; set by ShardCore::on_accepted()
    std::uint16_t mount_size = 0;            // of their mount point, which its client never sees
    Session* session = nullptr;  // while connected; the session outlives its part of this
    TimerNode timer{TimerKind::link, this};
    SteadyTime last_packet{};     // when the last complete packet came [MQTT-3.1.2-22]
    std::int64_t connection = 0;  // its number: rises from connection to connection of a client
    std::int64_t connected_at_us = 0;                                       // since 1970
    std::uint32_t maximum_packet_size = mqtt::kVariableByteIntegerMax + 5;  // the client's
    std::uint32_t last_answers_waiting = 0;  // PUBACK, PUBCOMP, PUBREC >= 0x80: for the store
    std::uint32_t waiting = 0;               // packets of all kinds that wait for the store
    std::uint16_t receive_maximum = 65'535;  // how many deliveries may be open towards the client
    std::uint16_t keep_alive = 0;            // seconds, as it is enforced; 0 is off
    mqtt::Version version = mqtt::Version::v3_1_1;
    LinkState state = LinkState::awaiting_connect;
    bool request_problem_information = true;
    bool paused = false;  // not read, as the broker holds too much unsent: its keep alive rests
    bool awaits_verdict = false;    // not read, until it is known who the client is
    bool awaits_disk = false;       // not read, until its new session is durable and CONNACK left
    bool retain_logged = false;     // that it published with RETAIN to a command topic
    bool denial_logged = false;     // that it published where it may not
    bool may_ask_receipts = false;  // its publishes may ask what becomes of them
    bool names_deliveries = false;  // it is told which delivery a PUBLISH is (kDeliveryProperty)
    bool linger_over = false;       // closing: the peer had its time to read the last packet
    bool touched = false;           // is in the shard's list of links to flush
    /// The user name that the transport has shown (certificate, pre-shared key, PROXY header), set
    /// by the net layer before the first packet; null: none.
    std::unique_ptr<std::string> identity{};
    std::unique_ptr<Authentication> authentication{};
    std::unique_ptr<InboundAliases> aliases_in{};    // made when the first alias comes
    std::unique_ptr<OutboundAliases> aliases_out{};  // only if the client allows aliases
};

}  // namespace spoke::broker
