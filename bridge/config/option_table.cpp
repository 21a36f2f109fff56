#include "bridge/config/option_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "bridge/config/config.hpp"
#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;
using options::OptionTable;

constexpr std::uint32_t kKiB = 1U << 10;
constexpr std::uint32_t kMiB = 1U << 20;
constexpr std::uint32_t kCountMax = 1'000'000'000;

/// An origin as browsers send it: scheme://host, perhaps with a port.
bool is_origin(std::string_view text) {
    auto at = text.find("://");
    if (at == std::string_view::npos || at == 0) return false;
    auto is_scheme = [](char c) { return c >= 'a' && c <= 'z'; };
    auto is_host = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == ':' || c == '[' || c == ']';
    };
    auto host = text.substr(at + 3);
    return std::ranges::all_of(text.substr(0, at), is_scheme) && !host.empty() &&
           std::ranges::all_of(host, is_host);
}

void http_options(OptionTable& table, HttpConfig& c) {
    table.section("http", "The side of the applications.")
        .text("address", c.address,
              "Address to listen on. Without a key in [auth] nothing but loopback will do.")
        .number("port", c.port, {0, 65535}, "TCP port",
                "Port to listen on. 0 takes any free one; the log says which.")
        .text("certificate", c.certificate,
              "PEM file with the certificate and its chain; empty: no TLS. Read again on SIGHUP.")
        .text("private_key", c.private_key, "PEM file with its key.")
        .bytes("header_bytes_max", c.header_bytes_max, {kKiB, kMiB},
               "Longest request line and header together; above it 431.")
        .bytes("body_bytes_max", c.body_bytes_max, {kKiB, 64 * kMiB},
               "Longest body of a request; above it 413, before it is read.")
        .bytes("transfer_bytes_max", c.transfer_bytes_max, {kMiB, std::uint64_t{1} << 40},
               "Bodies on their way, in both directions and of all connections. Beyond it the "
               "slowest are dropped.")
        .number("connections_max", c.connections_max, {1, kCountMax}, "connections",
                "Open connections, those with a request that waits included. Above it the one that "
                "was idle the longest is closed for a new one; if none is idle, new ones wait in "
                "the kernel's backlog.")
        .number("connections_per_address_max", c.connections_per_address_max, {1, kCountMax},
                "connections", "Open connections of one address; above it 503.")
        .duration("header_timeout", c.header_timeout, {100ms, 10min},
                  "A request whose header has not arrived by then is dropped with its connection.")
        .duration("body_timeout", c.body_timeout, {100ms, 10min},
                  "The same for its body, from the end of the header.")
        .duration("idle_timeout", c.idle_timeout, {1s, 1h},
                  "A connection without a request for so long is closed.")
        .duration("write_timeout", c.write_timeout, {100ms, 10min},
                  "A peer that does not take its response by then is dropped.")
        .bytes("gzip_bytes_min", c.gzip_bytes_min, {0, kCountMax},
               "Shortest body that is packed for a peer that takes gzip.")
        .texts("cors_origins", c.cors_origins,
               "Origins whose web pages may use the API, such as \"https://app.example\"; \"*\": "
               "all.")
        .flag("mqtt", c.mqtt,
              "Whether GET /mqtt is there: MQTT over WebSocket, handed on to the broker, which "
              "decides who may connect.")
        .number("mqtt_connections_max", c.mqtt_connections_max, {1, kCountMax}, "connections",
                "MQTT connections over WebSocket; above it 503.")
        .bytes("mqtt_message_bytes_max", c.mqtt_message_bytes_max, {kKiB, 256 * kMiB},
               "Longest WebSocket message of such a client, which as a rule holds one packet; a "
               "longer one closes the connection (1009).")
        .flag("examples", c.examples,
              "Serve the pages of bridge/examples under /examples/, to everybody.");
}

