#pragma once

#include <chrono>
#include <cstddef>
#include <span>

#include "protocol/base/bytes.hpp"
#include "tests/conformance/harness/target.hpp"

namespace spoke::test {

/// How long anything may take before a test gives up. Long for ours: sanitizers on a busy machine
/// are slow, and no test passes sooner or later because of it. Another broker that keeps a
/// connection where it has to end it costs this long for each. SPOKE_CONFORMANCE_DEADLINE in the
/// environment sets it, in seconds.
[[nodiscard]] std::chrono::seconds deadline();

/// A TCP connection. Errors are std::runtime_error; a deadline that passed is one of them.
class Socket {
public:
    Socket() = default;
    explicit Socket(Endpoint const& endpoint);
    ~Socket() { close(); }
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;

    /// Sends what the peer takes: if it closes while bytes are on their way, the rest is dropped.
    void send(Bytes bytes);
    /// Out     how many bytes came, at least one; 0 at the end of the stream, orderly or not.
    [[nodiscard]] std::size_t receive(std::span<std::byte> room);
    /// Nothing more will be sent; the peer sees the end of the stream.
    void shut_down();
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }

private:
    void await(short events) const;

    int descriptor_ = -1;
};

}  // namespace spoke::test
