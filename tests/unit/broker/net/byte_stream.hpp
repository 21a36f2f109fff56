#pragma once

#include <sys/types.h>

#include <span>

#include "protocol/base/bytes.hpp"

namespace spoke::test {

/// What a SocketClient speaks through. As the system's calls, both block, give how much was moved,
/// 0 at the end of the stream, and -1 with errno for an error; or throw std::runtime_error.
class ByteStream {
public:
    virtual ~ByteStream() = default;
    virtual ssize_t send(Bytes bytes) = 0;
    virtual ssize_t receive(std::span<std::byte> into) = 0;
};

}  // namespace spoke::test
