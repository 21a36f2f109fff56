#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/packet/basics.hpp"

namespace spoke::broker {

class Authenticator;
class Authorizer;

/// What the connections of one listener are held to and offered. It outlives them. Every limit
/// says what happens at it.
struct LinkSettings {
    std::string name{};                                 // of the listener, as configured
    std::chrono::milliseconds connect_timeout{10'000};  // for CONNECT and authentication; closed
    std::uint32_t packet_size_max = 1U
                                    << 20;    // bytes, fixed header included; above: 0x95 and close
    std::uint32_t client_id_size_max = 1024;  // bytes; above: CONNECT refused, 0x85
    std::uint16_t keep_alive_max =
        0;  // seconds; a client that asks for more or none gets this; 0: no limit
    std::uint32_t session_expiry_max = mqtt::kSessionNeverExpires;  // seconds; more is cut to it
    std::uint16_t receive_maximum =
        1024;  // open QoS 1/2 publishes of a client; above: 0x93 and close
    std::uint16_t inflight_max =
        128;  // open QoS 1/2 deliveries to a client; above: they wait queued
    std::uint16_t topic_alias_max = 64;      // aliases a client may set; above: 0x94 and close
    std::uint16_t topic_alias_out_max = 64;  // aliases used towards a client that allows as many
    std::uint64_t out_queue_bytes_max = 4U
                                        << 20;  // not yet taken by the socket; above: QoS 0 dropped

    // What is offered (MQTT 5, 3.2.2.3)
    mqtt::Qos maximum_qos = mqtt::Qos::exactly_once;
    bool mqtt_3_1 = true;  // protocol name MQIsdp, level 3
    bool retain_available = true;
    bool wildcard_subscription_available = true;
    bool subscription_identifiers_available = true;
    bool shared_subscription_available = true;
    std::string response_information = "r/%c/";  // %c is the client id; empty: none is offered

    /// Goes before every topic and filter of these clients, and is taken off again: they live in a
    /// part of the topic tree of their own. Empty: none.
    std::string mount_point{};

    // Null: everyone may connect; everyone may publish and subscribe to everything.
    Authenticator* authenticator = nullptr;
    Authorizer const* authorizer = nullptr;
};

/// What happens to a message for a session whose queue is full.
enum class QueueFull : std::uint8_t {
    reject,       // not queued there, and its publisher is told: 0x97
    drop_oldest,  // the oldest one that waits gives way
    drop_new,     // not queued; acknowledged all the same
};

/// Who may ask for receipts: by client id, or by user name. Sorted.
struct ReceiptSettings {
    std::vector<std::string> clients{};
    std::vector<std::string> users{};
};

/// Topics of messages that are to be carried out now or not at all.
struct CommandTopicSettings {
    std::vector<std::string>
        filters{};  // as the clients of a listener see topics; RETAIN is refused
    /// What was sent and not acknowledged is not sent again once it has expired. Against
    /// [MQTT-4.4.0-1].
    bool drop_expired_in_flight = false;
};

/// What is told of clients that come and go, on `$SYS/brokers/NODE/clients/CLIENT/WHAT`.
struct ClientEventSettings {
    bool enabled = true;
    std::string node = "local";  // one level of a topic
};

/// What the core is told at start beside the settings of each listener.
struct CoreSettings {
    // One session
    std::uint32_t queue_messages_max = 10'000;  // QoS 1/2 that wait for it; then its queue is full
    std::uint64_t queue_bytes_max = 64U << 20;  // the same in bytes; full as soon as it has so many
    QueueFull queue_full = QueueFull::reject;
    bool rejection_closes_v3 =
        true;  // a 3.1.1 publisher, who cannot be told; else it is not answered
    std::uint32_t queue_window = 128;  // messages of its queue in memory, if there is a store
    std::uint32_t subscriptions_per_session_max = 100'000;  // above: SUBACK 0x97

    CommandTopicSettings command_topics{};
    ReceiptSettings receipts{};
    ClientEventSettings client_events{};

    // The process
    std::uint32_t sessions_max = 1'000'000;  // above: CONNECT refused, 0x97
    std::uint64_t memory_watermark_bytes = 1ULL
                                           << 30;  // queued in all; above: publishers are not read
};

}  // namespace spoke::broker
