// Connections that come through a proxy, on real sockets.
#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "broker/net/listener.hpp"
#include "broker/net/transport_proxy.hpp"
#include "broker/net/transport_tcp.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/unit/broker/net/running_broker.hpp"
#include "tests/unit/broker/net/websocket_client.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::Version;

namespace {

std::string const kLine = "PROXY TCP4 192.0.2.7 203.0.113.1 50000 1883\r\n";
// IPv4, and a verified certificate of "bike-7"
constexpr auto kBlock =
    "0D0A0D0A000D0A515549540A 21 11 001D C0000207 CB007101 C350 075B "
    "20 000E 03 00000000 22 0006 'bike-7'";

BrokerOptions behind_proxy(ProxyProtocol version) {
    auto options = with_shards(2);
    options.net.listeners[0].proxy.version = version;
    return options;
}

/// An accepted connection whose peer the test plays.
struct Accepted {
    explicit Accepted(ProxySettings const& asked) : settings(asked) {
        ListenerSettings here;
        here.port = 0;
        listener.emplace(here, std::uint8_t{1});
        client.emplace(listener->port());
        transport.emplace(std::make_unique<TcpTransport>(listener->accept(0).descriptor), settings);
    }
    /// Reads until something else than "not yet" comes.
    IoResult read() {
        for (;;) {
            auto result = transport->read_some(into);
            if (result.status != IoResult::Status::would_block) return result;
        }
    }
    ProxySettings settings;
    std::optional<Listener> listener{};
    std::optional<SocketClient> client{};
    std::optional<ProxyTransport> transport{};
    Buffer into = Buffer(100);
};

}  // namespace

TEST_CASE("proxy: the header is taken off, and nothing behind it is lost") {
    auto header = GENERATE(to_buffer(kLine), bytes_of(kBlock), to_buffer("PROXY UNKNOWN\r\n"));
    bool in_pieces = GENERATE(false, true);
    RunningBroker broker{behind_proxy(ProxyProtocol::any)};
    for (int shard = 0; shard < 2; ++shard) {
        SocketClient client{broker.port()};
        if (in_pieces) {
            client.sends_one_by_one(header);
        } else {
            client.sends_bytes(header);
        }
        client.sends(connect(Version::v5).id(broker.id_on_shard(shard, "c"))).gets(connack());
        client.sends(pingreq()).gets(pingresp());
    }
}

TEST_CASE("proxy: whom it connects for is whom the log names, and who is trusted") {
    ProxySettings settings;
    settings.common_name_is_identity = GENERATE(false, true);
    Accepted accepted{settings};
    auto own = accepted.transport->peer();
    CHECK(own.starts_with("127.0.0.1:"));
    auto bytes = bytes_of(kBlock);
    bytes.push_back(std::byte{'x'});
    accepted.client->sends_bytes(bytes);
    auto result = accepted.read();
    CHECK(result.status == IoResult::Status::done);
    CHECK(as_text(Bytes{accepted.into}.first(result.size)) == "x");
    CHECK(accepted.transport->is_open());
    CHECK(accepted.transport->peer() == "192.0.2.7:50000");
    auto identity = accepted.transport->take_identity();
    REQUIRE((identity != nullptr) == settings.common_name_is_identity);
    if (identity) CHECK(*identity == "bike-7");
    CHECK(accepted.transport->take_identity() == nullptr);
}

TEST_CASE("proxy: each kind of address, and the socket's own where the header has none") {
    auto [header, peer] = GENERATE(table<Buffer, std::string>({
        {to_buffer("PROXY TCP6 2001:db8::7 ::1 5 6\r\n"), "[2001:db8::7]:5"},
        {to_buffer("PROXY UNKNOWN\r\n"), ""},
        {bytes_of("0D0A0D0A000D0A515549540A 20 00 0000"), ""},
    }));
    Accepted accepted{{}};
    auto own = accepted.transport->peer();
    accepted.client->sends_bytes(header).sends_bytes(bytes_of("'x'"));
    CHECK(accepted.read().status == IoResult::Status::done);
    CHECK(accepted.transport->peer() == (peer.empty() ? own : peer));
}

TEST_CASE("proxy: without the header, or with a wrong one, a connection is closed") {
    auto bytes = GENERATE(bytes_of("10 0C 0004 'MQTT' 04 02 0000 0000"),
                          to_buffer("PROXY TCP4 1.2.3 4.5.6.7 8 9\r\n"),
                          bytes_of("0D0A0D0A000D0A515549540A 31 11 0000"),
                          bytes_of("0D0A0D0A000D0A515549540A 21 11 FFFF"));
    RunningBroker broker{behind_proxy(ProxyProtocol::any)};
    SocketClient client{broker.port()};
    client.sends_bytes(bytes);
    client.ends();
}

TEST_CASE("proxy: the reason is told to who asks") {
    Accepted accepted{{}};
    accepted.client->sends_bytes(as_bytes("GET / HTTP/1.1\r\n\r\n"));
    CHECK(accepted.read().status == IoResult::Status::failed);
    CHECK(accepted.transport->failure() == "PROXY header: no header");
    CHECK_FALSE(accepted.transport->is_open());
}

TEST_CASE("proxy: only the version that is asked for") {
    auto [asked, v1, v2] = GENERATE(table<ProxyProtocol, bool, bool>({
        {ProxyProtocol::v1, true, false},
        {ProxyProtocol::v2, false, true},
        {ProxyProtocol::any, true, true},
    }));
    RunningBroker broker{behind_proxy(asked)};
    auto is_served = [&](Buffer const& header) {
        SocketClient client{broker.port()};
        Buffer bytes = header;
        for (auto byte : bytes_of("10 0C 0004 'MQTT' 04 02 0000 0000 E0 00")) bytes.push_back(byte);
        client.speaks(Version::v3_1_1).sends_bytes(bytes);
        return client.takes_until_end().size() == 1;
    };
    CHECK(is_served(to_buffer(kLine)) == v1);
    CHECK(is_served(bytes_of(kBlock)) == v2);
}

TEST_CASE("proxy: a header where none is asked for is no MQTT") {
    RunningBroker broker;
    SocketClient client{broker.port()};
    client.sends_bytes(as_bytes(kLine));
    CHECK(client.takes_text().empty());
}

TEST_CASE("proxy: a header that does not come in time") {
    auto options = behind_proxy(ProxyProtocol::any);
    options.net.listeners[0].link.connect_timeout = 200ms;
    RunningBroker broker{options};
    SocketClient silent{broker.port()};
    SocketClient half{broker.port()};
    half.sends_bytes(as_bytes(kLine.substr(0, 20)));
    silent.ends();
    half.ends();
}

TEST_CASE("proxy: in front of WebSocket") {
    auto options = behind_proxy(ProxyProtocol::v1);
    options.net.listeners[0].websocket.emplace();
    RunningBroker broker{options};
    SocketClient raw{broker.port()};
    raw.sends_bytes(as_bytes(kLine + upgrade_request() + "\x88\x80" + std::string(4, '\0')));
    auto text = raw.takes_text();
    CHECK(text.starts_with("HTTP/1.1 101 "));
    CHECK(text.ends_with(std::string_view{"\x88\x00", 2}));
}
