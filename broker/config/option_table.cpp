#include "broker/config/option_table.hpp"

#include <algorithm>
#include <iterator>

#include "broker/config/config.hpp"
#include "broker/config/listener_options.hpp"
#include "broker/config/tls_options.hpp"
#include "protocol/topic/topic.hpp"

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

// --- What [limits] and [mqtt] set for all, and a listener for itself ---

template <class T>
T& value_of(T& option) {
    return option;
}
template <class T>
T& value_of(Inheritable<T>& option) {
    return option.value;
}
template <class T>
void end_row(OptionTable&, T&) {}
template <class T>
void end_row(OptionTable& table, Inheritable<T>& option) {
    table.may_inherit(option.own);
}

template <class Limits>
void packet_limits(OptionTable& table, Limits& c) {
    table.bytes("packet_size_max", value_of(c.packet_size_max), {64, kPacketSizeMax},
                "Largest packet a client may send, fixed header included. A larger one is refused "
                "with reason code 0x95 before it is read, and the connection closed.");
    end_row(table, c.packet_size_max);
    table.bytes("client_id_size_max", value_of(c.client_id_size_max), {23, 65535},
                "Longest client identifier. A CONNECT with a longer one is refused, 0x85.");
    end_row(table, c.client_id_size_max);
    table.duration("keep_alive_max", value_of(c.keep_alive_max), {1s, 65535s, "unlimited", 0s},
                   "Longest keep alive. A client that asks for more, or for none, is held to this "
                   "one; an MQTT 5 client is told so in CONNACK.");
    end_row(table, c.keep_alive_max);
    table.duration("session_expiry_max", value_of(c.session_expiry_max),
                   {0s, 0xFFFF'FFFEs, "never", 0xFFFF'FFFFs},
                   "How long a session may outlive its connection. A client that asks for more "
                   "gets this; an MQTT 5 client is told so in CONNACK.");
    end_row(table, c.session_expiry_max);
}

template <class Limits>
void connection_limits(OptionTable& table, Limits& c) {
    table.number("receive_maximum", value_of(c.receive_maximum), {1, 65535}, "messages",
                 "QoS 1 and 2 messages a client may send before the first is answered in full. A "
                 "client that sends more is disconnected, 0x93.");
    end_row(table, c.receive_maximum);
    table.number("inflight_max", value_of(c.inflight_max), {1, 65535}, "messages",
                 "QoS 1 and 2 messages sent to a client and not yet answered in full; an MQTT 5 "
                 "client may ask for fewer. Further ones wait in the session's queue.");
    end_row(table, c.inflight_max);
    table.number("topic_alias_max", value_of(c.topic_alias_max), {0, 65535}, "aliases",
                 "Topic aliases an MQTT 5 client may set. A higher one is refused, 0x94.");
    end_row(table, c.topic_alias_max);
    table.number("topic_alias_out_max", value_of(c.topic_alias_out_max), {0, 65535}, "aliases",
                 "Topic aliases used towards an MQTT 5 client that allows as many.");
    end_row(table, c.topic_alias_out_max);
    table.bytes("out_queue_bytes_max", value_of(c.out_queue_bytes_max), {16 * kKiB, kBytesMax},
                "What waits for a slow connection to take it. Above it QoS 0 messages to that "
                "connection are dropped; QoS 1 and 2 wait in the session's queue.");
    end_row(table, c.out_queue_bytes_max);
}

template <class Offer>
void offer_options(OptionTable& table, Offer& c) {
    table.number("maximum_qos", value_of(c.maximum_qos), {0, 2}, "QoS",
                 "Highest QoS of publishes and subscriptions.");
    end_row(table, c.maximum_qos);
    table.flag("mqtt_3_1", value_of(c.mqtt_3_1),
               "Are clients of MQTT 3.1 (MQIsdp, level 3) served. If not, they are refused with "
               "return code 1 as any unknown version is.");
    end_row(table, c.mqtt_3_1);
    table.flag("retain_available", value_of(c.retain_available), "Are retained messages kept.");
    end_row(table, c.retain_available);
    table.flag("wildcard_subscription_available", value_of(c.wildcard_subscription_available),
               "May filters hold + and #.");
    end_row(table, c.wildcard_subscription_available);
    table.flag("subscription_identifiers_available", value_of(c.subscription_identifiers_available),
               "May subscriptions carry an identifier.");
    end_row(table, c.subscription_identifiers_available);
    table.flag("shared_subscription_available", value_of(c.shared_subscription_available),
               "Are $share/NAME/FILTER subscriptions shared.");
    end_row(table, c.shared_subscription_available);
    table.text("response_information", value_of(c.response_information),
               "What an MQTT 5 client that asks for response information gets as the start of its "
               "response topics; %c stands for its client identifier. Empty: none.");
    end_row(table, c.response_information);
}

