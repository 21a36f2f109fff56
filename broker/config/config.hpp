#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace spoke::broker {

/// Everything a user can set, as plain values. Only broker/app reads these structs: it hands every
/// part the settings struct of that part.

/// An option of a listener that takes the value of [limits] or [mqtt] unless it has one of its own.
template <class T>
struct Inheritable {
    T value{};
    bool own = false;
    [[nodiscard]] T const& value_or(T const& inherited) const noexcept {
        return own ? value : inherited;
    }
};

struct ListenerLimitsConfig {
    Inheritable<std::uint32_t> packet_size_max;
    Inheritable<std::uint32_t> client_id_size_max;
    Inheritable<std::chrono::seconds> keep_alive_max;
    Inheritable<std::chrono::seconds> session_expiry_max;
    Inheritable<std::uint16_t> receive_maximum;
    Inheritable<std::uint16_t> inflight_max;
    Inheritable<std::uint16_t> topic_alias_max;
    Inheritable<std::uint16_t> topic_alias_out_max;
    Inheritable<std::uint64_t> out_queue_bytes_max;
    Inheritable<std::uint8_t> maximum_qos;
    Inheritable<bool> mqtt_3_1;
    Inheritable<bool> retain_available;
    Inheritable<bool> wildcard_subscription_available;
    Inheritable<bool> subscription_identifiers_available;
    Inheritable<bool> shared_subscription_available;
    Inheritable<std::string> response_information;
};

struct SocketConfig {
    int backlog = 1024;
    bool reuse_port = false;
    bool ipv6_only = false;
    std::uint32_t send_buffer_bytes = 0;  // 0: the system's
    std::uint32_t receive_buffer_bytes = 0;
    bool tcp_nodelay = true;
    std::chrono::milliseconds tcp_user_timeout{0};  // 0: the system's
    bool tcp_keepalive = false;
    std::chrono::seconds tcp_keepalive_idle{60};
    std::chrono::seconds tcp_keepalive_interval{10};
    int tcp_keepalive_count = 6;
    bool operator==(SocketConfig const&) const = default;
};

struct UnixConfig {
    std::string mode = "0660";
    std::string owner;
    std::string group;
    bool operator==(UnixConfig const&) const = default;
};

struct ProxyConfig {
    enum class Protocol { off, v1, v2, any };

    Protocol protocol = Protocol::off;
    std::uint32_t header_size_max = 1024;
    bool common_name = false;
    bool operator==(ProxyConfig const&) const = default;
};

struct WebSocketConfig {
    bool enabled = false;
    std::string path = "/mqtt";
    std::vector<std::string> origins;  // empty: all
    std::uint32_t request_size_max = 8192;
    std::uint32_t headers_max = 64;
    bool operator==(WebSocketConfig const&) const = default;
};

/// Who may connect.
enum class Anonymous : std::uint8_t { no, local, yes };

struct ListenerAuthConfig {
    Inheritable<Anonymous> anonymous;
    Inheritable<std::string> password_file;
    Inheritable<std::string> scram_file;
    Inheritable<std::string> acl_file;
};

struct AuthConfig {
    Anonymous anonymous = Anonymous::local;
    std::string password_file;
    std::string scram_file;
    std::string acl_file;
    std::uint8_t threads = 1;
    std::uint32_t pending_max = 1'000;
};

struct TlsConfig {
    enum class Version { v1_2, v1_3 };
    enum class ClientCertificate { none, optional, required };
    enum class Identity { none, common_name, san_dns, san_email, san_uri };

