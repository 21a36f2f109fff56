#include "broker/config/option_table.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "broker/config/config.hpp"
#include "broker/config/listener_options.hpp"

using namespace std::chrono_literals;
using namespace spoke::broker;
using spoke::options::OptionError;

TEST_CASE("broker config: the printed defaults load again and change nothing", "[config]") {
    Config config;
    auto printed = option_table(config).print();
    Config again;
    auto table = option_table(again);
    table.load_text(printed, "printed.toml");
    CHECK(table.print() == printed);
    CHECK_NOTHROW(check(again));
}

TEST_CASE("broker config: without a file it listens on 127.0.0.1:1883 alone", "[config]") {
    Config config;
    REQUIRE(config.listeners.size() == 1);
    CHECK(config.listeners[0].address == "127.0.0.1");
    CHECK(config.listeners[0].port == 1883);
}

TEST_CASE("broker config: every option says what it means", "[config]") {
    Config config;
    auto table = option_table(config);
    for (auto const& row : table.rows()) {
        CAPTURE(row.key);
        CHECK(row.meaning.ends_with('.'));
        CHECK_FALSE(row.unit.empty());
    }
}

TEST_CASE("broker config: a file reaches the structs", "[config]") {
    Config config;
    option_table(config).load_text(R"(
        [[listener]]
        address = "::1"
        port = 8883
        connect_timeout = "3 s"
        [limits]
        packet_size_max = "256 KiB"
        keep_alive_max = "unlimited"
        session_expiry_max = "7 d"
        [mqtt]
        maximum_qos = 1
        [performance]
        shards = 4
        busy_poll = "50 us"
        [log]
        level = "warning"
    )",
                                   "broker.toml");
    REQUIRE(config.listeners.size() == 1);
    CHECK(config.listeners[0].address == "::1");
    CHECK(config.listeners[0].connect_timeout == 3s);
    CHECK(config.limits.packet_size_max == 262144);
    CHECK(config.limits.keep_alive_max == 0s);
    CHECK(config.limits.session_expiry_max == 168h);
    CHECK(config.mqtt.maximum_qos == 1);
    CHECK(config.performance.shards == 4);
    CHECK(config.performance.busy_poll == 50us);
    CHECK(config.log.level == LogConfig::Level::warning);
}

TEST_CASE("broker config: options that do not go together are refused", "[config]") {
    Config config;
    option_table(config).load_text("listener = []", "broker.toml");
    CHECK_THROWS_AS(check(config), OptionError);

    Config other;
    other.limits.out_queue_bytes_max = other.limits.packet_size_max - 1;
    CHECK_THROWS_WITH(check(other), Catch::Contains("packet_size_max"));
}

TEST_CASE("broker config: options of a listener that do not go together are refused in one line",
          "[config]") {
    auto [options, complaint] = GENERATE(table<std::string, std::string>({
        {"websocket_path = '/x'", "websocket = true only"},
        {"websocket_origins = ['https://x']", "websocket = true only"},
        {"websocket_headers_max = 10", "websocket = true only"},
        {"websocket = true\nwebsocket_path = 'mqtt'", "websocket_path must begin with /"},
        {"websocket = true\nwebsocket_path = '/a?b'", "websocket_path must begin with /"},
        {"websocket = true\nwebsocket_path = '/a b'", "websocket_path must begin with /"},
        {"websocket = true\nwebsocket_origins = ['example.com']", "is no origin"},
        {"websocket = true\nwebsocket_origins = ['https://example.com/']", "is no origin"},
        {"websocket = true\nwebsocket_origins = ['://example.com']", "is no origin"},
        {"websocket = true\nwebsocket_origins = ['https://']", "is no origin"},
        {"proxy_header_size_max = 600", "proxy_protocol only"},
        {"proxy_common_name = true", "proxy_protocol only"},
        {"unix_mode = '0600'", "unix_mode, unix_owner and unix_group go with"},
        {"unix_owner = 'root'", "unix_mode, unix_owner and unix_group go with"},
        {"unix_group = 'root'", "unix_mode, unix_owner and unix_group go with"},
        {"address = 'unix:'", "a path that begins with /"},
        {"address = 'unix:run/mqtt'", "a path that begins with /"},
        {"address = 'unix:/" + std::string(107, 'x') + "'", "107 bytes at most"},
        {"address = 'unix:/x'\nunix_mode = '0888'", "must be octal"},
        {"address = 'unix:/x'\nunix_mode = '1777'", "must be octal"},
        {"address = 'unix:/x'\nunix_mode = ''", "must be octal"},
        {"address = 'unix:/x'\nreuse_port = true", "mean nothing for a Unix socket"},
        {"address = 'unix:/x'\ntcp_nodelay = false", "mean nothing for a Unix socket"},
        {"address = 'unix:/x'\ntcp_keepalive = true", "mean nothing for a Unix socket"},
        {"tcp_keepalive_count = 3", "tcp_keepalive = true only"},
        {"tcp_keepalive_idle = '3 s'", "tcp_keepalive = true only"},
        {"ipv6_only = true", "IPv6 address only"},
        {"[[listener]]", "and the same port"},
    }));
    CAPTURE(options);
    Config config;
    option_table(config).load_text("[[listener]]\n" + options, "broker.toml");
    CHECK_THROWS_WITH(check(config), Catch::Contains(complaint) && Catch::Contains("listener") &&
                                         !Catch::Contains("\n"));
}

