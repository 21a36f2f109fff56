#include "broker/app/wiring.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "broker/app/logging.hpp"
#include "broker/app/persistence.hpp"
#include "broker/app/process.hpp"
#include "broker/app/security.hpp"
#include "broker/app/tls_upkeep.hpp"
#include "broker/auth/reloads.hpp"
#include "broker/cluster/single_node_bus.hpp"
#include "broker/config/listener_options.hpp"
#include "broker/config/load.hpp"
#include "broker/core/client_event.hpp"
#include "broker/net/log_line.hpp"
#include "broker/net/server.hpp"

namespace spoke::broker {
namespace {

constexpr unsigned kShardsMax = 254;  // 255 stands for other nodes

SocketSettings socket_settings(SocketConfig const& config) {
    SocketSettings settings;
    settings.backlog = config.backlog;
    settings.reuse_port = config.reuse_port;
    settings.ipv6_only = config.ipv6_only;
    settings.send_buffer_bytes = config.send_buffer_bytes;
    settings.receive_buffer_bytes = config.receive_buffer_bytes;
    settings.tcp_nodelay = config.tcp_nodelay;
    settings.tcp_user_timeout = config.tcp_user_timeout;
    settings.tcp_keepalive = config.tcp_keepalive;
    settings.tcp_keepalive_idle = config.tcp_keepalive_idle;
    settings.tcp_keepalive_interval = config.tcp_keepalive_interval;
    settings.tcp_keepalive_count = config.tcp_keepalive_count;
    return settings;
}

ProxyProtocol proxy_protocol(ProxyConfig::Protocol protocol) {
    switch (protocol) {
        case ProxyConfig::Protocol::off:
            return ProxyProtocol::off;
        case ProxyConfig::Protocol::v1:
            return ProxyProtocol::v1;
        case ProxyConfig::Protocol::v2:
            return ProxyProtocol::v2;
        case ProxyConfig::Protocol::any:
            return ProxyProtocol::any;
    }
    return ProxyProtocol::off;
}

TlsSettings::Version version_of(TlsConfig::Version version) {
    return version == TlsConfig::Version::v1_2 ? TlsSettings::Version::v1_2
                                               : TlsSettings::Version::v1_3;
}

TlsSettings::ClientCertificate client_certificate(TlsConfig::ClientCertificate how) {
    switch (how) {
        case TlsConfig::ClientCertificate::none:
            return TlsSettings::ClientCertificate::none;
        case TlsConfig::ClientCertificate::optional:
            return TlsSettings::ClientCertificate::optional;
        case TlsConfig::ClientCertificate::required:
            return TlsSettings::ClientCertificate::required;
    }
    return TlsSettings::ClientCertificate::required;
}

TlsSettings::Identity identity_kind(TlsConfig::Identity kind) {
    switch (kind) {
        case TlsConfig::Identity::none:
            return TlsSettings::Identity::none;
        case TlsConfig::Identity::common_name:
            return TlsSettings::Identity::common_name;
        case TlsConfig::Identity::san_dns:
            return TlsSettings::Identity::san_dns;
        case TlsConfig::Identity::san_email:
            return TlsSettings::Identity::san_email;
        case TlsConfig::Identity::san_uri:
            return TlsSettings::Identity::san_uri;
    }
    return TlsSettings::Identity::none;
}

TlsSettings tls_settings(TlsConfig const& config) {
    TlsSettings settings;
    if (!config.certificate.empty())
        settings.certificates.push_back({config.certificate, config.key});
    for (std::size_t i = 0; i < config.more_certificates.size(); ++i) {
        auto key = config.more_keys.empty() ? std::string{} : config.more_keys[i];
        settings.certificates.push_back({config.more_certificates[i], key});
    }
    settings.ca_file = config.ca;
    settings.crl_file = config.crl;
    settings.psk_file = config.psk_file;
    settings.psk_hint = config.psk_hint;
    settings.version_min = version_of(config.version_min);
    settings.version_max = version_of(config.version_max);
    settings.ciphers = config.ciphers;
    settings.ciphersuites = config.ciphersuites;
    settings.curves = config.curves;
    settings.client_certificate = client_certificate(config.client_certificate);
    settings.identity = identity_kind(config.identity);
    settings.tickets = config.tickets;
    settings.ticket_lifetime = config.ticket_lifetime;
    return settings;
}

ListenerSettings listener_settings(ListenerConfig const& config) {
    ListenerSettings settings;
    settings.address = config.address;
    settings.port = config.port;
    settings.socket = socket_settings(config.socket);
    settings.unix_socket = {file_mode(config.unix_socket.mode).value(), config.unix_socket.owner,
                            config.unix_socket.group};
    settings.proxy = {proxy_protocol(config.proxy.protocol), config.proxy.header_size_max,
                      config.proxy.common_name};
    if (auto const& websocket = config.websocket; websocket.enabled)
        settings.websocket = {websocket.path, websocket.origins, websocket.request_size_max,
                              websocket.headers_max};
    settings.connections_max = config.connections_max;
    settings.handshakes_max = config.tls.handshakes_max;
    settings.tls = tls_settings(config.tls);
    settings.pending_max = config.pending_max;
    return settings;
}

QueueFull queue_full(QueueFullPolicy policy) {
    switch (policy) {
        case QueueFullPolicy::reject:
            return QueueFull::reject;
        case QueueFullPolicy::drop_oldest:
            return QueueFull::drop_oldest;
        case QueueFullPolicy::drop_new:
            return QueueFull::drop_new;
    }
    return QueueFull::reject;
}

ReceiptSettings receipt_settings(ReceiptsConfig const& config) {
    ReceiptSettings settings;
    for (std::string_view publisher : config.publishers) {
        auto colon = publisher.find(':');
        bool is_client = publisher.substr(0, colon) == "client";
        (is_client ? settings.clients : settings.users).emplace_back(publisher.substr(colon + 1));
    }
    std::ranges::sort(settings.clients);
    std::ranges::sort(settings.users);
    return settings;
}

std::uint8_t shard_count(PerformanceConfig const& config) {
    if (config.shards > 0) return config.shards;
    return static_cast<std::uint8_t>(
        std::clamp(std::thread::hardware_concurrency(), 1U, kShardsMax));
}

void say_where(Loaded const& loaded, Server const& server, NetSettings const& net) {
    if (loaded.file.empty())
        spdlog::info("no configuration file: anonymous clients of this machine only");
    else
        spdlog::info("configuration read from {}", loaded.file);
    for (auto const& address : server.addresses()) spdlog::info("listening on {}", address);
    spdlog::info("serving with {} {}", net.shards, net.shards == 1 ? "thread" : "threads");
}

}  // namespace

NetSettings net_settings(Config const& config) {
    NetSettings settings;
    for (auto const& listener : config.listeners) {
        settings.listeners.push_back(listener_settings(listener));
        settings.listeners.back().link = link_settings(config, listener);
    }
    settings.shards = shard_count(config.performance);
    settings.read_budget_bytes = config.limits.read_budget_bytes;
    settings.busy_poll = config.performance.busy_poll;
    settings.linger = config.limits.linger;
    return settings;
}

LinkSettings link_settings(Config const& config, ListenerConfig const& listener) {
    auto const& limits = config.limits;
    auto const& offered = config.mqtt;
    auto const& own = listener.limits;
    LinkSettings settings;
    settings.name = fmt::format("{}:{}", listener.address, listener.port);
    settings.connect_timeout = listener.connect_timeout;
    settings.mount_point = listener.mount_point;
    settings.packet_size_max = own.packet_size_max.value_or(limits.packet_size_max);
    settings.client_id_size_max = own.client_id_size_max.value_or(limits.client_id_size_max);
    settings.keep_alive_max =
        static_cast<std::uint16_t>(own.keep_alive_max.value_or(limits.keep_alive_max).count());
    settings.session_expiry_max = static_cast<std::uint32_t>(
        own.session_expiry_max.value_or(limits.session_expiry_max).count());
    settings.receive_maximum = own.receive_maximum.value_or(limits.receive_maximum);
    settings.inflight_max = own.inflight_max.value_or(limits.inflight_max);
    settings.topic_alias_max = own.topic_alias_max.value_or(limits.topic_alias_max);
    settings.topic_alias_out_max = own.topic_alias_out_max.value_or(limits.topic_alias_out_max);
    settings.out_queue_bytes_max = own.out_queue_bytes_max.value_or(limits.out_queue_bytes_max);
    settings.maximum_qos = static_cast<mqtt::Qos>(own.maximum_qos.value_or(offered.maximum_qos));
    settings.mqtt_3_1 = own.mqtt_3_1.value_or(offered.mqtt_3_1);
    settings.retain_available = own.retain_available.value_or(offered.retain_available);
    settings.wildcard_subscription_available =
        own.wildcard_subscription_available.value_or(offered.wildcard_subscription_available);
    settings.subscription_identifiers_available =
        own.subscription_identifiers_available.value_or(offered.subscription_identifiers_available);
    settings.shared_subscription_available =
        own.shared_subscription_available.value_or(offered.shared_subscription_available);
    settings.response_information = own.response_information.value_or(offered.response_information);
    return settings;
}

CoreSettings core_settings(Config const& config) {
    auto const& limits = config.limits;
    CoreSettings settings;
    settings.queue_messages_max = limits.queue_messages_max;
    settings.queue_bytes_max = limits.queue_bytes_max;
    settings.queue_full = queue_full(limits.queue_full);
    settings.rejection_closes_v3 = limits.rejection_v3 == RejectionV3::close;
    settings.queue_window = config.persistence.queue_window;
    settings.subscriptions_per_session_max = limits.subscriptions_per_session_max;
    settings.sessions_max = limits.sessions_max;
    settings.memory_watermark_bytes = limits.memory_watermark_bytes;
    settings.command_topics = {config.command_topics.filters,
                               config.command_topics.drop_expired_in_flight};
    settings.receipts = receipt_settings(config.receipts);
    auto const& node = config.events.node;
    settings.client_events = {config.events.clients,
                              as_topic_level(node.empty() ? host_name() : node)};
    return settings;
}

RetainedMessages::Limits retained_limits(Config const& config) {
    return {config.limits.retained_messages_max, config.limits.retained_bytes_max};
}

void run(Loaded const& loaded) {
    auto const& config = loaded.config;
    Signals signals;
    Logging logging{config.log};
    raise_open_files_limit();
    auto net = net_settings(config);
    Security security{config};
    for (std::size_t i = 0; i < net.listeners.size(); ++i)
        security.put_into(net.listeners[i].link, config.listeners[i]);
    auto store = make_store(config.persistence);
    SingleNodeBus bus;
    Server server{net, core_settings(config), retained_limits(config), *store, bus};
    server.set_status("$SYS/broker/persistence/sync", sync_name(config.persistence));
    Reloads reloads{security.reload_items(), log_line};
    server.start();
    say_what_is_kept(config.persistence);
    say_where(loaded, server, net);
    TlsUpkeep upkeep{server};
    auto why = signals.await_stop([&reloads, &server] {
        spdlog::info("SIGHUP: reading files again");
        reloads.reload_all();
        server.reload_tls();
    });
    spdlog::info("{}: stopping", why);
    server.stop(config.limits.shutdown_timeout);
    security.stop();
    spdlog::info("stopped");
}

}  // namespace spoke::broker
