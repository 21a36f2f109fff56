#include "broker/net/websocket_upgrade.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace spoke;
using namespace spoke::broker;

namespace {

/// The request of RFC 6455, 1.3, with the subprotocol of MQTT; a test changes its lines.
struct Request {
    std::string start = "GET /mqtt HTTP/1.1";
    std::string host = "Host: server.example.com";
    std::string upgrade = "Upgrade: websocket";
    std::string connection = "Connection: Upgrade";
    std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    std::string protocol = "Sec-WebSocket-Protocol: mqtt";
    std::string version = "Sec-WebSocket-Version: 13";
    std::string more{};

    [[nodiscard]] std::string text() const {
        std::string text;
        for (auto const& line : {start, host, upgrade, connection, key, protocol, version, more}) {
            if (!line.empty()) text += line + "\r\n";
        }
        return text + "\r\n";
    }
};

UpgradeAnswer answer(Request const& request, WebSocketSettings const& settings = {}) {
    return answer_upgrade(request.text(), settings);
}

constexpr auto kAccepted =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

struct Row {
    std::string_view name;
    void (*change)(Request&);
    unsigned status;
};

std::vector<Row> const kRows{
    {"the request as it is", [](Request&) {}, 101},
    {"a query", [](Request& r) { r.start = "GET /mqtt?token=x HTTP/1.1"; }, 101},
    {"a target with host", [](Request& r) { r.start = "GET http://h:80/mqtt HTTP/1.1"; }, 101},
    {"a target with host and no path", [](Request& r) { r.start = "GET http://h HTTP/1.1"; }, 404},
    {"another path", [](Request& r) { r.start = "GET / HTTP/1.1"; }, 404},
    {"a longer path", [](Request& r) { r.start = "GET /mqtt/ HTTP/1.1"; }, 404},
    {"a target that is no path", [](Request& r) { r.start = "GET * HTTP/1.1"; }, 404},
    {"another method", [](Request& r) { r.start = "POST /mqtt HTTP/1.1"; }, 405},
    {"a method nobody knows", [](Request& r) { r.start = "MQTT /mqtt HTTP/1.1"; }, 405},
    {"HTTP 1.0", [](Request& r) { r.start = "GET /mqtt HTTP/1.0"; }, 400},
    {"HTTP 2", [](Request& r) { r.start = "GET /mqtt HTTP/2.0"; }, 400},
    {"no version", [](Request& r) { r.start = "GET /mqtt"; }, 400},
    {"no host", [](Request& r) { r.host = ""; }, 400},
    {"two hosts", [](Request& r) { r.more = "Host: other"; }, 400},
    {"no upgrade", [](Request& r) { r.upgrade = ""; }, 400},
    {"an upgrade to something else", [](Request& r) { r.upgrade = "Upgrade: h2c"; }, 400},
    {"an upgrade in a list, in capitals", [](Request& r) { r.upgrade = "Upgrade: h2c, WebSocket"; },
     101},
    {"no connection", [](Request& r) { r.connection = ""; }, 400},
    {"a connection that stays", [](Request& r) { r.connection = "Connection: keep-alive"; }, 400},
    {"a connection list as Firefox sends it",
     [](Request& r) { r.connection = "Connection: keep-alive, Upgrade"; }, 101},
    {"a connection list over two lines",
     [](Request& r) { r.connection = "Connection: keep-alive\r\nConnection: upgrade"; }, 101},
    {"header names in small letters",
     [](Request& r) {
         r.upgrade = "upgrade:websocket";
         r.key = "sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==";
     },
     101},
    {"no key", [](Request& r) { r.key = ""; }, 400},
    {"two keys", [](Request& r) { r.more = r.key; }, 400},
    {"an empty key", [](Request& r) { r.key = "Sec-WebSocket-Key:"; }, 400},
    {"a key of 15 bytes", [](Request& r) { r.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"; },
     400},
    {"a key of 17 bytes", [](Request& r) { r.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="; },
     400},
    {"a key that is no base64",
     [](Request& r) { r.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2.jZQ=="; }, 400},
    {"no version of WebSocket", [](Request& r) { r.version = ""; }, 426},
    {"an old version of WebSocket", [](Request& r) { r.version = "Sec-WebSocket-Version: 8"; },
     426},
    {"versions in a list", [](Request& r) { r.version = "Sec-WebSocket-Version: 13, 8"; }, 426},
    {"the version twice", [](Request& r) { r.more = r.version; }, 426},
    {"no subprotocol", [](Request& r) { r.protocol = ""; }, 400},
    {"another subprotocol", [](Request& r) { r.protocol = "Sec-WebSocket-Protocol: chat"; }, 400},
    {"a subprotocol in capitals", [](Request& r) { r.protocol = "Sec-WebSocket-Protocol: MQTT"; },
     400},
    {"a body", [](Request& r) { r.more = "Content-Length: 1"; }, 400},
    {"an empty body", [](Request& r) { r.more = "Content-Length: 0"; }, 101},
    {"a body in chunks", [](Request& r) { r.more = "Transfer-Encoding: chunked"; }, 400},
    {"a length that is no number", [](Request& r) { r.more = "Content-Length: x"; }, 400},
    {"a line that is no header", [](Request& r) { r.more = "what"; }, 400},
    {"a control character in a name", [](Request& r) { r.more = "na\x01me: x"; }, 400},
    {"a control character in a value", [](Request& r) { r.more = "name: \x01"; }, 400},
    {"an origin, where all are welcome", [](Request& r) { r.more = "Origin: https://x"; }, 101},
};

std::string_view header_of(std::string_view reply, std::string_view name) {
    auto at = reply.find(name);
    if (at == std::string_view::npos) return {};
    auto value = reply.substr(at + name.size());
    return value.substr(0, value.find("\r\n"));
}

/// Feeds `text` in pieces; what was used in all.
std::pair<std::size_t, std::optional<UpgradeAnswer>> read_in_pieces(
    std::string_view text, std::size_t first, std::size_t piece,
    WebSocketSettings const& settings) {
    UpgradeReader reader;
    std::size_t used = 0;
    for (auto size = first; used < text.size(); size = piece) {
        auto step = reader.read(as_bytes(text.substr(used, size)), settings);
        used += step.used;
        if (step.answer) return {used, std::move(step.answer)};
    }
    return {used, std::nullopt};
}

}  // namespace

TEST_CASE("WebSocket upgrade: the example of RFC 6455") {
    auto got = answer({});
    CHECK(got.is_accepted());
    CHECK(got.reply == kAccepted);
    CHECK(got.problem.empty());
}

TEST_CASE("WebSocket upgrade: what is accepted and what is refused with which status") {
    for (auto const& row : kRows) {
        CAPTURE(row.name);
        Request request;
        row.change(request);
        auto got = answer(request);
        CAPTURE(got.reply);
        CHECK(got.status == row.status);
        CHECK(got.is_accepted() == got.problem.empty());
        if (got.is_accepted()) {
            CHECK(got.reply == kAccepted);
            continue;
        }
        auto body = got.problem + "\n";
        CHECK(got.reply.starts_with("HTTP/1.1 " + std::to_string(row.status) + " "));
        CHECK(got.reply.ends_with("\r\nConnection: close\r\n\r\n" + body));
        CHECK(header_of(got.reply, "Content-Length: ") == std::to_string(body.size()));
        CHECK(header_of(got.reply, "Sec-WebSocket-Version: ") == (row.status == 426 ? "13" : ""));
        CHECK(header_of(got.reply, "Allow: ") == (row.status == 405 ? "GET" : ""));
    }
}

TEST_CASE("WebSocket upgrade: mqtt is chosen wherever it stands in the offer",
          "[v3.1.1][MQTT-6.0.0-4][v5.0][MQTT-6.0.0-4][gotcha-60]") {
    auto [offer, chosen] = GENERATE(table<std::string, std::string>({
        {"mqtt", "mqtt"},
        {"mqttv3.1, mqtt", "mqtt"},
        {"x, mqtt", "mqtt"},
        {"x,mqtt,y", "mqtt"},
        {"mqttv3.1\r\nSec-WebSocket-Protocol: mqtt", "mqtt"},
        {"x\r\nSec-WebSocket-Protocol: y, mqtt", "mqtt"},
        {"mqttv3.1", "mqttv3.1"},
        {"x, mqttv3.1", "mqttv3.1"},
    }));
    CAPTURE(offer);
    auto got = answer({.protocol = "Sec-WebSocket-Protocol: " + offer});
    CHECK(got.is_accepted());
    CHECK(header_of(got.reply, "Sec-WebSocket-Protocol: ") == chosen);
}

TEST_CASE("WebSocket upgrade: no extension is taken up") {
    auto got =
        answer({.more = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"});
    CHECK(got.is_accepted());
    CHECK(got.reply == kAccepted);
}

TEST_CASE("WebSocket upgrade: only pages of the listed origins") {
    WebSocketSettings settings;
    settings.origins = {"https://app.example.com", "http://localhost:3000"};
    auto [origin, status] = GENERATE(table<std::string, unsigned>({
        {"Origin: https://app.example.com", 101},
        {"Origin: HTTPS://App.example.com", 101},
        {"Origin: http://localhost:3000", 101},
        {"Origin: http://localhost:3001", 403},
        {"Origin: http://app.example.com", 403},
        {"Origin: https://app.example.com.evil.org", 403},
        {"Origin: https://evil.org", 403},
        {"Origin: null", 403},
        {"Origin:", 403},
        {"Origin: https://app.example.com\r\nOrigin: https://evil.org", 403},
        {"", 101},  // no browser
    }));
    CAPTURE(origin);
    CHECK(answer({.more = origin}, settings).status == status);
}

TEST_CASE("WebSocket upgrade: the path that is configured") {
    WebSocketSettings settings;
    settings.path = "/";
    CHECK(answer({}, settings).status == 404);
    CHECK(answer({.start = "GET / HTTP/1.1"}, settings).is_accepted());
    CHECK(answer({.start = "GET ws://host HTTP/1.1"}, settings).is_accepted());
}

TEST_CASE("WebSocket upgrade: as many headers as there may be, and one more") {
    WebSocketSettings settings;
    settings.headers_max = 10;
    Request request;  // has six
    for (int i = 0; i < 4; ++i) request.more += (i > 0 ? "\r\nX: y" : "X: y");
    CHECK(answer(request, settings).is_accepted());
    request.more += "\r\nX: y";
    CHECK(answer(request, settings).status == 431);
}

TEST_CASE("WebSocket upgrade: a request cut at every byte, with frames behind it") {
    auto text = Request{}.text();
    auto more = text + "\x82\x80";
    for (std::size_t cut = 1; cut <= more.size(); ++cut) {
        CAPTURE(cut);
        auto [used, got] = read_in_pieces(more, cut, more.size(), {});
        CHECK(used == text.size());
        REQUIRE(got);
        CHECK(got->reply == kAccepted);
        auto [part_used, part] = read_in_pieces(more.substr(0, cut), cut, 1, {});
        CHECK(part_used == std::min(cut, text.size()));
        CHECK(part.has_value() == (cut >= text.size()));
    }
    auto [used, got] = read_in_pieces(more, 1, 1, {});
    CHECK(used == text.size());
    REQUIRE(got);
    CHECK(got->reply == kAccepted);
}

TEST_CASE("WebSocket upgrade: a request of the largest size, and one byte more") {
    auto piece = GENERATE(1U, 100U, 100'000U);
    WebSocketSettings settings;
    settings.request_size_max = 512;
    Request request{.more = "X: "};
    request.more += std::string(512 - request.text().size(), 'x');
    REQUIRE(request.text().size() == 512);
    auto [used, got] = read_in_pieces(request.text() + "more", piece, piece, settings);
    CHECK(used == 512);
    REQUIRE(got);
    CHECK(got->is_accepted());

    request.more += 'x';
    std::tie(used, got) = read_in_pieces(request.text(), piece, piece, settings);
    CHECK(used == 512);
    REQUIRE(got);
    CHECK(got->status == 431);
}

TEST_CASE("WebSocket upgrade: what is no HTTP is refused with its first byte") {
    for (std::string_view text : {"\x10", "\x16\x03\x01", "\r\n", " ", "get", "\x80"}) {
        UpgradeReader reader;
        auto step = reader.read(as_bytes(text), {});
        REQUIRE(step.answer);
        CHECK(step.answer->status == 400);
    }
    UpgradeReader reader;
    CHECK_FALSE(reader.read({}, {}).answer);
}

TEST_CASE("WebSocket upgrade: what is no HTTP is told so however its bytes are cut") {
    std::string request = "1GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (auto piece : {std::size_t{1}, std::size_t{4}, request.size()}) {
        UpgradeReader reader;
        auto step = reader.read(as_bytes(std::string_view{request}.substr(0, piece)), {});
        REQUIRE(step.answer);
        CHECK(step.answer->status == 400);
    }
}