template <class Auth>
void who_may_connect(OptionTable& table, Auth& c) {
    table.choice("anonymous", value_of(c.anonymous),
                 {{"no", Anonymous::no}, {"local", Anonymous::local}, {"yes", Anonymous::yes}},
                 "May clients connect without a user name. local: only where none but this machine "
                 "can reach the listener, a loopback address or a Unix socket.");
    end_row(table, c.anonymous);
    table.text("password_file", value_of(c.password_file),
               "Users and their passwords, as mosquitto_passwd or \"spoke-broker passwd\" write "
               "them. Empty: none. Read again on SIGHUP and when it changes; a file with a bad "
               "line is refused whole, and what was there before goes on.");
    end_row(table, c.password_file);
    table.text("scram_file", value_of(c.scram_file),
               "Users of the MQTT 5 authentication method SCRAM-SHA-256, as \"spoke-broker passwd "
               "--scram\" writes them. Empty: the method is not offered. Read again as the "
               "password file is.");
    end_row(table, c.scram_file);
    table.text("acl_file", value_of(c.acl_file),
               "What each client may publish and have, in mosquitto's format: user, topic "
               "[read|write|readwrite|deny], pattern with %c and %u. An empty file denies "
               "everything. Empty: everything is allowed. Read again as the password file is; a "
               "right that is taken away stops what is queued too.");
    end_row(table, c.acl_file);
}

void auth_options(OptionTable& table, AuthConfig& c) {
    table.section("auth", "Who may connect and what clients may do; a listener can have its own.");
    who_may_connect(table, c);
    table
        .number("threads", c.threads, {1, 64}, "threads",
                "Threads that check passwords, apart from those that serve connections.")
        .number("pending_max", c.pending_max, {1, kCountMax}, "clients",
                "Clients whose password waits to be checked. Above it a client is told that the "
                "server is busy, 0x89 (3.1.1: return code 3), and disconnected.");
}

void listener_options(OptionTable& table, ListenerConfig& c) {
    table
        .text(
            "address", c.address,
            "Address to listen on: an IPv4 or IPv6 address of this machine, or a name, which "
            "stands for all the addresses it has here. \"0.0.0.0\" stands for all IPv4 addresses, "
            "\"::\" for those and all of IPv6. \"unix:/run/mqtt.sock\" is a Unix socket: a file "
            "left behind there is replaced.")
        .number("port", c.port, {0, 65535}, "TCP port",
                "Port to listen on. 0 takes any free one; the log says which. Means nothing for a "
                "Unix socket.")
        .duration("connect_timeout", c.connect_timeout, {100ms, 10min},
                  "A connection that has not sent a whole CONNECT by then is closed.")
        .number("connections_max", c.connections_max, {1, kCountMax}, "connections",
                "Open connections of this listener. Above it a new one is closed at once.")
        .number("pending_max", c.pending_max, {1, kCountMax}, "connections",
                "Connections of this listener that have not sent a whole CONNECT, shared out among "
                "the threads. Above it the oldest of them is closed for a new one: who says "
                "nothing gives way to who may.")
        .text("mount_point", c.mount_point,
              "Goes before every topic and filter of this listener's clients and is taken off "
              "again, so that they live in a part of the topic tree of their own: \"site-7/\". A "
              "session that comes back with another mount point begins anew. Empty: none.");
    socket_options(table, c);
    unix_options(table, c);
    proxy_options(table, c);
    websocket_options(table, c);
    who_may_connect(table, c.auth);
    tls_options(table, c);
    packet_limits(table, c.limits);
    connection_limits(table, c.limits);
    offer_options(table, c.limits);
}

