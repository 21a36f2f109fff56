#pragma once

#include <cstdint>
#include <string>

#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// What the core is told at start. Every limit says what happens at it.
struct CoreSettings {
    // One packet, connection or session
    std::uint32_t packet_size_max = 1U
                                    << 20;    // bytes, fixed header included; above: 0x95 and close
    std::uint32_t client_id_size_max = 1024;  // bytes; above: CONNECT refused, 0x85
    std::uint16_t keep_alive_max =
        0;  // seconds; a client that asks for more or none gets this; 0: no limit
    std::uint32_t session_expiry_max = mqtt::kSessionNeverExpires;  // seconds; more is cut to it
    std::uint16_t receive_maximum =
        1024;  // open QoS 2 publishes of a client; above: 0x93 and close
    std::uint16_t inflight_max =
        128;  // open QoS 1/2 deliveries to a client; above: they wait queued
    std::uint16_t topic_alias_max = 64;      // aliases a client may set; above: 0x94 and close
    std::uint16_t topic_alias_out_max = 64;  // aliases used towards a client that allows as many
    std::uint32_t queue_messages_max =
        10'000;  // waiting QoS 1/2 of a session; above: new ones dropped
    std::uint64_t queue_bytes_max = 64U << 20;  // the same in bytes
    std::uint64_t out_queue_bytes_max = 4U
                                        << 20;  // not yet taken by the socket; above: QoS 0 dropped
    std::uint32_t subscriptions_per_session_max = 100'000;  // above: SUBACK 0x97

    // The process
    std::uint32_t sessions_max = 1'000'000;  // above: CONNECT refused, 0x97
    std::uint64_t memory_watermark_bytes = 1ULL
                                           << 30;  // queued in all; above: publishers are not read

    // What is offered (MQTT 5, 3.2.2.3)
    mqtt::Qos maximum_qos = mqtt::Qos::exactly_once;
    bool retain_available = true;
    bool wildcard_subscription_available = true;
    bool subscription_identifiers_available = true;
    bool shared_subscription_available = true;
    std::string response_information = "r/%c/";  // %c is the client id; empty: none is offered
};

}  // namespace spoke::broker
