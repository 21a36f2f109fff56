#include "broker/app/wiring.hpp"

#include <catch2/catch.hpp>

#include "broker/app/security.hpp"
#include "broker/config/config.hpp"
#include "broker/config/option_table.hpp"
#include "tests/support/temp_folder.hpp"

using namespace std::chrono_literals;
using namespace spoke::broker;
using spoke::test::TempFolder;

namespace {

Config config_of(std::string_view toml) {
    Config config;
    option_table(config).load_text(toml, "broker.toml");
    return config;
}

}  // namespace

TEST_CASE("wiring: the defaults of the options are those of the parts", "[config]") {
    Config config;
    auto core = core_settings(config);
    CoreSettings own;
    auto link = link_settings(config, config.listeners[0]);
    LinkSettings own_link;
    CHECK(link.packet_size_max == own_link.packet_size_max);
    CHECK(link.client_id_size_max == own_link.client_id_size_max);
    CHECK(link.keep_alive_max == own_link.keep_alive_max);
    CHECK(link.session_expiry_max == own_link.session_expiry_max);
    CHECK(link.receive_maximum == own_link.receive_maximum);
    CHECK(link.inflight_max == own_link.inflight_max);
    CHECK(link.topic_alias_max == own_link.topic_alias_max);
    CHECK(link.topic_alias_out_max == own_link.topic_alias_out_max);
    CHECK(core.queue_messages_max == own.queue_messages_max);
    CHECK(core.queue_bytes_max == own.queue_bytes_max);
    CHECK(core.queue_full == own.queue_full);
    CHECK(core.rejection_closes_v3 == own.rejection_closes_v3);
    CHECK(core.queue_window == own.queue_window);
    CHECK(link.out_queue_bytes_max == own_link.out_queue_bytes_max);
    CHECK(core.subscriptions_per_session_max == own.subscriptions_per_session_max);
    CHECK(core.sessions_max == own.sessions_max);
    CHECK(core.memory_watermark_bytes == own.memory_watermark_bytes);
    CHECK(link.maximum_qos == own_link.maximum_qos);
    CHECK(link.response_information == own_link.response_information);

    auto net = net_settings(config);
    NetSettings own_net;
    CHECK(net.read_budget_bytes == own_net.read_budget_bytes);
    CHECK(net.busy_poll == own_net.busy_poll);
    CHECK(net.linger == own_net.linger);
    CHECK(net.shards >= 1);
    REQUIRE(net.listeners.size() == 1);
    ListenerSettings own_listener;
    CHECK(net.listeners[0].address == own_listener.address);
    CHECK(net.listeners[0].port == own_listener.port);
    CHECK(net.listeners[0].socket == own_listener.socket);
    CHECK(net.listeners[0].unix_socket == own_listener.unix_socket);
    CHECK(net.listeners[0].proxy == own_listener.proxy);
    CHECK_FALSE(net.listeners[0].websocket);
    CHECK(net.listeners[0].link.connect_timeout == own_listener.link.connect_timeout);
    CHECK(net.listeners[0].connections_max == own_listener.connections_max);
    CHECK(net.listeners[0].pending_max == own_listener.pending_max);
}

TEST_CASE("wiring: every limit of the file reaches its part", "[config]") {
    auto config = config_of(R"(
        [limits]
        packet_size_max = 1001
        client_id_size_max = 1002
        keep_alive_max = "1003 s"
        session_expiry_max = "1004 s"
        receive_maximum = 1005
        inflight_max = 1006
        topic_alias_max = 1007
        topic_alias_out_max = 1008
        queue_messages_max = 1009
        queue_bytes_max = 1010
        out_queue_bytes_max = 100011
        subscriptions_per_session_max = 1012
        sessions_max = 1013
        memory_watermark_bytes = 2000014
        retained_messages_max = 1015
        retained_bytes_max = 1016
        read_budget_bytes = 10017
        linger = "1018 ms"
    )");
    auto core = core_settings(config);
    auto link = link_settings(config, config.listeners[0]);
    CHECK(link.packet_size_max == 1001);
    CHECK(link.client_id_size_max == 1002);
    CHECK(link.keep_alive_max == 1003);
    CHECK(link.session_expiry_max == 1004);
    CHECK(link.receive_maximum == 1005);
    CHECK(link.inflight_max == 1006);
    CHECK(link.topic_alias_max == 1007);
    CHECK(link.topic_alias_out_max == 1008);
    CHECK(core.queue_messages_max == 1009);
    CHECK(core.queue_bytes_max == 1010);
    CHECK(link.out_queue_bytes_max == 100011);
    CHECK(core.subscriptions_per_session_max == 1012);
    CHECK(core.sessions_max == 1013);
    CHECK(core.memory_watermark_bytes == 2000014);
    CHECK(retained_limits(config).messages_max == 1015);
    CHECK(retained_limits(config).bytes_max == 1016);
    CHECK(net_settings(config).read_budget_bytes == 10017);
    CHECK(net_settings(config).linger == 1018ms);
}

