#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/packet.hpp"
#include "tests/support/script_packets.hpp"
#include "tests/unit/broker/net/byte_stream.hpp"

namespace spoke::test {

/// A client with a blocking socket, for one thread. Reads wait for 30 seconds at most. What goes
/// otherwise than a test says throws std::runtime_error, so that helper threads may use it.
class SocketClient {
public:
    struct Options {
        int receive_buffer = 0;  // bytes; 0: the system's own
    };
    explicit SocketClient(std::uint16_t port) : SocketClient(port, Options{}) {}
    SocketClient(std::uint16_t port, Options options);
    /// Connects to an address of any family.
    template <class Address>
    SocketClient(Address const& address, Options options)
        : SocketClient(reinterpret_cast<sockaddr const&>(address), sizeof address, options) {}
    /// Speaks through a stream that is open.
    explicit SocketClient(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {}
    virtual ~SocketClient();
    SocketClient(SocketClient&& other) noexcept;
    SocketClient& operator=(SocketClient&& other) noexcept;

    SocketClient& sends(ConnectBuilder const& connect);
    template <class Builder>
    SocketClient& sends(Builder const& builder) {
        return sends_bytes(encoded(builder.packet()));
    }
    SocketClient& sends_bytes(Bytes bytes);
    /// Each byte in a write of its own.
    SocketClient& sends_one_by_one(Bytes bytes);
    template <class Builder>
    [[nodiscard]] Buffer encoded_as(Builder const& builder) const {
        return encoded(builder.packet());
    }
    [[nodiscard]] Buffer encoded(mqtt::Packet const& packet) const;
    /// The version that encoded() uses, without a CONNECT sent by sends().
    SocketClient& speaks(mqtt::Version version) {
        version_ = version;
        return *this;
    }

    template <class Builder>
    SocketClient& gets(Builder const& builder) {
        return expects(builder.expected());
    }
    [[nodiscard]] mqtt::Packet takes_any();
    template <class Packet>
    [[nodiscard]] Packet takes() {
        auto packet = takes_any();
        if (!std::holds_alternative<Packet>(packet)) wrong("another kind", packet);
        return std::get<Packet>(std::move(packet));
    }
    /// The end of the stream comes, and no packet before it.
    SocketClient& ends();
    /// Everything up to the end of the stream, which may be an abrupt one.
    [[nodiscard]] std::deque<mqtt::Packet> takes_until_end();
    /// Everything up to the end of the stream, which may be an abrupt one, as text.
    [[nodiscard]] std::string takes_text();
    /// Nothing more will be sent.
    SocketClient& shuts_down_write();
    void close() noexcept;

protected:
    /// What lies between packets and the socket; `read` gives 0 at the end of the stream.
    virtual void write(Bytes bytes);
    virtual std::size_t read(std::span<std::byte> into);

private:
    SocketClient(sockaddr const& address, socklen_t size, Options options);
    SocketClient& expects(Expected const& expected);
    [[noreturn]] static void wrong(std::string const& expected, mqtt::Packet const& packet);
    /// The next packet, or nothing at the end of the stream.
    [[nodiscard]] std::optional<mqtt::Packet> next();

    [[nodiscard]] ssize_t send_some(Bytes bytes);
    [[nodiscard]] ssize_t receive_some(std::span<std::byte> into);

    std::unique_ptr<ByteStream> stream_;  // null: the socket as it is
    int socket_ = -1;
    mqtt::Version version_ = mqtt::Version::v5;
    Buffer input_;
    std::size_t done_ = 0;  // of input_
};

}  // namespace spoke::test
