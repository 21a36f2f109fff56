#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace spoke::bridge {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };

struct HttpConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::uint32_t header_bytes_max = 8 * 1024;
    std::uint32_t body_bytes_max = 256 * 1024;
    std::uint32_t connections_max = 10'000;
    std::chrono::milliseconds request_timeout{10'000};
    std::chrono::milliseconds idle_timeout{60'000};
    std::chrono::milliseconds write_timeout{10'000};
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
    BrokerConfig broker{};
    CommandsConfig commands{};
    StoreConfig store{};
    RequestsConfig requests{};
    DevicesConfig devices{};
    LogConfig log{};
};

}  // namespace spoke::bridge