void auth_options(OptionTable& table, AuthConfig& c) {
    table.section("auth", "Who may use the API. Without any file here everybody may do everything.")
        .text("secret_file", c.secret_file,
              "File whose first line, at least 32 bytes, is the secret of HS256 tokens. All files "
              "here are read again on SIGHUP.")
        .text("jwks_file", c.jwks_file,
              "JWK Set (RFC 7517) with the keys of tokens: RSA for RS256, EC P-256 for ES256, oct "
              "for HS256. A key is good for its algorithm alone.")
        .text("keys_file", c.keys_file,
              "API keys, one a line: NAME HASH END SCOPE..., as spoke-bridge key new makes them.")
        .text("audience", c.audience, "What a token's \"aud\" must name; empty: anything.")
        .text("issuer", c.issuer, "What a token's \"iss\" must be; empty: anything.")
        .duration("leeway", c.leeway, {0s, 1h},
                  "How far the clock of whoever makes the tokens may be off.");
}

void tokens_options(OptionTable& table, TokensConfig& c) {
    table
        .section("tokens",
                 "POST /v1/tokens: tokens that a browser puts into a URL, good for one request.")
        .duration("ttl", c.ttl, {1s, 24h}, "How long one is good, if its maker does not say.")
        .duration("ttl_max", c.ttl_max, {1s, 24h}, "And at most; more gets 400.")
        .number("open_max", c.open_max, {1, kCountMax}, "tokens",
                "Tokens that were neither used nor have ended; above it 429.");
}

void inboxes_options(OptionTable& table, InboxesConfig& c) {
    table.section("inboxes", "Unread counts: the state of the topics u/{who}/in.")
        .number("unread_max", c.unread_max, {1, 1'000'000}, "messages",
                "Unread messages of one inbox. One more makes the oldest count as read; so does "
                "one that is ten times as many events old.")
        .bytes("cache_bytes_max", c.cache_bytes_max, {kKiB, std::uint64_t{1} << 40},
               "State that is kept in memory. What does not fit is read from the log when it is "
               "asked for.")
        .number("expiries_max", c.expiries_max, {1, kCountMax}, "inboxes",
                "Inboxes with a message that will expire. Of one more nobody is told at that "
                "moment; its count is right whenever it is asked for.");
}

void rate_options(OptionTable& table, RateConfig& c) {
    table.section("rate", "How often a caller may ask. Nobody is limited while there are no keys.")
        .number("per_second", c.per_second, {0, kCountMax}, "requests a second",
                "Requests of one token subject or API key in the long run; above it 429. 0: no "
                "limit.")
        .number("burst", c.burst, {1, kCountMax}, "requests", "And as many at once.")
        .number("anonymous_per_second", c.anonymous_per_second, {0, kCountMax}, "requests a second",
                "Requests of one address without good credentials; above it 429 in place of 401. "
                "0: no limit.")
        .number("anonymous_burst", c.anonymous_burst, {1, kCountMax}, "requests",
                "And as many at once.")
        .number("buckets_max", c.buckets_max, {1, kCountMax}, "callers",
                "Callers that are counted. One more takes the place of the one that was quiet the "
                "longest.");
}

void broker_options(OptionTable& table, BrokerConfig& c) {
    table.section("broker", "The side of the devices: the bridge's own MQTT 5 connection.")
        .text("address", c.address, "Host name or address of the broker.")
        .number("port", c.port, {1, 65535}, "TCP port", "Its port.")
        .text("client_id", c.client_id,
              "Client identifier of the bridge. Its session is kept in the broker under this "
              "name, so that answers wait there while the bridge is away.")
        .text("user_name", c.user_name, "User name; empty: none.")
        .text("password_file", c.password_file,
              "File whose first line is the password; empty: none.")
        .duration("session_expiry", c.session_expiry, {0s, 0xFFFF'FFFEs, "never", 0xFFFF'FFFFs},
                  "How long the broker keeps the bridge's session without it.")
        .duration("keep_alive", c.keep_alive, {1s, 65535s},
                  "How soon a dead connection to the broker is noticed, at the latest.")
        .duration("connect_timeout", c.connect_timeout, {100ms, 10min},
                  "For one attempt to connect, CONNACK included.")
        .duration("reconnect_delay_min", c.reconnect_delay_min, {10ms, 1h},
                  "Shortest wait before the next attempt.")
        .duration("reconnect_delay_max", c.reconnect_delay_max, {10ms, 1h},
                  "Longest wait; the waits double up to it, with full jitter.");
}

