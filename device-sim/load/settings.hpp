#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/packet/basics.hpp"

namespace spoke::sim::load {

enum class Mode : std::uint8_t {
    p2p,
    fanout,
    fanin,
    rtt,
    conn,
    subs,
    retain,
    store,
    push,
    devices
};

/// What outlives the broker can be made by one run and read by another, with a restart in between.
enum class Part : std::uint8_t { whole, fill, read };

/// What one run does. The same values stand in the report.
struct Settings {
    Mode mode = Mode::p2p;
    std::string host = "127.0.0.1";
    std::uint16_t port = 1883;
    mqtt::Version version = mqtt::Version::v3_1_1;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    std::uint32_t payload_size = 64;
    std::uint32_t peers = 1;     // pairs, publishers, ... : ModeRow::peers_word
    std::uint32_t window = 50;   // messages a flow has on the way at most
    double rate = 0;             // per second, all flows together; 0: as fast as the window allows
    std::uint64_t messages = 0;  // 0: by time
    std::uint32_t subscriptions = 0;
    std::uint32_t filters_per_packet = 100;
    std::uint32_t handshakes_max = 64;
    double warmup_seconds = 1;
    double seconds = 5;
    double settle_seconds = 1;
    std::uint16_t keep_alive = 0;  // seconds
    std::uint64_t seed = 1;
    bool keep = false;
    std::uint32_t known = 0;  // devices that are born and not connected
    bool durable = false;     // receivers have sessions that outlive their connections
    Part part = Part::whole;
    std::string run_id;     // in all client ids; empty: a new one for each run
    double probe_rate = 0;  // per second: a bystander's messages while everything is read
    std::string topic_prefix = "bench";
    std::string user_name;
    std::string password;
    bool tls = false;
    bool tls_resume = false;
    int broker_pid = 0;  // 0: not sampled
    int cpu = -1;        // -1: not pinned
};

/// What a mode is called, how it is described and what it does unless told otherwise.
struct ModeRow {
    Mode mode;
    std::string_view name;
    std::string_view summary;
    std::string_view peers_word;
    std::uint32_t peers;
    mqtt::Qos qos;
    std::uint32_t window;
    double rate;
    std::uint64_t messages;
};

inline constexpr std::array kModes{
    ModeRow{Mode::p2p, "p2p", "Pairs of one publisher and one subscriber, each on its own topic",
            "pairs", 50, mqtt::Qos::at_most_once, 50, 0, 0},
    ModeRow{Mode::fanout, "fanout", "One publisher, every subscriber gets every message",
            "subscribers", 1000, mqtt::Qos::at_most_once, 50, 0, 0},
    ModeRow{Mode::fanin, "fanin", "Many publishers on topics of their own, one subscriber gets all",
            "publishers", 50, mqtt::Qos::at_most_once, 50, 0, 0},
    ModeRow{Mode::rtt, "rtt", "Request and response, one at a time in each pair", "pairs", 1,
            mqtt::Qos::at_most_once, 1, 0, 0},
    ModeRow{Mode::conn, "conn", "Idle connections: memory for each", "connections", 10'000,
            mqtt::Qos::at_most_once, 1, 0, 0},
    ModeRow{Mode::subs, "subs", "Distinct subscriptions: memory for each", "connections", 100,
            mqtt::Qos::at_most_once, 1, 0, 0},
    ModeRow{Mode::retain, "retain", "Retained messages: store them, then read all by one wildcard",
            "readers", 1, mqtt::Qos::at_least_once, 50, 0, 10'000},
    ModeRow{Mode::store, "store", "Offline queues of durable sessions: fill them, then drain them",
            "sessions", 10, mqtt::Qos::at_least_once, 50, 0, 10'000},
    ModeRow{Mode::push, "push", "Many subscribed devices, single commands to random ones",
            "devices", 1000, mqtt::Qos::at_least_once, 1000, 1000, 0},
    ModeRow{Mode::devices, "devices", "Devices that answer every order of a bridge at once",
            "devices", 1000, mqtt::Qos::at_least_once, 1, 0, 0},
};

[[nodiscard]] ModeRow const& row_of(Mode mode) noexcept;

/// The settings `row` begins with.
[[nodiscard]] Settings defaults_of(ModeRow const& row);

}  // namespace spoke::sim::load