TEST_CASE("wiring: what a listener speaks below MQTT reaches it", "[config]") {
    auto config = config_of(R"(
        [[listener]]
        address = "::"
        backlog = 1
        reuse_port = true
        ipv6_only = true
        send_buffer_bytes = 4098
        receive_buffer_bytes = 4099
        tcp_nodelay = false
        tcp_user_timeout = "4 s"
        tcp_keepalive = true
        tcp_keepalive_idle = "5 s"
        tcp_keepalive_interval = "6 s"
        tcp_keepalive_count = 7
        proxy_protocol = "v2"
        proxy_header_size_max = 800
        proxy_common_name = true
        websocket = true
        websocket_path = "/nine"
        websocket_origins = ["https://ten", "http://ten:10"]
        websocket_request_size_max = 1100
        websocket_headers_max = 12
        [[listener]]
        address = "unix:/run/mqtt"
        unix_mode = "0641"
        unix_owner = "mqtt"
        unix_group = "13"
        websocket = true
    )");
    CHECK_NOTHROW(check(config));
    auto net = net_settings(config);
    REQUIRE(net.listeners.size() == 2);
    SocketSettings socket{.backlog = 1,
                          .reuse_port = true,
                          .ipv6_only = true,
                          .send_buffer_bytes = 4098,
                          .receive_buffer_bytes = 4099,
                          .tcp_nodelay = false,
                          .tcp_user_timeout = 4s,
                          .tcp_keepalive = true,
                          .tcp_keepalive_idle = 5s,
                          .tcp_keepalive_interval = 6s,
                          .tcp_keepalive_count = 7};
    CHECK(net.listeners[0].socket == socket);
    CHECK(net.listeners[0].proxy == ProxySettings{ProxyProtocol::v2, 800, true});
    CHECK(net.listeners[0].websocket ==
          WebSocketSettings{"/nine", {"https://ten", "http://ten:10"}, 1100, 12});
    CHECK(net.listeners[1].address == "unix:/run/mqtt");
    CHECK(net.listeners[1].unix_socket == UnixSettings{0641, "mqtt", "13"});
    CHECK(net.listeners[1].websocket == WebSocketSettings{});
}

TEST_CASE("wiring: listeners, offers and threads of the file reach their parts", "[config]") {
    auto config = config_of(R"(
        [[listener]]
        address = "::1"
        port = 1
        backlog = 2
        tcp_nodelay = false
        connect_timeout = "3 s"
        connections_max = 4
        pending_max = 3
        [[listener]]
        port = 5
        [mqtt]
        maximum_qos = 1
        retain_available = false
        wildcard_subscription_available = false
        subscription_identifiers_available = false
        shared_subscription_available = false
        response_information = "x/"
        [performance]
        shards = 7
        busy_poll = "8 us"
    )");
    auto net = net_settings(config);
    REQUIRE(net.listeners.size() == 2);
    CHECK(net.listeners[0].address == "::1");
    CHECK(net.listeners[0].port == 1);
    CHECK(net.listeners[0].socket.backlog == 2);
    CHECK_FALSE(net.listeners[0].socket.tcp_nodelay);
    CHECK(net.listeners[0].link.connect_timeout == 3s);
    CHECK(net.listeners[0].connections_max == 4);
    CHECK(net.listeners[0].pending_max == 3);
    CHECK(net.listeners[1].port == 5);
    CHECK(net.shards == 7);
    CHECK(net.busy_poll == 8us);
    auto const& link = net.listeners[0].link;
    CHECK(link.maximum_qos == spoke::mqtt::Qos::at_least_once);
    CHECK_FALSE(link.retain_available);
    CHECK_FALSE(link.wildcard_subscription_available);
    CHECK_FALSE(link.subscription_identifiers_available);
    CHECK_FALSE(link.shared_subscription_available);
    CHECK(link.response_information == "x/");
}

TEST_CASE("wiring: a listener has the limits of all unless it has its own", "[config]") {
    auto config = config_of(R"(
        [[listener]]
        receive_maximum = 5
        keep_alive_max = "inherit"
        retain_available = true
        mount_point = "site-7/"
        [[listener]]
        port = 1884
        mqtt_3_1 = false
        [limits]
        receive_maximum = 1005
        keep_alive_max = "7 s"
        [mqtt]
        retain_available = false
    )");
    auto listeners = net_settings(config).listeners;
    REQUIRE(listeners.size() == 2);
    CHECK(listeners[0].link.receive_maximum == 5);
    CHECK(listeners[1].link.receive_maximum == 1005);
    CHECK(listeners[0].link.keep_alive_max == 7);
    CHECK(listeners[0].link.retain_available);
    CHECK_FALSE(listeners[1].link.retain_available);
    CHECK(listeners[0].link.mqtt_3_1);
    CHECK_FALSE(listeners[1].link.mqtt_3_1);
    CHECK(listeners[0].link.mount_point == "site-7/");
    CHECK(listeners[1].link.mount_point.empty());
}

