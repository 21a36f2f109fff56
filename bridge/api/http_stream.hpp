#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace spoke::bridge {

struct HttpRequest;

/// Bytes that may be on their way to many peers at once.
using SharedBytes = std::shared_ptr<std::string const>;

/// The peer of a response whose body comes over time, as whoever writes that body sees it. Valid
/// from StreamBody::on_open() to on_gone().
class StreamSink {
public:
    /// Sends the pieces, in order. What the peer does not take at once is kept, the pieces
    /// themselves, not copies.
    /// Out     whether there is room for more; if not, on_room() tells when, and nothing may be
    ///         sent until then.
    virtual bool send(std::span<SharedBytes const> pieces) = 0;
    bool send(SharedBytes const& bytes) { return send(std::span{&bytes, 1}); }

    /// Has on_room() called soon, once, if there is room then.
    virtual void call_soon() = 0;

    /// Nothing more comes: closes the connection once the peer has taken what was sent.
    virtual void end() = 0;

    /// Closes it at once.
    virtual void drop() = 0;

protected:
    ~StreamSink() = default;
};

/// Writes the body of a response piece by piece.
class StreamBody {
public:
    virtual ~StreamBody() = default;

    /// The status and the headers have been sent, and there is room.
    virtual void on_open(StreamSink& sink) = 0;

    /// There is room again, or call_soon() was called.
    virtual void on_room() = 0;

    /// The server stops: the body ends, with a last word if there is room for one.
    virtual void on_stop() = 0;

    /// The connection is at its end, whoever ended it. Once, and never out of a call of the sink.
    virtual void on_gone() = 0;
};

/// A WebSocket, as whoever talks over it sees it. Valid from WebSocketEnd::on_open() to on_gone().
class WebSocketSink {
public:
    enum class Kind : std::uint8_t { text, binary };

    /// Sends a message, behind those that wait.
    /// Out     whether there is room for more; if not, on_room() tells when. What is sent without
    ///         room waits as well: whoever does so has a bound of his own for it.
    virtual bool send(SharedBytes message, Kind kind) = 0;

    /// Has on_room() called soon, once, if there is room then.
    virtual void call_soon() = 0;

    /// Messages that wait, in bytes.
    [[nodiscard]] virtual std::size_t waiting_bytes() const noexcept = 0;

    /// No message is read until it is resumed; one that is being read still comes. The peer is
    /// given up if that takes longer than it may be silent.
    virtual void pause_reading() = 0;
    virtual void resume_reading() = 0;

    /// Closes behind what was sent (RFC 6455, 7.4: code; `reason` has 123 bytes at most).
    virtual void close(std::uint16_t code, std::string_view reason) = 0;

    /// The same, but of what waits only the message that is half written is sent.
    virtual void cut(std::uint16_t code, std::string_view reason) = 0;

protected:
    ~WebSocketSink() = default;
};

/// Our end of a WebSocket.
class WebSocketEnd {
public:
    virtual ~WebSocketEnd() = default;

    virtual void on_open(WebSocketSink& sink) = 0;

    /// A whole message; valid for the call.
    virtual void on_message(std::string_view message, WebSocketSink::Kind kind) = 0;

    /// There is room again, or call_soon() was called.
    virtual void on_room() = 0;

    /// The server stops: the end closes.
    virtual void on_stop() = 0;

    /// It is closed, whoever closed it. Once, and never out of a call of the sink.
    virtual void on_gone() = 0;
};

/// A response whose body comes over time: status and headers are those of the response.
struct StreamOffer {
    std::shared_ptr<StreamBody> body{};  // null: an ordinary response
    std::size_t kernel_bytes_max = 0;    // what the system keeps for a slow peer; 0: as it likes
};

/// The answer to a request that wants_web_socket().
struct WebSocketOffer {
    std::shared_ptr<WebSocketEnd> end{};        // null: no WebSocket
    std::string subprotocol{};                  // one that the peer named; empty: none
    std::size_t message_bytes_max = 64 * 1024;  // a longer one closes it with 1009
    std::size_t room_bytes = 64 * 1024;         // there is room while less than this waits
    std::size_t kernel_bytes_max = 0;
};

/// Whether the request asks for a WebSocket (RFC 6455, 4.2.1).
[[nodiscard]] bool wants_web_socket(HttpRequest const& request) noexcept;

/// Whether the peer names the subprotocol, in whatever case.
[[nodiscard]] bool names_subprotocol(HttpRequest const& request, std::string_view name);

}  // namespace spoke::bridge
