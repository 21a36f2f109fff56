// The WebSocket layer over a stream that takes and gives what a test wants it to.
#include "broker/net/transport_ws.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <random>
#include <string>

#include "tests/support/packet_table.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/broker/net/client_frames.hpp"
#include "tests/unit/broker/net/websocket_client.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace spoke::test;
using Status = IoResult::Status;

namespace {

class FakeStream final : public Transport {
public:
    [[nodiscard]] int descriptor() const noexcept override { return 7; }
    IoResult read_some(std::span<std::byte> into) noexcept override {
        if (input.empty()) return {ended ? Status::closed : Status::would_block};
        auto size = std::min(into.size(), input.size());
        std::copy_n(input.begin(), size, into.begin());
        input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
        return {Status::done, size};
    }
    IoResult write_some(std::span<iovec const> pieces) noexcept override {
        if (room == 0) return {Status::would_block};
        std::size_t size = 0;
        for (auto const& piece : pieces) {
            auto part = std::min(piece.iov_len, room);
            auto const* from = static_cast<std::byte const*>(piece.iov_base);
            output.insert(output.end(), from, from + part);
            room -= part;
            size += part;
        }
        return {Status::done, size};
    }
    void shut_down_write() noexcept override { is_shut_down = true; }
    [[nodiscard]] std::string peer() const override { return "peer"; }

    void gives(Bytes bytes) { input.insert(input.end(), bytes.begin(), bytes.end()); }
    Buffer takes_output() { return std::exchange(output, {}); }

    Buffer input{};
    Buffer output{};
    std::size_t room = 1'000'000;
    bool ended = false;
    bool is_shut_down = false;
};

/// Each piece is a packet.
std::uint64_t whole(Bytes bytes) {
    return bytes.size();
}

/// The first byte of a packet is its size.
std::uint64_t first_byte(Bytes bytes) {
    return static_cast<std::uint64_t>(bytes[0]);
}

/// The layer over a FakeStream, its handshake made.
struct Layered {
    explicit Layered(WebSocketTransport::UnitSize unit_size = whole)
        : transport{std::unique_ptr<Transport>{stream}, settings, unit_size} {
        stream->gives(as_bytes(upgrade_request()));
        REQUIRE(read() == "");
        REQUIRE(transport.is_open());
        REQUIRE(as_text(stream->takes_output()).starts_with("HTTP/1.1 101 "));
    }
    /// What one read gives; its status is in `status`.
    std::string read() {
        Buffer into(1000);
        auto result = transport.read_some(into);
        status = result.status;
        return std::string{as_text(Bytes{into}.first(result.size))};
    }
    IoResult write(std::string_view text) {
        iovec piece{const_cast<char*>(text.data()), text.size()};
        return transport.write_some({&piece, 1});
    }

    WebSocketSettings settings{};
    FakeStream* stream = new FakeStream;  // owned by `transport`
    WebSocketTransport transport;
    Status status{};
};

/// The payloads of the server's frames, one behind the other; what is cut short at the end counts
/// as `left` bytes that are owed.
struct Parsed {
    std::string payload{};
    std::size_t left = 0;
};
Parsed parse(Bytes bytes) {
    Parsed parsed;
    while (!bytes.empty()) {
        auto at = [&](std::size_t i) { return static_cast<std::size_t>(bytes[i]); };
        REQUIRE(at(0) == kBinary);
        REQUIRE(bytes.size() >= 2);
        std::size_t head = at(1) == 126 ? 4 : 2;
        REQUIRE(at(1) < 127);
        REQUIRE(bytes.size() >= head);
        std::size_t size = head == 4 ? at(2) << 8 | at(3) : at(1);
        bytes = bytes.subspan(head);
        auto part = std::min(size, bytes.size());
        parsed.payload += as_text(bytes.first(part));
        parsed.left = size - part;
        bytes = bytes.subspan(part);
    }
    return parsed;
}

}  // namespace

TEST_CASE("WebSocket transport: a request in single bytes, and frames right behind it") {
    WebSocketSettings settings;
    auto* stream = new FakeStream;
    WebSocketTransport transport{std::unique_ptr<Transport>{stream}, settings, whole};
    CHECK_FALSE(transport.is_open());
    auto request = upgrade_request();
    Buffer into(1000);
    for (std::size_t i = 0; i + 1 < request.size(); ++i) {
        stream->gives(as_bytes(request.substr(i, 1)));
        REQUIRE(transport.read_some(into).status == Status::would_block);
        REQUIRE_FALSE(transport.is_open());
    }
    stream->gives(as_bytes(request.substr(request.size() - 1)));
    stream->gives(client_frame(kBinary, "early"));
    auto result = transport.read_some(into);
    REQUIRE(result.status == Status::done);
    CHECK(as_text(Bytes{into}.first(result.size)) == "early");
    CHECK(transport.is_open());
}