TEST_CASE("broker config: who may ask for receipts, and where commands go", "[config]") {
    using Catch::Contains;
    auto problem = [](std::string const& options) -> std::string {
        Config config;
        option_table(config).load_text(options, "broker.toml");
        try {
            check(config);
            return "";
        } catch (OptionError const& error) {
            return error.what();
        }
    };
    CHECK(problem("[receipts]\npublishers = [\"client:b\", \"user:a:b\"]") == "");
    for (auto const* bad : {"b", "client:", ":b", "clients:b", "user", ""}) {
        CHECK_THAT(problem(fmt::format("[receipts]\npublishers = [\"{}\"]", bad)),
                   Contains(fmt::format("\"{}\" is neither \"client:ID\" nor", bad)));
    }
    CHECK(problem("[command_topics]\nfilters = []\ndrop_expired_in_flight = true") == "");
    CHECK(problem("[command_topics]\nfilters = [\"#\", \"a/+\"]") == "");
    for (auto const* bad : {"", "a#", "#/a", "$share/g/a"}) {
        CHECK_THAT(problem(fmt::format("[command_topics]\nfilters = [\"{}\"]", bad)),
                   Contains(fmt::format("\"{}\" is no topic filter", bad)));
    }
}

TEST_CASE("broker config: a mode is octal digits", "[config]") {
    CHECK(file_mode("0660") == 0660U);
    CHECK(file_mode("7") == 7U);
    CHECK(file_mode("0777") == 0777U);
    for (auto const* text : {"", "01000", "8", "-1", " 7", "7 ", "rw-"})
        CHECK_FALSE(file_mode(text));
}

TEST_CASE("broker config: TLS options that do not fit together are told", "[config]") {
    auto problem = [](std::string const& options) -> std::string {
        Config config;
        option_table(config).load_text("[[listener]]\n" + options, "broker.toml");
        try {
            check(config);
            return "";
        } catch (OptionError const& error) {
            return error.what();
        }
    };
    std::string const pair = "tls_certificate = \"a\"\ntls_key = \"b\"\n";
    CHECK(problem(pair) == "");
    CHECK(problem("tls_psk_file = \"p\"") == "");
    CHECK(problem(pair + "tls_client_certificate = \"optional\"\ntls_ca = \"c\"\n"
                         "tls_crl = \"d\"\ntls_identity = \"san_uri\"") == "");
    using Catch::Contains;
    CHECK_THAT(problem("tls_key = \"b\""), Contains("needs a tls_certificate"));
    CHECK_THAT(problem("tls_ca = \"b\""), Contains("needs a tls_certificate"));
    CHECK_THAT(problem("tls_psk_file = \"p\"\ntls_more_certificates = [\"a\"]"),
               Contains("need a tls_certificate"));
    CHECK_THAT(problem(pair + "tls_more_certificates = [\"a\", \"b\"]\ntls_more_keys = [\"a\"]"),
               Contains("as many as"));
    CHECK_THAT(problem(pair + "tls_version_min = \"1.3\"\ntls_version_max = \"1.2\""),
               Contains("above tls_version_max"));
    CHECK_THAT(problem(pair + "tls_client_certificate = \"required\""), Contains("needs a tls_ca"));
    CHECK_THAT(problem(pair + "tls_identity = \"cn\""), Contains("needs a tls_client_certificate"));
    CHECK_THAT(problem(pair + "tls_crl = \"d\""), Contains("needs a tls_client_certificate"));
}
