#pragma once

#include "broker/net/transport.hpp"

namespace spoke::broker {

/// A connected stream socket, of TCP or Unix, which it owns.
class TcpTransport final : public Transport {
public:
    explicit TcpTransport(int descriptor) noexcept : descriptor_(descriptor) {}
    ~TcpTransport() override;

    [[nodiscard]] int descriptor() const noexcept override { return descriptor_; }
    IoResult read_some(std::span<std::byte> into) noexcept override;
    IoResult write_some(std::span<iovec const> pieces) noexcept override;
    void shut_down_write() noexcept override;
    [[nodiscard]] std::string peer() const override;

private:
    int descriptor_;
};

}  // namespace spoke::broker