TEST_CASE("wiring: anonymous clients, as the listener says or else all, and where it is",
          "[config]") {
    auto anonymous = [](std::string const& listener, std::string const& all) {
        auto config = config_of("[[listener]]\n" + listener + "\n[auth]\n" + all);
        return allows_anonymous(config.listeners[0], config.auth);
    };
    CHECK(anonymous("", ""));
    CHECK(anonymous("address = \"::1\"", ""));
    CHECK(anonymous("address = \"unix:/run/spoke\"", ""));
    CHECK_FALSE(anonymous("address = \"0.0.0.0\"", ""));
    CHECK(anonymous("address = \"0.0.0.0\"", "anonymous = \"yes\""));
    CHECK_FALSE(anonymous("", "anonymous = \"no\""));
    CHECK(anonymous("anonymous = \"yes\"", "anonymous = \"no\""));
    CHECK_FALSE(anonymous("anonymous = \"no\"", "anonymous = \"yes\""));
}

TEST_CASE("wiring: listeners share what comes from the same file, and stand alone without",
          "[config]") {
    TempFolder folder;
    auto rules = folder.write("rules", "user anna\ntopic a/#\n");
    auto config = config_of(
        "[[listener]]\n[[listener]]\nport = 1\n[[listener]]\nport = 2\nacl_file = \"\"\n"
        "[auth]\nacl_file = \"" +
        rules + "\"\n");
    Security security{config};
    auto net = net_settings(config);
    for (std::size_t i = 0; i < 3; ++i)
        security.put_into(net.listeners[i].link, config.listeners[i]);
    CHECK(net.listeners[0].link.authorizer != nullptr);
    CHECK(net.listeners[0].link.authorizer == net.listeners[1].link.authorizer);
    // With rules a user name must be proved; without anything there is nothing to ask.
    CHECK(net.listeners[0].link.authenticator != nullptr);
    CHECK(net.listeners[2].link.authorizer == nullptr);
    CHECK(net.listeners[2].link.authenticator == nullptr);
    auto items = security.reload_items();
    REQUIRE(items.size() == 1);
    CHECK(items[0].paths == std::vector{rules});

    auto const* authorizer = net.listeners[0].link.authorizer;
    CHECK(authorizer->access_of("c", "anna")->may_publish("a/b"));
    auto before = authorizer->generation();
    folder.write("rules", "user anna\ntopik a/#\n");
    CHECK(items[0].reload().value().find("rules:2") != std::string::npos);
    CHECK(authorizer->generation() == before);
    CHECK(authorizer->access_of("c", "anna")->may_publish("a/b"));
    folder.write("rules", "user anna\ntopic b/#\n");
    CHECK_FALSE(items[0].reload());
    CHECK(authorizer->generation() != before);
    CHECK_FALSE(authorizer->access_of("c", "anna")->may_publish("a/b"));
}

TEST_CASE("wiring: a file that cannot be used stops the start with its name", "[config]") {
    auto config = config_of("[auth]\npassword_file = \"/nowhere/users\"\n");
    Security security{config};
    LinkSettings settings;
    CHECK_THROWS_WITH(security.put_into(settings, config.listeners[0]),
                      Catch::Contains("/nowhere/users"));
}

TEST_CASE("wiring: receipts, command topics and events get what is configured", "[config]") {
    auto core = core_settings(config_of(R"(
        [receipts]
        publishers = ["user:zoe", "client:b", "user:ann:x", "client:a"]
        [events]
        node = "n/1"
    )"));
    CHECK(core.receipts.clients == std::vector<std::string>{"a", "b"});
    CHECK(core.receipts.users == std::vector<std::string>{"ann:x", "zoe"});
    CHECK(core.command_topics.filters == std::vector<std::string>{"d/+/cmd", "g/+/cmd"});
    CHECK_FALSE(core.command_topics.drop_expired_in_flight);
    CHECK(core.client_events.enabled);
    CHECK(core.client_events.node == "n%2F1");
    core = core_settings(config_of(R"(
        [command_topics]
        filters = ["x/#"]
        drop_expired_in_flight = true
        [events]
        clients = false
    )"));
    CHECK(core.receipts.clients.empty());
    CHECK(core.command_topics.filters == std::vector<std::string>{"x/#"});
    CHECK(core.command_topics.drop_expired_in_flight);
    CHECK_FALSE(core.client_events.enabled);
    CHECK_FALSE(core.client_events.node.empty());  // the host's
}
