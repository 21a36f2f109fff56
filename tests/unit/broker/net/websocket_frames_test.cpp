#include "broker/net/websocket_frames.hpp"

#include <wslay/wslay.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/packet_table.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/broker/net/client_frames.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace spoke::test;

namespace {

/// What a reader made of a stream.
struct Read {
    std::string payload{};
    std::vector<std::string> pings{};
    std::optional<CloseCode> close{};

    bool operator==(Read const&) const = default;
};

/// Feeds `bytes` in pieces of `piece` bytes, the first one being `first` bytes.
Read read_in_pieces(Bytes bytes, std::size_t first, std::size_t piece) {
    FrameReader reader;
    Read read;
    for (auto size = first; !bytes.empty() && !read.close; size = piece) {
        auto taken = bytes.first(std::min(size, bytes.size()));
        bytes = bytes.subspan(taken.size());
        Buffer own(taken.begin(), taken.end());
        auto unwrapped = reader.unwrap(own);
        read.payload += as_text(Bytes{own}.first(unwrapped.size));
        if (auto ping = reader.take_ping()) read.pings.emplace_back(as_text(ping->view()));
        read.close = unwrapped.close;
    }
    return read;
}

struct FrameRow {
    std::string_view name;
    std::string_view text;  // as bytes_of() takes it
    Read expected;
};

// Where the mask does not matter it is zero, so that the payload can be read.
std::vector<FrameRow> const kRows{
    {"RFC 6455, 5.7: a masked text message",
     "81 85 37FA213D 7F9F4D5158",
     {"", {}, CloseCode::unsupported_data}},
    {"the same as binary", "82 85 37FA213D 7F9F4D5158", {"Hello"}},
    {"RFC 6455, 5.7: a masked pong", "8A 85 37FA213D 7F9F4D5158", {}},
    {"a masked ping", "89 85 37FA213D 7F9F4D5158", {"", {"Hello"}}},
    {"an empty message", "82 80 00000000", {}},
    {"an empty ping", "89 80 00000000", {"", {""}}},
    {"a message in three fragments, one of them empty",
     "02 83 00000000 'Hel' 00 80 00000000 80 82 00000000 'lo'",
     {"Hello"}},
    {"a ping between two fragments",
     "02 83 00000000 'Hel' 89 81 00000000 'p' 80 82 00000000 'lo'",
     {"Hello", {"p"}}},
    {"a close between two fragments",
     "02 83 00000000 'Hel' 88 82 00000000 03E8",
     {"Hel", {}, CloseCode::normal}},
    {"what stands behind a close is dropped",
     "88 80 00000000 82 81 00000000 'x'",
     {"", {}, CloseCode::none}},
    {"messages one behind the other",
     "82 81 00000000 'a' 82 82 FFFFFFFF 9D9C 82 81 00000000 'd'",
     {"abcd"}},
    {"a close with code and reason",
     "88 85 00000000 03E9 'bye'",
     {"", {}, static_cast<CloseCode>(1001)}},
    {"a close with a code of an application", "88 82 00000000 1387", {"", {}, CloseCode{4999}}},
    {"a close of one byte", "88 81 00000000 03", {"", {}, CloseCode::protocol_error}},
    {"a close with a code below all", "88 82 00000000 03E7", {"", {}, CloseCode::protocol_error}},
    {"a close with the reserved 1004", "88 82 00000000 03EC", {"", {}, CloseCode::protocol_error}},
    {"a close with 1005, which is never sent",
     "88 82 00000000 03ED",
     {"", {}, CloseCode::protocol_error}},
    {"a close with 1006, which is never sent",
     "88 82 00000000 03EE",
     {"", {}, CloseCode::protocol_error}},
    {"a close with 1015, which is never sent",
     "88 82 00000000 03F7",
     {"", {}, CloseCode::protocol_error}},
    {"a close with the unassigned 2999",
     "88 82 00000000 0BB7",
     {"", {}, CloseCode::protocol_error}},
    {"a close with 5000", "88 82 00000000 1388", {"", {}, CloseCode::protocol_error}},
    {"a close whose reason is no UTF-8",
     "88 83 00000000 03E8 FF",
     {"", {}, CloseCode::invalid_data}},
    {"no mask", "82 05 'Hello'", {"", {}, CloseCode::protocol_error}},
    {"no mask on a ping", "89 00", {"", {}, CloseCode::protocol_error}},
    {"RSV1, as a compressed message has it",
     "C2 81 00000000 'x'",
     {"", {}, CloseCode::protocol_error}},
    {"RSV2", "A2 81 00000000 'x'", {"", {}, CloseCode::protocol_error}},
    {"RSV3", "92 81 00000000 'x'", {"", {}, CloseCode::protocol_error}},
    {"a reserved opcode for data", "83 81 00000000 'x'", {"", {}, CloseCode::protocol_error}},
    {"the last reserved opcode for data",
     "87 81 00000000 'x'",
     {"", {}, CloseCode::protocol_error}},
    {"a reserved opcode for control", "8B 80 00000000", {"", {}, CloseCode::protocol_error}},
    {"the last reserved opcode", "8F 80 00000000", {"", {}, CloseCode::protocol_error}},
    {"a ping in fragments", "09 81 00000000 'x'", {"", {}, CloseCode::protocol_error}},
    {"a close in fragments", "08 80 00000000", {"", {}, CloseCode::protocol_error}},
    {"a ping of 126 bytes", "89 FE 007E 00000000", {"", {}, CloseCode::protocol_error}},
    {"a fragment that continues nothing",
     "80 81 00000000 'x'",
     {"", {}, CloseCode::protocol_error}},
    {"a message inside another",
     "02 81 00000000 'a' 82 81 00000000 'b'",
     {"a", {}, CloseCode::protocol_error}},
    {"a fragment behind the last one",
     "02 80 00000000 80 80 00000000 80 81 00000000 'x'",
     {"", {}, CloseCode::protocol_error}},
    {"a text message inside another",
     "02 81 00000000 'a' 81 81 00000000 'b'",
     {"a", {}, CloseCode::unsupported_data}},
    {"125 in two bytes", "82 FE 007D 00000000", {"", {}, CloseCode::protocol_error}},
    {"65535 in eight bytes",
     "82 FF 000000000000FFFF 00000000",
     {"", {}, CloseCode::protocol_error}},
    {"the highest bit of a length",
     "82 FF 8000000000000000 00000000",
     {"", {}, CloseCode::protocol_error}},
    {"the largest length there is, of which little comes",
     "82 FF 7FFFFFFFFFFFFFFF 00000000 'abc'",
     {"abc"}},
};

Buffer with(Buffer bytes, Bytes more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return bytes;
}

std::string text_of(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
    return text;
}

}  // namespace