TEST_CASE("WebSocket transport: a refused request is answered, then the stream ends") {
    WebSocketSettings settings;
    auto* stream = new FakeStream;
    WebSocketTransport transport{std::unique_ptr<Transport>{stream}, settings, whole};
    stream->gives(as_bytes(upgrade_request("/other")));
    stream->room = 10;  // not all of the answer at once
    Buffer into(1000);
    CHECK(transport.read_some(into).status == Status::failed);
    CHECK(transport.failure() == "WebSocket refused: there is nothing at this path");
    transport.shut_down_write();
    CHECK(transport.wants_write());
    CHECK_FALSE(stream->is_shut_down);
    stream->room = 1000;
    transport.on_writable();
    CHECK_FALSE(transport.wants_write());
    CHECK(stream->is_shut_down);
    CHECK(as_text(stream->output).starts_with("HTTP/1.1 404 Not Found\r\n"));
    CHECK(as_text(stream->output).ends_with("\n"));
}

TEST_CASE("WebSocket transport: what comes before a close frame is read before the failure") {
    Layered layered;
    layered.stream->gives(client_frame(kBinary, "last words"));
    layered.stream->gives(client_frame(kClose, bytes_of("03E9")));
    layered.stream->gives(client_frame(kBinary, "dropped"));
    CHECK(layered.read() == "last words");
    CHECK(layered.transport.has_input());
    CHECK(layered.write("answer").size == 6);
    CHECK(layered.read() == "");
    CHECK(layered.status == Status::failed);
    CHECK_FALSE(layered.transport.has_input());
    CHECK(layered.transport.failure() == "WebSocket closed by the client (1001)");
    layered.transport.shut_down_write();
    CHECK(layered.stream->takes_output() == bytes_of("82 06 'answer' 88 02 03E9"));
    CHECK(layered.stream->is_shut_down);
    layered.stream->ended = true;
    (void)layered.read();
    CHECK(layered.status == Status::closed);
}

TEST_CASE("WebSocket transport: each way in which the stream ends has its close frame") {
    auto [sent, answer] = GENERATE(table<Buffer, std::string>({
        {client_frame(kClose, Bytes{}), "88 00"},
        {client_frame(kClose, bytes_of("03E8")), "88 02 03E8"},
        {client_frame(kText, "text"), "88 02 03EB"},
        {bytes_of("82 01 'x'"), "88 02 03EA"},
        {client_frame(kClose, bytes_of("03E8 FF")), "88 02 03EF"},
        {Buffer{}, "88 02 03E8"},  // the server's own wish
    }));
    Layered layered;
    layered.stream->gives(sent);
    CHECK(layered.read() == "");
    CHECK(layered.status == (sent.empty() ? Status::would_block : Status::failed));
    layered.transport.shut_down_write();
    CHECK(layered.stream->output == bytes_of(answer));
    CHECK(layered.stream->is_shut_down);
}

TEST_CASE("WebSocket transport: pings are answered between frames, when there is room") {
    Layered layered;
    layered.stream->gives(client_frame(kPing, "one"));
    CHECK(layered.read() == "");
    CHECK(layered.stream->takes_output() == bytes_of("8A 03 'one'"));

    layered.stream->room = 4;
    CHECK(layered.write("payload").size == 2);  // half a frame is out
    layered.stream->gives(client_frame(kPing, "two"));
    layered.stream->gives(client_frame(kPing, "three"));
    CHECK(layered.read() == "");
    layered.stream->room = 100;
    CHECK(layered.write("yload").size == 5);
    CHECK(layered.write("more").size == 4);
    CHECK(layered.stream->output == bytes_of("82 07 'payload' 8A 05 'three' 82 04 'more'"));

    layered.stream->takes_output();
    layered.stream->room = 0;
    layered.stream->gives(client_frame(kPing, "four"));
    CHECK(layered.read() == "");
    CHECK(layered.transport.wants_write());
    layered.stream->room = 100;
    layered.transport.on_writable();
    CHECK_FALSE(layered.transport.wants_write());
    CHECK(layered.stream->output == bytes_of("8A 04 'four'"));
}