void commands_options(OptionTable& table, CommandsConfig& c) {
    table.section("commands", "The records of orders.")
        .duration("grace", c.grace, {0ms, 10min},
                  "How long after its deadline an order may still be answered before it is "
                  "unknown.")
        .duration("abandon_after", c.abandon_after, {1s, 30 * 24h},
                  "An unknown order without any sign for so long is abandoned.")
        .duration("ack_patience", c.ack_patience, {100ms, 10min},
                  "A device is shown as quiet when the broker wrote an order to it and its PUBACK "
                  "has not come by then. Needs a broker that gives delivery receipts.")
        .number("open_max", c.open_max, {1, kCountMax}, "commands",
                "Commands that are not settled, those of unknown end included; each takes up to "
                "2 KiB. Above it new orders get 503.")
        .number("lane_queue_max", c.lane_queue_max, {1, 10'000}, "orders",
                "Orders in one lane of a device, the one under way included; above it 429.")
        .number("keys_per_command_max", c.keys_per_command_max, {1, 1'000}, "keys",
                "Different Idempotency-Keys that may join one order by its ref; above it 429.");
}

void store_options(OptionTable& table, StoreConfig& c) {
    constexpr std::uint64_t kPiB = std::uint64_t{1} << 50;
    table.section("store", "Where commands, devices and the audit trail are kept.")
        .text("path", c.path,
              "SQLite file; made if it is not there, locked against a second bridge. A relative "
              "path begins in the working directory. Empty: everything is in memory and ends with "
              "the process.")
        .duration("keep", c.keep, {1s, 30 * 24h},
                  "How long a settled record is kept, and its Idempotency-Key with it. A store in "
                  "memory keeps the last 100 000 instead.")
        .duration("audit_keep", c.audit_keep, {1h, 100 * 365 * 24h, "never", 0s},
                  "How long a line of the audit trail is kept, at least; never: none is removed.")
        .bytes("bytes_max", c.bytes_max, {kMiB, kPiB},
               "Size of what is in the file. Above it new orders get 503, until old records have "
               "made room; the ends of open orders are still written.")
        .number("writes_max", c.writes_max, {1, kCountMax}, "writes",
                "Writes that wait for the disk. Above it new orders get 503; those of orders that "
                "are there already are still taken.");
}

void record_options(OptionTable& table, RecordConfig& c) {
    constexpr std::uint64_t kPiB = std::uint64_t{1} << 50;
    table
        .text("filter", c.filter,
              "Topic filter, such as \"t/#\". Of several that match a topic the first counts.")
        .duration("keep", c.keep, {1s, 10 * 365 * 24h}, "How long an event is kept, at most.")
        .number("events_max", c.events_max, {1, std::uint64_t{1} << 40}, "events",
                "Events that are kept; the oldest make room for new ones.")
        .bytes("bytes_max", c.bytes_max, {kKiB, kPiB},
               "Bytes of their topics and data; the oldest make room for new ones.");
}

void check_records(EventsConfig const& config) {
    std::set<std::string_view> seen;
    for (auto const& c : config.records) {
        auto refuse = [&](std::string_view why) {
            throw options::OptionError{
                fmt::format("[[record]] with filter = \"{}\": {}", c.filter, why)};
        };
        if (!mqtt::is_valid_utf8(c.filter) || !mqtt::is_valid_topic_filter(c.filter)) {
            refuse("that is no topic filter");
        }
        if (mqtt::is_shared(c.filter)) refuse("a shared subscription would lose events");
        if (c.filter.starts_with('$')) refuse("topics of the broker are not recorded");
        if (!seen.insert(c.filter).second) refuse("there are two of them");
    }
}

void check_feed(EventsConfig const& config) {
    if (config.feed.empty()) return;
    auto is_fine = mqtt::is_valid_utf8(config.feed) && mqtt::is_valid_topic_name(config.feed) &&
                   !config.feed.starts_with('$') && !config.feed.ends_with('/');
    if (!is_fine) {
        throw options::OptionError{
            fmt::format("events.feed = \"{}\": not what a topic can begin with", config.feed)};
    }
    for (auto const& c : config.records) {
        if (!mqtt::covers(config.feed + "/#", c.filter)) continue;
        throw options::OptionError{fmt::format(
            "[[record]] with filter = \"{}\": topics below events.feed are not recorded",
            c.filter)};
    }
}

void requests_options(OptionTable& table, RequestsConfig& c) {
    table.section("requests", "POST /v1/request: messages that ask for an answer.")
        .number("open_max", c.open_max, {1, 1'000'000}, "requests",
                "Requests that wait for their answer; above it 429.")
        .number("waiting_max", c.waiting_max, {1, 10'000}, "requests",
                "Requests in one reply topic that take turns, as they have no match; above it "
                "429.");
}

void hooks_options(OptionTable& table, HooksConfig& c) {
    table.section("hooks", "Webhooks: /v1/hooks.")
        .flag("allow_private", c.allow_private,
              "Sends to any address. Off: to public ones alone, neither loopback nor private, "
              "link-local or multicast ones, whatever the name in the URL resolves to.")
        .flag("allow_http", c.allow_http, "Sends to http:// as well, in the clear.")
        .text("ca_file", c.ca_file,
              "PEM file with the authorities that certificates of receivers are checked against; "
              "empty: those of the system.")
        .duration("timeout", c.timeout, {100ms, 1min},
                  "A receiver that has not answered with 2xx by then has failed.")
        .duration("secret_overlap", c.secret_overlap, {0s, 30 * 24h},
                  "How long the older secret of a hook signs as well after it was changed.")
        .number("hooks_max", c.hooks_max, {1, 10'000}, "hooks", "Hooks; above it 429.")
        .number("queue_max", c.queue_max, {1, 10'000'000}, "deliveries",
                "Deliveries of one hook that are under way or wait for another attempt. At it the "
                "hook reads no more of the log until there is room.")
        .number("dead_max", c.dead_max, {0, 1'000'000}, "deliveries",
                "Deliveries of one hook that were given up and are listed; the oldest go.")
        .number("requests_per_hook_max", c.requests_per_hook_max, {1, 1'000}, "requests",
                "Requests of one hook at a time.")
        .number("requests_max", c.requests_max, {1, 10'000}, "requests", "And of all hooks.");
}

void events_options(OptionTable& table, EventsConfig& c) {
    table.section("events", "The log of events, and who reads it.")
        .number("streams_max", c.streams_max, {1, kCountMax}, "streams",
                "Server-sent event streams and WebSockets that are open; above it 503. Each takes "
                "about 2 KiB, a WebSocket about 8 KiB, and one over TLS about 65 KiB.")
        .number("polls_max", c.polls_max, {1, kCountMax}, "requests",
                "Long polls that wait; above it 503.")
        .number("filters_max", c.filters_max, {1, 10'000}, "filters",
                "Topic filters of one reader; above it 400.")
        .bytes("stream_bytes_max", c.stream_bytes_max, {4 * kKiB, 64 * kMiB},
               "What waits for one reader that is slow, in the bridge and once more in the kernel. "
               "The rest stays in the log until he has taken it.")
        .bytes("message_bytes_max", c.message_bytes_max, {kKiB, 16 * kMiB},
               "Longest message of a reader over WebSocket; a longer one closes it with 1009.")
        .duration("slow_timeout", c.slow_timeout, {100ms, 10min},
                  "A reader that does not take what waits for him by then is given up: his stream "
                  "is closed, his WebSocket with 1013 and the cursor to go on from.")
        .text("feed", c.feed,
              "Every event is published over MQTT under its topic behind this prefix and a slash; "
              "empty: none is.")
        .number("feed_window", c.feed_window, {1, 8'192}, "events",
                "Events of the feed that the broker has not acknowledged.")
        .number("replays_max", c.replays_max, {1, 10'000}, "requests",
                "Requests over MQTT for a replay that are answered at the same time; above it "
                "they are told to try again.")
        .number("tail_events_max", c.tail_events_max, {1, 10'000'000}, "events",
                "The newest events, which are kept in memory; older ones are read from the store.")
        .bytes("tail_bytes_max", c.tail_bytes_max, {kMiB, std::uint64_t{1} << 40},
               "Memory of them, about.");
}

void devices_options(OptionTable& table, DevicesConfig& c) {
    table.section("devices", "What is known of devices.")
        .number("devices_max", c.devices_max, {1, kCountMax}, "devices",
                "Devices in all. One more is not taken note of.")
        .duration("quiet_after", c.quiet_after, {1s, 7 * 24h},
                  "A connected device that has said nothing for so long is shown as quiet.")
        .duration("offline_after", c.offline_after, {1s, 30 * 24h, "never", 0s},
                  "And for so long as offline, although its will has not come.")
        .bytes("message_bytes_max", c.message_bytes_max, {kKiB, 16 * kMiB},
               "Longest birth, state, answer or event of a device; a longer one is dropped and "
               "counted.");
}

}  // namespace

OptionTable option_table(Config& config) {
    OptionTable table;
    table.tables("record", config.events.records, record_options,
                 "Messages that are recorded as events, and how many of them are kept. Without any "
                 "in the file: those of the device contract, inboxes (u/+/in) and t/#.");
    http_options(table, config.http);
    auth_options(table, config.auth);
    tokens_options(table, config.tokens);
    rate_options(table, config.rate);
    broker_options(table, config.broker);
    commands_options(table, config.commands);
    store_options(table, config.store);
    requests_options(table, config.requests);
    events_options(table, config.events);
    inboxes_options(table, config.inboxes);
    hooks_options(table, config.hooks);
    devices_options(table, config.devices);
    table.section("log", "What is told.")
        .choice("level", config.log.level,
                {{"trace", LogLevel::trace},
                 {"debug", LogLevel::debug},
                 {"info", LogLevel::info},
                 {"warning", LogLevel::warning},
                 {"error", LogLevel::error}},
                "The least important lines that are written. debug tells each change of a "
                "command, trace each request.")
        .text("file", config.log.file, "File to append to. Empty: standard error.");
    return table;
}

void check(Config const& config) {
    check_records(config.events);
    check_feed(config.events);
    auto const& broker = config.broker;
    if (broker.reconnect_delay_min > broker.reconnect_delay_max) {
        throw options::OptionError{
            "broker.reconnect_delay_min is above broker.reconnect_delay_max"};
    }
    if (config.tokens.ttl > config.tokens.ttl_max) {
        throw options::OptionError{"tokens.ttl is above tokens.ttl_max"};
    }
    auto const& http = config.http;
    if (http.certificate.empty() != http.private_key.empty()) {
        throw options::OptionError{"http.certificate and http.private_key go together"};
    }
    for (auto const& origin : http.cors_origins) {
        if (origin == "*" || is_origin(origin)) continue;
        throw options::OptionError{fmt::format(
            "http.cors_origins: {:?} is no origin such as https://app.example", origin)};
    }
    if (broker.client_id.empty()) {
        throw options::OptionError{"broker.client_id is empty: the session needs a name"};
    }
    if (config.store.path == ":memory:") {
        throw options::OptionError{"store.path is :memory:; leave it empty for a store in memory"};
    }
    if (!broker.password_file.empty() && broker.user_name.empty()) {
        throw options::OptionError{"broker.password_file is set without broker.user_name"};
    }
}

}  // namespace spoke::bridge
