#include "bridge/api/mqtt_relay.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <optional>

#include "tests/unit/bridge/support/server_world.hpp"

namespace spoke::bridge::test {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

/// A server with a relay to a broker that the test plays.
struct RelayWorld : ServerWorld {
    explicit RelayWorld(MqttRelay::Settings settings = {}) : relay{context, at_broker(settings)} {
        handler = [this](HttpRequest const& request, Respond respond) {
            relay.open(request, std::move(respond));
        };
    }

    MqttRelay::Settings at_broker(MqttRelay::Settings settings) {
        settings.port = acceptor.local_endpoint().port();
        return settings;
    }

    /// The next connection to the broker.
    tcp::socket take() {
        std::optional<tcp::socket> taken;
        acceptor.async_accept([&](error_code, tcp::socket socket) { taken = std::move(socket); });
        run_until([&] { return taken.has_value(); });
        return std::move(*taken);
    }

    tcp::acceptor acceptor{context, {net::ip::make_address("127.0.0.1"), 0}};
    MqttRelay relay;
};

using Stream = websocket::stream<beast::tcp_stream>;

struct RelayClient {
    explicit RelayClient(RelayWorld& w, std::string protocol = "mqtt")
        : world(w), stream(w.context) {
        beast::get_lowest_layer(stream).connect(
            {net::ip::make_address("127.0.0.1"), w.server.port()});
        stream.set_option(websocket::stream_base::decorator(
            [protocol = std::move(protocol)](websocket::request_type& request) {
                request.set("Sec-WebSocket-Protocol", protocol);
            }));
        stream.binary(true);
        stream.async_handshake(response, "x", "/mqtt", [this](error_code) { is_done = true; });
    }

    RelayClient& opened() {
        world.run_until([this] { return is_done; });
        REQUIRE(response.result_int() == 101);
        return *this;
    }

    unsigned refused() {
        world.run_until([this] { return is_done; });
        return response.result_int();
    }

    void send(std::string const& bytes) {
        auto sent = false;
        stream.async_write(net::buffer(bytes), [&](error_code, std::size_t) { sent = true; });
        world.run_until([&] { return sent; });
    }

    /// The code of the close that comes instead of a message.
    unsigned closed() {
        beast::flat_buffer buffer;
        std::optional<error_code> ended;
        stream.async_read(buffer, [&](error_code error, std::size_t) { ended = error; });
        world.run_until([&] { return ended.has_value(); });
        REQUIRE(*ended == websocket::error::closed);
        return stream.reason().code;
    }