TEST_CASE("WebSocket frames: each row, cut at every byte, and byte by byte",
          "[v3.1.1][MQTT-6.0.0-1][MQTT-6.0.0-2][v5.0][MQTT-6.0.0-1][MQTT-6.0.0-2]") {
    for (auto const& row : kRows) {
        CAPTURE(row.name);
        auto bytes = bytes_of(row.text);
        for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
            CAPTURE(cut);
            CHECK(read_in_pieces(bytes, cut, bytes.size()) == row.expected);
        }
        CHECK(read_in_pieces(bytes, 1, 1) == row.expected);
    }
}

TEST_CASE("WebSocket frames: every length that is written differently, in pieces of any size") {
    auto size = GENERATE(0U, 1U, 7U, 8U, 9U, 125U, 126U, 127U, 65'535U, 65'536U, 200'000U);
    auto payload = text_of(size);
    auto bytes = with(client_frame(kBinary, payload), client_frame(kBinary, "end"));
    for (std::size_t piece : {1U, 2U, 3U, 5U, 8U, 13U, 1000U, 65'536U, 1'000'000U}) {
        CAPTURE(size, piece);
        CHECK(read_in_pieces(bytes, piece, piece) == Read{payload + "end"});
    }
}

TEST_CASE("WebSocket frames: one byte per frame, and all frames at once", "[gotcha-60]") {
    auto payload = text_of(1000);
    Buffer bytes;
    for (char c : payload) bytes = with(std::move(bytes), client_frame(kBinary, {&c, 1}));
    CHECK(read_in_pieces(bytes, bytes.size(), 1) == Read{payload});
}

TEST_CASE("WebSocket frames: of several pings that came together the last is answered") {
    auto bytes = with(client_frame(kPing, "one"), client_frame(kPing, "two"));
    CHECK(read_in_pieces(bytes, bytes.size(), 1).pings == std::vector<std::string>{"two"});
    CHECK(read_in_pieces(bytes, bytes.size() / 2, 100).pings ==
          std::vector<std::string>{"one", "two"});
}

TEST_CASE("WebSocket frames: a message of 100 MB needs no memory beside what is read") {
    constexpr std::size_t kSize = 100'000'000;
    FrameReader reader;
    auto start = bytes_of("82 FF 0000000005F5E100 00000000");
    REQUIRE(reader.unwrap(start).size == 0);
    Buffer piece(1'000'000, std::byte{'x'});
    for (std::size_t done = 0; done < kSize; done += piece.size()) {
        auto unwrapped = reader.unwrap(piece);
        REQUIRE(unwrapped.size == piece.size());
        REQUIRE(piece.front() == std::byte{'x'});
    }
    auto behind = client_frame(kBinary, "behind");
    CHECK(reader.unwrap(behind).size == 6);
    STATIC_REQUIRE(sizeof(FrameReader) <= 64);
}

TEST_CASE("WebSocket frames: the headers the server writes") {
    auto header_of = [](Opcode opcode, std::uint64_t size) {
        auto header = frame_header(opcode, size);
        return Buffer{header.bytes.begin(),
                      header.bytes.begin() + static_cast<std::ptrdiff_t>(header.size)};
    };
    // RFC 6455, 5.7
    CHECK(header_of(Opcode::text, 5) == bytes_of("81 05"));
    CHECK(header_of(Opcode::pong, 5) == bytes_of("8A 05"));
    CHECK(header_of(Opcode::binary, 256) == bytes_of("82 7E 0100"));
    CHECK(header_of(Opcode::binary, 65'536) == bytes_of("82 7F 0000000000010000"));
    // at the borders
    CHECK(header_of(Opcode::binary, 0) == bytes_of("82 00"));
    CHECK(header_of(Opcode::binary, 125) == bytes_of("82 7D"));
    CHECK(header_of(Opcode::binary, 126) == bytes_of("82 7E 007E"));
    CHECK(header_of(Opcode::binary, 65'535) == bytes_of("82 7E FFFF"));
    CHECK(header_of(Opcode::close, 2) == bytes_of("88 02"));
}

// --- wslay as judge ---

namespace {

/// A client made of wslay: what it writes, and what it reads.
class WslayClient {
public:
    explicit WslayClient(std::mt19937_64& random) : random_(random) {
        wslay_event_callbacks callbacks{};
        callbacks.recv_callback = [](auto context, auto* data, auto size, int, void* self) {
            return static_cast<WslayClient*>(self)->give(context, data, size);
        };
        callbacks.send_callback = [](auto, auto const* data, auto size, int, void* self) {
            auto& out = static_cast<WslayClient*>(self)->written;
            auto const* bytes = reinterpret_cast<std::byte const*>(data);
            out.insert(out.end(), bytes, bytes + size);
            return static_cast<ssize_t>(size);
        };
        callbacks.genmask_callback = [](auto, auto* mask, auto size, void* self) {
            for (auto& byte : std::span{mask, size})
                byte = static_cast<std::uint8_t>(static_cast<WslayClient*>(self)->random_());
            return 0;
        };
        callbacks.on_msg_recv_callback = [](auto, auto const* message, void* self) {
            if (message->opcode != WSLAY_BINARY_FRAME) return;
            static_cast<WslayClient*>(self)->read +=
                std::string_view{reinterpret_cast<char const*>(message->msg), message->msg_length};
        };
        REQUIRE(wslay_event_context_client_init(&context_, &callbacks, this) == 0);
    }
    WslayClient(WslayClient const&) = delete;
    WslayClient& operator=(WslayClient const&) = delete;
    ~WslayClient() { wslay_event_context_free(context_); }

    void writes(std::uint8_t opcode, std::string_view payload) {
        wslay_event_msg message{opcode, reinterpret_cast<std::uint8_t const*>(payload.data()),
                                payload.size()};
        REQUIRE(wslay_event_queue_msg(context_, &message) == 0);
        REQUIRE(wslay_event_send(context_) == 0);
    }
    void writes_in_fragments(std::string payload) {
        fragments_ = std::move(payload);
        wslay_event_fragmented_msg message{};
        message.opcode = WSLAY_BINARY_FRAME;
        message.source.data = this;
        message.read_callback = [](auto, auto* to, auto size, auto const* source, int* ended,
                                   void*) {
            auto& client = *static_cast<WslayClient*>(source->data);
            auto& rest = client.fragments_;
            auto part = std::min({size, rest.size(), 1 + client.random_() % 300});
            std::memcpy(to, rest.data(), part);
            rest.erase(0, part);
            *ended = rest.empty() ? 1 : 0;
            return static_cast<ssize_t>(part);
        };
        REQUIRE(wslay_event_queue_fragmented_msg(context_, &message) == 0);
        REQUIRE(wslay_event_send(context_) == 0);
    }
    void reads(Bytes bytes) {
        input_ = bytes;
        REQUIRE(wslay_event_recv(context_) == 0);
    }
    [[nodiscard]] unsigned close_code() const {
        return wslay_event_get_status_code_received(context_);
    }

    Buffer written{};
    std::string read{};

private:
    ssize_t give(wslay_event_context_ptr context, std::uint8_t* to, std::size_t size) {
        auto part = std::min(size, input_.size());
        if (part == 0) {
            wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
            return -1;
        }
        std::memcpy(to, input_.data(), part);
        input_ = input_.subspan(part);
        return static_cast<ssize_t>(part);
    }

    std::mt19937_64& random_;
    wslay_event_context_ptr context_ = nullptr;
    std::string fragments_{};
    Bytes input_{};
};

}  // namespace

TEST_CASE("WebSocket frames: what a client made of wslay writes is read, however it is cut") {
    auto seed = seed_or(3);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (int round = 0; round < 200; ++round) {
        WslayClient client{random};
        Read expected;
        for (auto left = 1 + random() % 8; left > 0; --left) {
            auto payload = text_of(random() % (random() % 10 == 0 ? 70'000 : 400));
            if (random() % 2 == 0) {
                client.writes(WSLAY_BINARY_FRAME, payload);
            } else {
                client.writes_in_fragments(payload);
            }
            expected.payload += payload;
            if (random() % 3 == 0) client.writes(WSLAY_PONG, "unasked");
        }
        client.writes(WSLAY_PING, "last");
        expected.pings = {"last"};
        for (int cut = 0; cut < 5; ++cut) {
            auto piece = 1 + random() % client.written.size();
            REQUIRE(read_in_pieces(client.written, piece, piece) == expected);
        }
    }
}

TEST_CASE("WebSocket frames: what the server writes is read by a client made of wslay") {
    auto seed = seed_or(4);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    WslayClient client{random};
    std::string expected;
    auto put = [&client](Opcode opcode, Bytes payload) {
        auto header = frame_header(opcode, payload.size());
        client.reads(Bytes{header.bytes}.first(header.size));
        client.reads(payload);
    };
    for (std::size_t size : {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 100'000U}) {
        auto payload = text_of(size);
        expected += payload;
        put(Opcode::binary, as_bytes(payload));
        put(Opcode::pong, as_bytes("pong"));
    }
    put(Opcode::close, bytes_of("03EA"));
    CHECK(client.read == expected);
    CHECK(client.close_code() == 1002);
}
