#include "broker/config/listener_options.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "broker/config/config.hpp"

namespace spoke::broker {
namespace {

using namespace std::chrono_literals;
using options::OptionError;
using options::OptionTable;

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kUnixPathMax = 107;  // what the kernel takes
constexpr std::uint32_t kKiB = 1U << 10;
constexpr std::uint32_t kMiB = 1U << 20;

void refuse_if(bool wrong, ListenerConfig const& c, std::string_view what) {
    if (wrong)
        throw OptionError{"[[listener]] with address = \"" + c.address +
                          "\": " + std::string{what}};
}

/// The path of a URL that a request may ask for as it is written.
bool is_path(std::string_view text) noexcept {
    auto may_stand = [](char c) { return c > ' ' && c <= '~' && c != '?' && c != '#'; };
    return text.starts_with('/') && std::ranges::all_of(text, may_stand);
}

/// As a browser writes it: scheme, host, perhaps a port, nothing behind (RFC 6454, 6.2).
bool is_origin(std::string_view text) noexcept {
    auto host = text.find("://");
    if (host == std::string_view::npos) return text == "null";
    auto may_stand = [](char c) { return c > ' ' && c <= '~' && c != '/'; };
    auto rest = text.substr(host + 3);
    return host > 0 && !rest.empty() && std::ranges::all_of(rest, may_stand);
}

void check_unix(ListenerConfig const& c) {
    if (!c.address.starts_with(kUnix)) {
        refuse_if(c.unix_socket != UnixConfig{}, c,
                  "unix_mode, unix_owner and unix_group go with address = \"unix:/a/path\" only");
        return;
    }
    auto path = std::string_view{c.address}.substr(kUnix.size());
    refuse_if(!path.starts_with('/') || path.size() > kUnixPathMax, c,
              "behind \"unix:\" stands a path that begins with / and has 107 bytes at most");
    refuse_if(!file_mode(c.unix_socket.mode), c, "unix_mode must be octal, 0 .. 0777: \"0660\"");
    SocketConfig as_is;
    as_is.backlog = c.socket.backlog;
    as_is.send_buffer_bytes = c.socket.send_buffer_bytes;
    as_is.receive_buffer_bytes = c.socket.receive_buffer_bytes;
    refuse_if(c.socket != as_is, c,
              "reuse_port, ipv6_only and tcp_... mean nothing for a Unix socket");
}

void check_socket(ListenerConfig const& c) {
    auto const& socket = c.socket;
    SocketConfig none;
    bool tunes_keepalive = socket.tcp_keepalive_idle != none.tcp_keepalive_idle ||
                           socket.tcp_keepalive_interval != none.tcp_keepalive_interval ||
                           socket.tcp_keepalive_count != none.tcp_keepalive_count;
    refuse_if(tunes_keepalive && !socket.tcp_keepalive, c,
              "tcp_keepalive_... go with tcp_keepalive = true only");
    refuse_if(socket.ipv6_only && c.address.find(':') == std::string::npos, c,
              "ipv6_only goes with an IPv6 address only");
}

void check_proxy(ListenerConfig const& c) {
    ProxyConfig off;
    off.protocol = c.proxy.protocol;
    refuse_if(c.proxy.protocol == ProxyConfig::Protocol::off && c.proxy != off, c,
              "proxy_header_size_max and proxy_common_name go with proxy_protocol only");
}

void check_websocket(ListenerConfig const& c) {
    auto const& websocket = c.websocket;
    refuse_if(!websocket.enabled && websocket != WebSocketConfig{}, c,
              "websocket_... go with websocket = true only");
    refuse_if(!is_path(websocket.path), c,
              "websocket_path must begin with / and have no ?, # or blank");
    for (auto const& origin : websocket.origins)
        refuse_if(!is_origin(origin), c,
                  "websocket_origins: \"" + origin +
                      "\" is no origin such as \"https://app.example.com\", without a path");
}

}  // namespace

void socket_options(OptionTable& table, ListenerConfig& c) {
    auto& socket = c.socket;
    table
        .number("backlog", socket.backlog, {1, 65535}, "connections",
                "Connections the kernel keeps waiting until the broker accepts them; more are "
                "refused or delayed by the kernel.")
        .flag("reuse_port", socket.reuse_port,
              "SO_REUSEPORT: every thread listens on a socket of its own, and the kernel shares "
              "new connections out among them by their addresses: handshakes spread evenly, but a "
              "connection waits for its thread even if another one has time, which would take it "
              "otherwise. Other processes of the same user may then listen on the port as well.")
        .flag("ipv6_only", socket.ipv6_only,
              "Leaves IPv4 clients out where the address is \"::\", which else serves both.")
        .bytes("send_buffer_bytes", socket.send_buffer_bytes, {4 * kKiB, 64 * kMiB, "system", 0},
               "Room the kernel has for what a connection is to be sent; it may hold it to "
               "net.core.wmem_max. \"system\": it adapts by itself.")
        .bytes("receive_buffer_bytes", socket.receive_buffer_bytes,
               {4 * kKiB, 64 * kMiB, "system", 0},
               "The same for what has come and is not read yet; net.core.rmem_max.")
        .flag("tcp_nodelay", socket.tcp_nodelay,
              "Send small packets at once instead of waiting to fill a segment.")
        .duration("tcp_user_timeout", socket.tcp_user_timeout, {1s, 24h, "system", 0ms},
                  "A connection whose peer acknowledges nothing of what it was sent for that long "
                  "is closed. \"system\": after some 15 minutes.")
        .flag("tcp_keepalive", socket.tcp_keepalive,
              "The kernel probes connections on which nothing comes, so that those of clients "
              "without keep alive do not stay for ever.")
        .duration("tcp_keepalive_idle", socket.tcp_keepalive_idle, {1s, 32767s},
                  "Silence before the first probe.")
        .duration("tcp_keepalive_interval", socket.tcp_keepalive_interval, {1s, 32767s},
                  "Time between two probes.")
        .number("tcp_keepalive_count", socket.tcp_keepalive_count, {1, 127}, "probes",
                "Probes without an answer after which the connection is closed.");
}

void unix_options(OptionTable& table, ListenerConfig& c) {
    table
        .text("unix_mode", c.unix_socket.mode,
              "Permissions of a Unix socket, in octal. Who may write to it may connect.")
        .text("unix_owner", c.unix_socket.owner,
              "User who owns it, by name or number. Empty: the one the broker runs as.")
        .text("unix_group", c.unix_socket.group,
              "Group it belongs to, by name or number. Empty: that of the broker.");
}

void proxy_options(OptionTable& table, ListenerConfig& c) {
    using Protocol = ProxyConfig::Protocol;
    table
        .choice("proxy_protocol", c.proxy.protocol,
                {{"off", Protocol::off},
                 {"v1", Protocol::v1},
                 {"v2", Protocol::v2},
                 {"any", Protocol::any}},
                "Connections come through a proxy (HAProxy, a load balancer) that puts a PROXY "
                "header of this version in front, with the client's address. One that has none is "
                "closed. Only the proxy may be able to reach such a listener: who else can claims "
                "to be whom he likes. \"off\": such a header is no MQTT, and closes.")
        .bytes("proxy_header_size_max", c.proxy.header_size_max, {16, 65551},
               "Largest header of version 2.")
        .flag("proxy_common_name", c.proxy.common_name,
              "The common name in the client's certificate is its user name, if the proxy says "
              "that it has verified the certificate.");
}

void websocket_options(OptionTable& table, ListenerConfig& c) {
    auto& websocket = c.websocket;
    table
        .flag("websocket", websocket.enabled,
              "Clients speak MQTT over WebSocket, subprotocol mqtt, as browsers do.")
        .text("websocket_path", websocket.path, "Path they ask for; any other is answered 404.")
        .texts("websocket_origins", websocket.origins,
               "Origins of the pages that may connect, such as \"https://app.example.com\"; others "
               "are answered 403. Clients that are no browsers name none, and may connect. Empty: "
               "every page may.")
        .bytes("websocket_request_size_max", websocket.request_size_max, {256, 64 * kKiB},
               "Largest request to open a connection. A larger one is answered 431.")
        .number("websocket_headers_max", websocket.headers_max, {8, 1000}, "headers",
                "Headers of such a request. More are answered 431.");
}

void check_transport(ListenerConfig const& c) {
    check_unix(c);
    check_socket(c);
    check_proxy(c);
    check_websocket(c);
}

std::optional<std::uint32_t> file_mode(std::string_view text) noexcept {
    std::uint32_t mode = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && mode <= 0777 ? std::optional{mode} : std::nullopt;
}

}  // namespace spoke::broker
