#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace spoke::broker {

/// What one non-blocking read or write did.
struct IoResult {
    enum class Status : std::uint8_t { done, would_block, closed };
    Status status = Status::done;
    std::size_t size = 0;  // bytes moved; less than asked for is not an error
};

/// A byte stream that is read and written when its descriptor is ready: one layer per kind of
/// connection. Never blocks, owns no buffer of the connection's.
class Transport {
public:
    virtual ~Transport() = default;

    [[nodiscard]] virtual int descriptor() const noexcept = 0;
    /// `closed` at the end of the stream and on any error.
    virtual IoResult read_some(std::span<std::byte> into) noexcept = 0;
    /// Gathered; at least one piece.
    virtual IoResult write_some(std::span<iovec const> pieces) noexcept = 0;
    /// Nothing more will be written; the peer sees the end of the stream.
    virtual void shut_down_write() noexcept = 0;
};

}  // namespace spoke::broker
