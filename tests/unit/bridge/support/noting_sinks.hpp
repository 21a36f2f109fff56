#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bridge/api/http_message.hpp"
#include "bridge/api/http_stream.hpp"

namespace spoke::bridge::test {

/// Notes what a stream sends; takes as much as the test says.
struct NotingStreamSink final : StreamSink {
    using StreamSink::send;
    bool send(std::span<SharedBytes const> pieces) override {
        REQUIRE(has_room);
        for (auto const& piece : pieces) {
            text += *piece;
            sent.push_back(piece);
        }
        if (room > 0) has_room = --room > 0;
        return has_room;
    }
    void call_soon() override { ++calls; }
    void end() override { ended = true; }
    void drop() override { dropped = true; }

    std::string text;
    std::vector<SharedBytes> sent;
    int room = -1;  // sends until there is none left
    bool has_room = true;
    int calls = 0;
    bool ended = false;
    bool dropped = false;
};

/// The same of a WebSocket.
struct NotingSocketSink final : WebSocketSink {
    bool send(SharedBytes message, Kind kind) override {
        CHECK(kind == Kind::text);
        messages.push_back(*message);
        waiting += has_room ? 0 : message->size();
        if (room > 0) has_room = --room > 0;
        return has_room;
    }
    void call_soon() override { ++calls; }
    std::size_t waiting_bytes() const noexcept override { return waiting; }
    void pause_reading() override { is_paused = true; }
    void resume_reading() override { is_paused = false; }
    void close(std::uint16_t c, std::string_view why) override {
        code = c;
        reason = why;
    }
    void cut(std::uint16_t c, std::string_view why) override { close(c, why); }

    std::vector<std::string> messages;
    std::size_t waiting = 0;
    int room = -1;
    bool has_room = true;
    int calls = 0;
    bool is_paused = false;
    std::uint16_t code = 0;
    std::string reason;
};

/// A request for a WebSocket.
inline HttpRequest upgrade(std::string target) {
    HttpRequest request{"GET", std::move(target)};
    request.headers = {{"Upgrade", "websocket"},
                       {"Connection", "Upgrade"},
                       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                       {"Sec-WebSocket-Version", "13"}};
    return request;
}

}  // namespace spoke::bridge::test
