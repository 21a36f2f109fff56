#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace spoke::bridge {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };

struct HttpConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::uint32_t header_bytes_max = 8 * 1024;
    std::uint32_t body_bytes_max = 256 * 1024;
    std::uint64_t transfer_bytes_max = std::uint64_t{256} << 20;
    std::uint32_t connections_max = 10'000;
    std::uint32_t connections_per_address_max = 5'000;
    std::chrono::milliseconds header_timeout{10'000};
    std::chrono::milliseconds body_timeout{20'000};
    std::chrono::milliseconds idle_timeout{60'000};
    std::chrono::milliseconds write_timeout{10'000};
    std::uint32_t gzip_bytes_min = 1024;
    std::vector<std::string> cors_origins{};
    bool examples = false;
    bool mqtt = true;  // MQTT over WebSocket
    std::uint32_t mqtt_connections_max = 1'000;
    std::uint32_t mqtt_message_bytes_max = 1024 * 1024;
    std::string certificate{};  // empty: no TLS
    std::string private_key{};
};

struct AuthConfig {
    std::string secret_file{};
    std::string jwks_file{};
    std::string keys_file{};
    std::string audience{};
    std::string issuer{};
    std::chrono::seconds leeway{30};
};

/// Short-lived tokens for browsers.
struct TokensConfig {
    std::chrono::seconds ttl{60};
    std::chrono::seconds ttl_max{300};
    std::uint32_t open_max = 10'000;
};

struct InboxesConfig {
    std::uint32_t unread_max = 10'000;
    std::uint64_t cache_bytes_max = std::uint64_t{64} << 20;
    std::uint32_t expiries_max = 1'000'000;
};

struct RateConfig {
    std::uint32_t per_second = 1'000;  // 0: no limit
    std::uint32_t burst = 2'000;
    std::uint32_t anonymous_per_second = 10;
    std::uint32_t anonymous_burst = 50;
    std::uint32_t buckets_max = 100'000;
};

struct BrokerConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 1883;
    std::string client_id = "spoke-bridge";
    std::string user_name{};
    std::string password_file{};
    std::chrono::seconds session_expiry{86'400};
    std::chrono::seconds keep_alive{15};
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds reconnect_delay_min{200};
    std::chrono::milliseconds reconnect_delay_max{5'000};
};

struct CommandsConfig {
    std::chrono::milliseconds grace{2'000};
    std::chrono::seconds abandon_after{86'400};
    std::chrono::milliseconds ack_patience{2'000};
    std::uint32_t open_max = 100'000;
    std::uint32_t lane_queue_max = 64;
    std::uint32_t keys_per_command_max = 16;
};

struct StoreConfig {
    std::string path = "spoke-bridge.db";  // empty: in memory
    std::chrono::seconds keep{86'400};
    std::chrono::seconds audit_keep{90 * 86'400};  // 0: for ever
    std::uint64_t bytes_max = std::uint64_t{16} << 30;
    std::uint32_t writes_max = 20'000;
};

/// Messages that are recorded, and for how long.
struct RecordConfig {
    std::string filter{};
    std::chrono::milliseconds keep{std::chrono::hours{1}};
    std::uint64_t events_max = 10'000;
    std::uint64_t bytes_max = std::uint64_t{64} << 20;
};

struct EventsConfig {
    std::vector<RecordConfig> records{
        {"d/+/evt"},
        {"d/+/ans"},
        {"d/+/up"},
        {"d/+/state"},
        {"u/+/in", std::chrono::hours{30 * 24}, 10'000'000, std::uint64_t{4} << 30},
        {"t/#"}};
    std::uint32_t streams_max = 10'000;
    std::uint32_t polls_max = 10'000;
    std::uint32_t filters_max = 64;
    std::uint32_t stream_bytes_max = 64 * 1024;
    std::uint32_t message_bytes_max = 64 * 1024;
    std::chrono::milliseconds slow_timeout{10'000};
    std::string feed = "e";  // empty: no feed
    std::uint32_t feed_window = 256;
    std::uint32_t replays_max = 16;
    std::uint32_t tail_events_max = 16'384;
    std::uint64_t tail_bytes_max = std::uint64_t{16} << 20;
};

struct HooksConfig {
    bool allow_private = false;
    bool allow_http = false;
    std::string ca_file{};  // empty: the system's
    std::chrono::milliseconds timeout{10'000};
    std::chrono::milliseconds secret_overlap{std::chrono::hours{24}};
    std::uint32_t hooks_max = 100;
    std::uint32_t queue_max = 10'000;
    std::uint32_t dead_max = 1'000;
    std::uint32_t requests_per_hook_max = 4;
    std::uint32_t requests_max = 32;
};

struct RequestsConfig {
    std::uint32_t open_max = 1'000;
    std::uint32_t waiting_max = 64;
};

struct DevicesConfig {
    std::uint32_t devices_max = 1'000'000;
    std::chrono::seconds quiet_after{90};
    std::chrono::seconds offline_after{3'600};
    std::uint32_t message_bytes_max = 64 * 1024;
};

struct LogConfig {
    LogLevel level = LogLevel::info;
    std::string file{};  // empty: stderr
};

/// Everything that can be configured, with its defaults. app hands each part its own struct.
struct Config {
    HttpConfig http{};
    AuthConfig auth{};
    TokensConfig tokens{};
    RateConfig rate{};
    BrokerConfig broker{};
    CommandsConfig commands{};
    StoreConfig store{};
    RequestsConfig requests{};
    HooksConfig hooks{};
    EventsConfig events{};
    InboxesConfig inboxes{};
    DevicesConfig devices{};
    LogConfig log{};
};

}  // namespace spoke::bridge
