#include "broker/config/option_table.hpp"

#include "broker/config/config.hpp"

namespace spoke::broker {
namespace {

using namespace std::chrono_literals;
using options::OptionTable;

constexpr std::uint32_t kKiB = 1U << 10;
constexpr std::uint32_t kMiB = 1U << 20;
constexpr std::uint64_t kGiB = 1U << 30;
constexpr std::uint64_t kBytesMax = 1024 * kGiB;
constexpr std::uint32_t kCountMax = 1'000'000'000;
// The largest packet MQTT can frame: five bytes of fixed header and a remaining length of 4 * 7
// bits.
constexpr std::uint32_t kPacketSizeMax = 268'435'460;

void listener_options(OptionTable& table, ListenerConfig& c) {
    table
        .text("address", c.address,
              "Address to listen on: an IPv4 or IPv6 address of this machine. \"0.0.0.0\" and "
              "\"::\" stand for all of them.")
        .number("port", c.port, {0, 65535}, "TCP port",
                "Port to listen on. 0 takes any free one; the log says which.")
        .duration("connect_timeout", c.connect_timeout, {100ms, 10min},
                  "A connection that has not sent a whole CONNECT by then is closed.")
        .number("backlog", c.backlog, {1, 65535}, "connections",
                "Connections the kernel keeps waiting until the broker accepts them; more are "
                "refused or delayed by the kernel.")
        .flag("tcp_nodelay", c.tcp_nodelay,
              "Send small packets at once instead of waiting to fill a segment.")
        .number("connections_max", c.connections_max, {1, kCountMax}, "connections",
                "Open connections of this listener. Above it a new one is closed at once.");
}

void packet_limits(OptionTable& table, LimitsConfig& c) {
    table
        .bytes("packet_size_max", c.packet_size_max, {64, kPacketSizeMax},
               "Largest packet a client may send, fixed header included. A larger one is refused "
               "with reason code 0x95 before it is read, and the connection closed.")
        .bytes("client_id_size_max", c.client_id_size_max, {23, 65535},
               "Longest client identifier. A CONNECT with a longer one is refused, 0x85.")
        .bytes("read_budget_bytes", c.read_budget_bytes, {4 * kKiB, 64 * kMiB},
               "What is read from one connection before the others have their turn.")
        .duration("keep_alive_max", c.keep_alive_max, {1s, 65535s, "unlimited", 0s},
                  "Longest keep alive. A client that asks for more, or for none, is held to this "
                  "one; an MQTT 5 client is told so in CONNACK.");
}

void connection_limits(OptionTable& table, LimitsConfig& c) {
    table
        .number("receive_maximum", c.receive_maximum, {1, 65535}, "messages",
                "QoS 1 and 2 messages a client may send before the first is answered in full. A "
                "client that sends more is disconnected, 0x93.")
        .number("inflight_max", c.inflight_max, {1, 65535}, "messages",
                "QoS 1 and 2 messages sent to a client and not yet answered in full; an MQTT 5 "
                "client may ask for fewer. Further ones wait in the session's queue.")
        .number("topic_alias_max", c.topic_alias_max, {0, 65535}, "aliases",
                "Topic aliases an MQTT 5 client may set. A higher one is refused, 0x94.")
        .number("topic_alias_out_max", c.topic_alias_out_max, {0, 65535}, "aliases",
                "Topic aliases used towards an MQTT 5 client that allows as many.")
        .bytes("out_queue_bytes_max", c.out_queue_bytes_max, {16 * kKiB, kBytesMax},
               "What waits for a slow connection to take it. Above it QoS 0 messages to that "
               "connection are dropped; QoS 1 and 2 wait in the session's queue.");
}

void session_limits(OptionTable& table, LimitsConfig& c) {
    table
        .duration("session_expiry_max", c.session_expiry_max,
                  {0s, 0xFFFF'FFFEs, "never", 0xFFFF'FFFFs},
                  "How long a session may outlive its connection. A client that asks for more "
                  "gets this; an MQTT 5 client is told so in CONNACK.")
        .number("queue_messages_max", c.queue_messages_max, {0, kCountMax}, "messages",
                "QoS 1 and 2 messages waiting for one session. Above it new ones are dropped.")
        .bytes("queue_bytes_max", c.queue_bytes_max, {0, kBytesMax}, "The same counted in bytes.")
        .number("subscriptions_per_session_max", c.subscriptions_per_session_max, {1, kCountMax},
                "subscriptions",
                "Subscriptions of one session. Above it SUBACK answers 0x97 (3.1.1: 0x80).");
}

void process_limits(OptionTable& table, LimitsConfig& c) {
    table
        .number("sessions_max", c.sessions_max, {1, kCountMax}, "sessions",
                "Sessions in all, connected or not. Above it a new client is refused, 0x97.")
        .number("retained_messages_max", c.retained_messages_max, {0, kCountMax}, "messages",
                "Retained messages in all. Above it a message on a new topic is delivered and not "
                "retained; MQTT 5 publishers are told 0x97.")
        .bytes("retained_bytes_max", c.retained_bytes_max, {0, kBytesMax},
               "The same counted in bytes of topic, properties and payload.")
        .bytes("memory_watermark_bytes", c.memory_watermark_bytes, {kMiB, kBytesMax},
               "Bytes queued for all sessions and connections together. Above it the broker stops "
               "reading from publishers until the queues are shorter.")
        .duration("linger", c.linger, {0ms, 60s},
                  "How long a connection the broker closes may take to read its last packet.")
        .duration("shutdown_timeout", c.shutdown_timeout, {0ms, 5min},
                  "How long the connections may take, when the broker stops, to read what is on "
                  "its way to them.");
}

void mqtt_options(OptionTable& table, MqttConfig& c) {
    table.section("mqtt", "What clients are offered.")
        .number("maximum_qos", c.maximum_qos, {0, 2}, "QoS",
                "Highest QoS of publishes and subscriptions.")
        .flag("retain_available", c.retain_available, "Are retained messages kept.")
        .flag("wildcard_subscription_available", c.wildcard_subscription_available,
              "May filters hold + and #.")
        .flag("subscription_identifiers_available", c.subscription_identifiers_available,
              "May subscriptions carry an identifier.")
        .flag("shared_subscription_available", c.shared_subscription_available,
              "Are $share/NAME/FILTER subscriptions shared.")
        .text("response_information", c.response_information,
              "What an MQTT 5 client that asks for response information gets as the start of its "
              "response topics; %c stands for its client identifier. Empty: none.");
}

void performance_options(OptionTable& table, PerformanceConfig& c) {
    table.section("performance", "How the machine is used.")
        .number("shards", c.shards, {0, 254}, "threads",
                "Threads that serve connections, each with its own. 0: one per core.")
        .duration("busy_poll", c.busy_poll, {0us, 10ms},
                  "How long a thread looks for new work before it sleeps while there was traffic "
                  "a moment ago: shorter round trips for more CPU time. 0 s: it sleeps at once.");
}

void log_options(OptionTable& table, LogConfig& c) {
    table.section("log", "What is told.")
        .choice("level", c.level,
                {{"trace", LogConfig::Level::trace},
                 {"debug", LogConfig::Level::debug},
                 {"info", LogConfig::Level::info},
                 {"warning", LogConfig::Level::warning},
                 {"error", LogConfig::Level::error}},
                "Least important events that are written. info has no line per message; -v means "
                "debug, -vv trace.")
        .text("file", c.file, "File to append to. Empty: standard error.");
}

}  // namespace

OptionTable option_table(Config& config) {
    OptionTable table;
    table.tables("listener", config.listeners, listener_options,
                 "One address and port where clients connect. Without any in the file the broker "
                 "listens on 127.0.0.1:1883 alone.");
    table.section("limits", "What is held at most, and what happens above it.");
    packet_limits(table, config.limits);
    connection_limits(table, config.limits);
    session_limits(table, config.limits);
    process_limits(table, config.limits);
    mqtt_options(table, config.mqtt);
    performance_options(table, config.performance);
    log_options(table, config.log);
    return table;
}

void check(Config const& config) {
    if (config.listeners.empty())
        throw options::OptionError{"no [[listener]]: there would be nowhere to connect"};
    if (config.limits.out_queue_bytes_max < config.limits.packet_size_max)
        throw options::OptionError{
            "limits.out_queue_bytes_max is below limits.packet_size_max: a packet may be accepted "
            "that never fits"};
}

}  // namespace spoke::broker