TEST_CASE("WebSocket transport: a frame of which only the header went out has begun") {
    auto room = GENERATE(1U, 2U, 3U, 4U);
    std::string const text(200, 'x');  // a header of four bytes
    Layered layered;
    layered.stream->room = room;
    CHECK(layered.write(text).size == 1);
    CHECK(layered.transport.wants_write());
    layered.stream->room = 1000;
    layered.transport.on_writable();
    CHECK_FALSE(layered.transport.wants_write());
    CHECK(layered.write(text.substr(1)).size == 199);
    CHECK(parse(layered.stream->output).payload == text);
    CHECK(layered.stream->output.size() == 204);
}

TEST_CASE("WebSocket transport: in the middle of a frame the stream just ends") {
    Layered layered;
    layered.stream->room = 4;
    CHECK(layered.write("payload").size == 2);
    layered.stream->room = 100;
    layered.transport.shut_down_write();
    CHECK(layered.stream->output == bytes_of("82 07 'pa'"));
    CHECK(layered.stream->is_shut_down);
}

TEST_CASE("WebSocket transport: pieces go out whole and in order however much is taken at a time") {
    auto seed = seed_or(11);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (int round = 0; round < 300; ++round) {
        Layered layered;
        std::deque<std::string> queue;
        std::string expected;
        auto put = [&] {
            queue.emplace_back(1 + random() % (random() % 3 == 0 ? 300 : 5),
                               static_cast<char>('a' + random() % 26));
        };
        for (auto left = 1 + random() % 100; left > 0; --left) put();
        bool begun = false;
        while (!queue.empty()) {
            layered.stream->room = random() % 200;
            if (layered.transport.wants_write()) layered.transport.on_writable();
            std::vector<iovec> pieces;
            for (auto& text : queue) pieces.push_back({text.data(), text.size()});
            auto result = layered.transport.write_some(pieces);
            for (auto size = result.size; size > 0;) {
                auto& front = queue.front();
                auto part = std::min(size, front.size());
                expected += front.substr(0, part);
                front.erase(0, part);
                size -= part;
                begun = !front.empty();
                if (front.empty()) queue.pop_front();
            }
            // What expires before its first byte is taken is never written.
            if (queue.size() > 1 && random() % 2 == 0) queue.erase(queue.begin() + (begun ? 1 : 0));
            if (random() % 20 == 0) put();
        }
        layered.stream->room = 1000;
        layered.transport.on_writable();
        REQUIRE_FALSE(layered.transport.wants_write());
        auto parsed = parse(layered.stream->output);
        REQUIRE(parsed.payload == expected);
        REQUIRE(parsed.left == 0);
    }
}

TEST_CASE("WebSocket transport: a frame per packet, however the packets lie in the pieces") {
    auto seed = seed_or(12);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (int round = 0; round < 300; ++round) {
        Layered layered{first_byte};
        std::string stream;
        std::string frames;  // as they must go out
        for (auto left = 1 + random() % 200; left > 0; --left) {
            std::string packet(1 + random() % 120, static_cast<char>('a' + random() % 26));
            packet[0] = static_cast<char>(packet.size());
            auto header = frame_header(Opcode::binary, packet.size());
            frames += as_text(Bytes{header.bytes}.first(header.size));
            frames += packet;
            stream += packet;
        }
        std::size_t done = 0;
        auto most = 1 + random() % 1000;  // bytes that go out at a time
        while (done < stream.size()) {
            layered.stream->room = 1 + random() % most;
            if (layered.transport.wants_write()) layered.transport.on_writable();
            std::vector<iovec> pieces;
            for (auto at = done; at < stream.size();) {
                auto size = std::min<std::size_t>(1 + random() % 300, stream.size() - at);
                pieces.push_back({stream.data() + at, size});
                at += size;
            }
            done += layered.transport.write_some(pieces).size;
        }
        layered.stream->room = 1000;
        layered.transport.on_writable();
        REQUIRE(as_text(layered.stream->output) == frames);
    }
}

TEST_CASE("WebSocket transport: as many packets as the layer below takes, in one call") {
    Layered layered{first_byte};
    std::string packets(1000, '\1');
    CHECK(layered.write(packets).size == 1000);
    CHECK(layered.stream->output.size() == 3000);
}