    RelayWorld& world;
    Stream stream;
    websocket::response_type response;
    bool is_done = false;
};

std::string read_some(RelayWorld& w, tcp::socket& socket) {
    std::array<char, 65'536> bytes;
    std::optional<std::size_t> got;
    socket.async_read_some(net::buffer(bytes), [&](error_code, std::size_t size) { got = size; });
    w.run_until([&] { return got.has_value(); });
    return {bytes.data(), *got};
}

/// Turns the loop until nothing is ready to be done.
void run_dry(RelayWorld& w) {
    if (w.context.stopped()) w.context.restart();
    while (w.context.poll() > 0) {
    }
}

TEST_CASE("relay: bytes go to and fro as they are", "[bridge][relay]") {
    RelayWorld w;
    RelayClient client{w, "mqttv3.1"};
    auto broker = w.take();
    client.opened();
    CHECK(client.response["Sec-WebSocket-Protocol"] == "mqttv3.1");
    CHECK(w.relay.size() == 1);
    client.send("one");
    client.send(std::string{"\0two", 4});
    std::string got;
    while (got.size() < 7) got += read_some(w, broker);
    CHECK(got == (std::string{"one\0two", 7}));
    net::write(broker, net::buffer(std::string_view{"three"}));
    beast::flat_buffer buffer;
    auto read = false;
    client.stream.async_read(buffer, [&](error_code, std::size_t) { read = true; });
    w.run_until([&] { return read; });
    CHECK(beast::buffers_to_string(buffer.data()) == "three");
    CHECK(client.stream.got_binary());
    auto counters = w.relay.counters();
    CHECK(counters.open == 1);
    CHECK(counters.opened == 1);
    CHECK(counters.to_broker_bytes == 7);
    CHECK(counters.from_broker_bytes == 5);
}

TEST_CASE("relay: what the client sent before it went still reaches the broker",
          "[bridge][relay]") {
    RelayWorld w;
    RelayClient client{w};
    auto broker = w.take();
    client.opened();
    client.send(std::string(300'000, 'x'));
    beast::get_lowest_layer(client.stream).close();
    std::size_t got = 0;
    for (auto piece = read_some(w, broker); !piece.empty(); piece = read_some(w, broker)) {
        got += piece.size();
    }
    CHECK(got == 300'000);
    broker.close();
    w.run_until([&] { return w.relay.size() == 0; });
}

TEST_CASE("relay: a broker that reads slowly holds its client up, within the bound",
          "[bridge][relay]") {
    RelayWorld w{{.buffer_bytes = 100'000}};
    RelayClient client{w};
    auto broker = w.take();
    client.opened();
    std::string const message(50'000, 'x');
    std::size_t sent = 0;
    auto is_writing = false;
    std::function<void()> write = [&] {
        is_writing = true;
        client.stream.async_write(net::buffer(message), [&](error_code error, std::size_t size) {
            is_writing = false;
            sent += size;
            if (!error && sent < 100'000'000) write();
        });
    };
    write();
    run_dry(w);
    CHECK(is_writing);  // the kernel's buffers and ours are full
    CHECK(sent < 50'000'000);
    auto before = sent;
    std::size_t got = 0;
    while (got < before + 1'000'000) got += read_some(w, broker).size();
    CHECK(sent > before);
}

TEST_CASE("relay: a client that does not read holds its broker up, within the bound",
          "[bridge][relay]") {
    RelayWorld w{{.buffer_bytes = 100'000}};
    RelayClient client{w};
    auto broker = w.take();
    client.opened();
    std::string const bytes(50'000, 'x');
    std::size_t sent = 0;
    auto is_writing = false;
    std::function<void()> write = [&] {
        is_writing = true;
        net::async_write(broker, net::buffer(bytes), [&](error_code error, std::size_t size) {
            is_writing = false;
            sent += size;
            if (!error && sent < 100'000'000) write();
        });
    };
    write();
    run_dry(w);
    CHECK(is_writing);
    CHECK(sent < 50'000'000);
    auto before = sent;
    std::size_t got = 0;
    while (got < before + 1'000'000) {
        beast::flat_buffer buffer;
        auto read = false;
        client.stream.async_read(buffer, [&](error_code, std::size_t size) {
            got += size;
            read = true;
        });
        w.run_until([&] { return read; });
    }
    CHECK(sent > before);
}

TEST_CASE("relay: the broker closes, and so does the socket", "[bridge][relay]") {
    RelayWorld w;
    RelayClient client{w};
    auto broker = w.take();
    client.opened();
    broker.close();
    CHECK(client.closed() == 1013);
    w.run_until([&] { return w.relay.size() == 0; });
}

TEST_CASE("relay: no more connections than the configuration says", "[bridge][relay]") {
    RelayWorld w{{.connections_max = 1}};
    RelayClient first{w};
    auto broker = w.take();
    first.opened();
    CHECK(RelayClient{w}.refused() == 503);
    CHECK(w.relay.counters().refused == 1);
    broker.close();
    CHECK(first.closed() == 1013);
    w.run_until([&] { return w.relay.size() == 0; });
    RelayClient again{w};
    auto next = w.take();
    again.opened();
}

TEST_CASE("relay: without a broker there is no socket", "[bridge][relay]") {
    RelayWorld w;
    w.acceptor.close();
    CHECK(RelayClient{w}.refused() == 503);
    CHECK(w.relay.counters().failed == 1);
    CHECK(w.relay.size() == 0);
}

TEST_CASE("relay: another subprotocol is refused", "[bridge][relay]") {
    RelayWorld w;
    CHECK(RelayClient{w, "chat"}.refused() == 400);
}

}  // namespace
}  // namespace spoke::bridge::test