void read_limits(OptionTable& table, LimitsConfig& c) {
    table.bytes("read_budget_bytes", c.read_budget_bytes, {4 * kKiB, 64 * kMiB},
                "What is read from one connection before the others have their turn.");
}

void session_limits(OptionTable& table, LimitsConfig& c) {
    table
        .number("queue_messages_max", c.queue_messages_max, {1, kCountMax}, "messages",
                "QoS 1 and 2 messages waiting for one session. With so many its queue is full.")
        .bytes("queue_bytes_max", c.queue_bytes_max, {1, kBytesMax},
               "The same counted in bytes; the message that reaches the limit is still taken.")
        .choice("queue_full", c.queue_full,
                {{"reject", QueueFullPolicy::reject},
                 {"drop_oldest", QueueFullPolicy::drop_oldest},
                 {"drop_new", QueueFullPolicy::drop_new}},
                "What becomes of a message for a session whose queue is full. reject: it does not "
                "get it, and the publisher is told 0x97, though other receivers may have got it. "
                "drop_oldest: what waits longest gives way. drop_new: it does not get it, and "
                "nobody is told. Each is counted, and logged once until the queue is empty. A "
                "session that ends with its connection never has a publisher refused: for it "
                "reject is drop_new.")
        .choice(
            "rejection_v3", c.rejection_v3,
            {{"close", RejectionV3::close}, {"silence", RejectionV3::silence}},
            "What a 3.1.1 publisher gets, whose version has no word for it, when its message is "
            "rejected. close: its connection is closed. silence: no acknowledgement.")
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
    table.section("mqtt", "What clients are offered.");
    offer_options(table, c);
}

void command_topic_options(OptionTable& table, CommandTopicsConfig& c) {
    table
        .section("command_topics",
                 "Topics of commands, which are to be carried out now or not at all.")
        .texts("filters", c.filters,
               "Their filters, as clients see topics. A message with RETAIN is refused there: it "
               "would be carried out anew whenever a device comes back. MQTT 5 publishers are told "
               "0x87, a CONNECT with such a will too; what 3.1.1 publishers send is delivered and "
               "not retained. What is retained there from before goes when the broker starts.")
        .flag("drop_expired_in_flight", c.drop_expired_in_flight,
              "Is a command that was sent, not acknowledged, and has expired since, dropped when "
              "the session is resumed. MQTT says that it must be sent again [MQTT-4.4.0-1].");
}

void receipt_options(OptionTable& table, ReceiptsConfig& c) {
    table
        .section("receipts",
                 "Delivery receipts: what became of a message, told to its publisher receiver by "
                 "receiver. An MQTT 5 publisher that may ask does so with the user property "
                 "spoke-receipt of a PUBLISH, whose value is the topic they go to.")
        .texts("publishers", c.publishers,
               "Who may ask: \"client:ID\", a client identifier, or \"user:NAME\". A name is worth "
               "as much as the listener's authentication makes it. CONNACK tells them so with the "
               "user property spoke-receipts. They may also have the deliveries to them named: "
               "user property spoke-deliveries of CONNECT.");
}

void event_options(OptionTable& table, EventsConfig& c) {
    table
        .section("events",
                 "What the broker tells of itself below $SYS/brokers/NODE, as JSON, QoS 0, not "
                 "retained.")
        .flag("clients", c.clients,
              "Are connections told: when one begins on .../clients/CLIENT/connected, when it ends "
              "on .../disconnected. In CLIENT the characters /+#% and control characters are "
              "written as %2F. Costs nothing while nobody is subscribed to them.")
        .text("node", c.node, "The broker's name in these topics. Empty: that of the host.");
}

void performance_options(OptionTable& table, PerformanceConfig& c) {
    table.section("performance", "How the machine is used.")
        .number("shards", c.shards, {0, 254}, "threads",
                "Threads that serve connections, each with its own. 0: one per core.")
        .duration("busy_poll", c.busy_poll, {0us, 10ms},
                  "How long a thread looks for new work before it sleeps while there was traffic "
                  "a moment ago: shorter round trips for more CPU time. 0 s: it sleeps at once.");
}