    std::string certificate;
    std::string key;
    std::vector<std::string> more_certificates;
    std::vector<std::string> more_keys;
    Version version_min = Version::v1_2;
    Version version_max = Version::v1_3;
    std::string ciphers;
    std::string ciphersuites;
    std::string curves;
    std::uint8_t tickets = 1;
    std::chrono::seconds ticket_lifetime{7'200};
    std::uint32_t handshakes_max = 1'000;
    ClientCertificate client_certificate = ClientCertificate::none;
    std::string ca;
    std::string crl;
    Identity identity = Identity::none;
    std::string psk_file;
    std::string psk_hint;
};

struct ListenerConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 1883;
    std::chrono::milliseconds connect_timeout{10'000};
    std::uint32_t connections_max = 100'000;
    std::uint32_t pending_max = 10'000;
    std::string mount_point;  // empty: none
    SocketConfig socket;
    UnixConfig unix_socket;
    ProxyConfig proxy;
    WebSocketConfig websocket;
    ListenerAuthConfig auth;
    TlsConfig tls;
    ListenerLimitsConfig limits;
};

/// What happens at the limit of a session's queue.
enum class QueueFullPolicy : std::uint8_t { reject, drop_oldest, drop_new };
/// What a 3.1.1 publisher gets whose message is rejected.
enum class RejectionV3 : std::uint8_t { close, silence };

struct LimitsConfig {
    std::uint32_t packet_size_max = 1U << 20;
    std::uint32_t client_id_size_max = 1024;
    std::chrono::seconds keep_alive_max{0};                // 0: no limit
    std::chrono::seconds session_expiry_max{0xFFFF'FFFF};  // MQTT's word for never
    std::uint16_t receive_maximum = 1024;
    std::uint16_t inflight_max = 128;
    std::uint16_t topic_alias_max = 64;
    std::uint16_t topic_alias_out_max = 64;
    std::uint32_t queue_messages_max = 10'000;
    std::uint64_t queue_bytes_max = 64U << 20;
    QueueFullPolicy queue_full = QueueFullPolicy::reject;
    RejectionV3 rejection_v3 = RejectionV3::close;
    std::uint64_t out_queue_bytes_max = 4U << 20;
    std::uint32_t subscriptions_per_session_max = 100'000;
    std::uint32_t sessions_max = 1'000'000;
    std::uint64_t memory_watermark_bytes = 1ULL << 30;
    std::uint32_t retained_messages_max = 1'000'000;
    std::uint64_t retained_bytes_max = 1ULL << 30;
    std::uint32_t read_budget_bytes = 256U << 10;
    std::chrono::milliseconds linger{2'000};
    std::chrono::milliseconds shutdown_timeout{5'000};
};

struct MqttConfig {
    std::uint8_t maximum_qos = 2;
    bool mqtt_3_1 = true;
    bool retain_available = true;
    bool wildcard_subscription_available = true;
    bool subscription_identifiers_available = true;
    bool shared_subscription_available = true;
    std::string response_information = "r/%c/";
};

struct PerformanceConfig {
    std::uint8_t shards = 0;  // 0: one per core
    std::chrono::microseconds busy_poll{0};
};

struct PersistenceConfig {
    enum class Sync { always, interval, never };

    std::string directory;  // empty: nothing outlives the process
    Sync sync = Sync::always;
    std::chrono::milliseconds sync_interval{100};
    std::uint64_t bytes_max = 16ULL << 30;
    std::uint32_t queue_window = 128;
};

/// Topics of what is to be carried out now or not at all.
struct CommandTopicsConfig {
    std::vector<std::string> filters{"d/+/cmd", "g/+/cmd"};
    bool drop_expired_in_flight = false;
};

/// What publishers are told of their messages.
struct ReceiptsConfig {
    std::vector<std::string> publishers;  // "client:ID" or "user:NAME"
};

/// What is told of clients below $SYS.
struct EventsConfig {
    bool clients = true;
    std::string node;  // empty: the host name
};

struct LogConfig {
    enum class Level { trace, debug, info, warning, error };

    Level level = Level::info;
    std::string file;  // empty: stderr
};

struct Config {
    std::vector<ListenerConfig> listeners{ListenerConfig{}};
    AuthConfig auth;
    LimitsConfig limits;
    MqttConfig mqtt;
    CommandTopicsConfig command_topics;
    ReceiptsConfig receipts;
    EventsConfig events;
    PersistenceConfig persistence;
    PerformanceConfig performance;
    LogConfig log;
};

/// Whether clients without a user name may connect through this listener.
[[nodiscard]] bool allows_anonymous(ListenerConfig const& listener, AuthConfig const& all);

}  // namespace spoke::broker
