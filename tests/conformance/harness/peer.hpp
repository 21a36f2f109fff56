#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/packet.hpp"
#include "tests/conformance/harness/socket.hpp"
#include "tests/conformance/harness/target.hpp"
#include "tests/conformance/harness/wire_check.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/support/script_packets.hpp"

namespace spoke::test {

/// One client of a conformance test, on a real socket. What it does and what it expects runs in the
/// order it is written; an expectation waits for a packet or for the end of the stream, and fails
/// the test if something else comes, or nothing until a deadline. Every packet that comes is also
/// held against WireCheck.
class Peer {
public:
    using Where = std::source_location;

    Peer(Endpoint endpoint, std::string client_id);

    /// Opens a connection without sending; sends() does so by itself.
    Peer& opens();
    /// A CONNECT opens a new connection if there is none; its client id is this peer's own unless
    /// it was given one.
    Peer& sends(ConnectBuilder const& connect);
    template <class Builder>
    Peer& sends(Builder const& builder) {
        return sends_bytes(encoded(builder));
    }
    /// Bytes as they are. What they mean is not looked at.
    Peer& sends_bytes(Bytes bytes);
    /// The same, as bytes_of() takes them: "C0 00".
    Peer& sends_hex(std::string_view text) { return sends_bytes(bytes_of(text)); }
    /// All in one write; builders and buffers.
    template <class... Parts>
    Peer& sends_together(Parts const&... parts) {
        Buffer bytes;
        (append(bytes, parts), ...);
        return sends_bytes(bytes);
    }
    /// As it goes on the wire; a CONNECT with this peer's client id.
    template <class Builder>
    [[nodiscard]] Buffer encoded(Builder const& builder) {
        if constexpr (std::is_same_v<Builder, ConnectBuilder>) {
            return prepared(builder);
        } else {
            return prepared(mqtt::Packet{builder.packet()});
        }
    }

    template <class Builder>
    Peer& gets(Builder const& builder, Where where = Where::current()) {
        return expects(builder.expected(), where);
    }
    /// The next two packets, in whatever order.
    template <class One, class Other>
    Peer& gets_both(One const& one, Other const& other, Where where = Where::current()) {
        return expects_both(one.expected(), other.expected(), where);
    }
    /// A PUBLISH like this one, under whatever packet id, which is then answered in full.
    Peer& receives(PublishBuilder const& wanted, Where where = Where::current());
    /// A PUBLISH like this one, under whatever packet id, which stays unanswered. Out: the id.
    std::uint16_t holds(PublishBuilder const& wanted, Where where = Where::current());
    /// Bytes as they are, of one packet.
    Peer& gets_hex(std::string_view text, Where where = Where::current());
    /// The next packet, which must be of this kind.
    template <class Packet>
    Packet takes(Where where = Where::current()) {
        auto packet = takes_any(where);
        if (!std::holds_alternative<Packet>(packet)) fail("another kind", packet, where);
        return std::get<Packet>(std::move(packet));
    }
    [[nodiscard]] mqtt::Packet takes_any(Where where = Where::current());
    /// The next packet, or nothing if the server ends the connection.
    [[nodiscard]] std::optional<mqtt::Packet> takes_or_ends(Where where = Where::current()) {
        return next(where);
    }
    /// The bytes of the packet that came last.
    [[nodiscard]] Buffer const& last_frame() const noexcept { return last_frame_; }

    /// Is open and has got nothing that was not expected: the answer to a PINGREQ comes next.
    Peer& gets_nothing(Where where = Where::current());
    /// The same for what could come from another client: a message that `publisher` sends now, on
    /// the way that its others take, comes next. A publisher without a connection gets a new one,
    /// under its client id, with its session kept.
    Peer& gets_nothing_of(Peer& publisher, Where where = Where::current());

    /// The server ends the connection, and no packet comes before.
    Peer& closes(Where where = Where::current());
    /// The server ends an accepted connection. MQTT 5: with DISCONNECT and this reason before, from
    /// another broker with any error or without the packet. 3.1.1: with no packet.
    Peer& is_cut(mqtt::ReasonCode reason, Where where = Where::current());
    /// The server refuses the CONNECT and ends the connection. MQTT 5: with CONNACK and this reason
    /// before, from another broker with any error or without the packet. 3.1.1: with the return
    /// code for the reason, or with no packet if there is none.
    Peer& is_refused(mqtt::ReasonCode reason, Where where = Where::current());
    /// The server ends the connection after an answer in whatever form, in which the fourth byte is
    /// no success, or without one.
    Peer& is_turned_away(Where where = Where::current());
    /// The connection breaks without DISCONNECT. The server has noticed when this returns.
    Peer& drops();
    /// DISCONNECT. The server has closed the connection when this returns.
    Peer& leaves(Where where = Where::current());

    [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }
    [[nodiscard]] std::string const& id() const noexcept { return client_id_; }
    [[nodiscard]] mqtt::Version version() const noexcept { return version_; }
    /// The version of packets, without a CONNECT sent by sends().
    Peer& speaks(mqtt::Version version);

private:
    [[nodiscard]] Buffer prepared(ConnectBuilder const& connect);
    [[nodiscard]] Buffer prepared(mqtt::Packet const& packet);
    template <class Part>
    void append(Buffer& bytes, Part const& part) {
        if constexpr (std::is_convertible_v<Part const&, Bytes>) {
            Bytes more = part;
            bytes.insert(bytes.end(), more.begin(), more.end());
        } else {
            auto more = encoded(part);
            bytes.insert(bytes.end(), more.begin(), more.end());
        }
    }
    Peer& expects(Expected const& expected, Where where);
    Peer& expects_both(Expected const& one, Expected const& other, Where where);
    /// The next packet, or nothing at the end of the stream.
    [[nodiscard]] std::optional<mqtt::Packet> next(Where where);
    [[noreturn]] void fail(std::string const& wanted, mqtt::Packet const& packet,
                           Where where) const;
    [[noreturn]] void fail(std::string const& what, Where where) const;

    Endpoint endpoint_;
    std::string client_id_;
    mqtt::Version version_ = mqtt::Version::v5;
    Socket socket_;
    WireCheck check_;
    Buffer input_;
    std::size_t done_ = 0;  // of input_
    Buffer last_frame_;
};

}  // namespace spoke::test