void persistence_options(OptionTable& table, PersistenceConfig& c) {
    using Sync = PersistenceConfig::Sync;
    table
        .section("persistence",
                 "What is kept over a restart: sessions that outlive their connection, what waits "
                 "for them, and retained messages. What was acknowledged is kept.")
        .text("directory", c.directory,
              "Where it is kept; made if it is not there. Empty: nothing is kept. One broker at a "
              "time may use it.")
        .choice("sync", c.sync,
                {{"always", Sync::always}, {"interval", Sync::interval}, {"never", Sync::never}},
                "When it is on the disk. always: before it is acknowledged, so that it survives a "
                "power failure. interval: now and then; a power failure takes what was "
                "acknowledged since. never: when the operating system writes it; a power failure "
                "may take anything. All of them survive the end of the broker alone.")
        .duration("sync_interval", c.sync_interval, {1ms, 1min}, "How often, for sync = interval.")
        .bytes("bytes_max", c.bytes_max, {kMiB, kBytesMax},
               "Messages that wait for sessions, in all. Above it, and when the disk is full, what "
               "must be stored is refused with 0x97, until there is room again.")
        .number("queue_window", c.queue_window, {2, 1'000'000}, "messages",
                "How many messages of a session's queue are in memory; the others are read from "
                "the disk when it is their turn.");
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

void check(ListenerConfig const& listener, LimitsConfig const& limits) {
    auto const& own = listener.limits;
    if (own.out_queue_bytes_max.value_or(limits.out_queue_bytes_max) <
        own.packet_size_max.value_or(limits.packet_size_max))
        throw options::OptionError{
            "out_queue_bytes_max is below packet_size_max: a packet may be accepted that never "
            "fits"};
    if (listener.mount_point.find_first_of("+#") != std::string::npos ||
        listener.mount_point.find('\0') != std::string::npos || listener.mount_point.size() > 1024)
        throw options::OptionError{
            "mount_point must be at most 1024 bytes of a topic name, without + and #"};
}

void check(CommandTopicsConfig const& topics) {
    for (auto const& filter : topics.filters) {
        if (!mqtt::is_valid_topic_filter(filter) || mqtt::is_shared(filter))
            throw options::OptionError{"command_topics.filters: \"" + filter +
                                       "\" is no topic filter"};
    }
}

void check(ReceiptsConfig const& receipts) {
    for (auto const& publisher : receipts.publishers) {
        auto colon = publisher.find(':');
        auto kind = publisher.substr(0, colon);
        bool is_named = colon != std::string::npos && colon + 1 < publisher.size();
        if (!is_named || (kind != "client" && kind != "user"))
            throw options::OptionError{"receipts.publishers: \"" + publisher +
                                       "\" is neither \"client:ID\" nor \"user:NAME\""};
    }
}

/// With reuse_port the kernel would let two listeners have the same address, and give each of them
/// half of the connections.
void check_addresses(std::vector<ListenerConfig> const& listeners) {
    for (auto one = listeners.begin(); one != listeners.end(); ++one) {
        auto is_same = [&](ListenerConfig const& other) {
            return other.port != 0 && other.port == one->port && other.address == one->address;
        };
        if (std::any_of(std::next(one), listeners.end(), is_same))
            throw options::OptionError{"two [[listener]] with address = \"" + one->address +
                                       "\" and the same port"};
    }
}

}  // namespace

OptionTable option_table(Config& config) {
    OptionTable table;
    table.tables("listener", config.listeners, listener_options,
                 "One address and port where clients connect. Without any in the file the broker "
                 "listens on 127.0.0.1:1883 alone.");
    auth_options(table, config.auth);
    table.section("limits", "What is held at most, and what happens above it.");
    packet_limits(table, config.limits);
    read_limits(table, config.limits);
    connection_limits(table, config.limits);
    session_limits(table, config.limits);
    process_limits(table, config.limits);
    mqtt_options(table, config.mqtt);
    command_topic_options(table, config.command_topics);
    receipt_options(table, config.receipts);
    event_options(table, config.events);
    persistence_options(table, config.persistence);
    performance_options(table, config.performance);
    log_options(table, config.log);
    return table;
}

void check(Config const& config) {
    if (config.listeners.empty())
        throw options::OptionError{"no [[listener]]: there would be nowhere to connect"};
    for (auto const& listener : config.listeners) {
        check(listener, config.limits);
        check_transport(listener);
        check_tls(listener);
    }
    check_addresses(config.listeners);
    check(config.command_topics);
    check(config.receipts);
}

}  // namespace spoke::broker
