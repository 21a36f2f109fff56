#pragma once

#include <memory>
#include <string>

#include "broker/net/proxy_header.hpp"
#include "broker/net/transport.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::broker {

/// A socket behind a proxy: reads the proxy's header, then hands everything through. It takes no
/// byte that stands behind the header, so that a layer above may use the descriptor itself.
class ProxyTransport final : public Transport {
public:
    /// `below` is the socket; `settings` outlives this.
    ProxyTransport(std::unique_ptr<Transport> below, ProxySettings const& settings);

    [[nodiscard]] int descriptor() const noexcept override { return below_->descriptor(); }
    IoResult read_some(std::span<std::byte> into) noexcept override;
    IoResult write_some(std::span<iovec const> pieces) noexcept override {
        return below_->write_some(pieces);
    }
    void shut_down_write() noexcept override { below_->shut_down_write(); }
    [[nodiscard]] std::string failure() const override;
    /// The name in the certificate which the proxy has verified, if the settings trust it.
    [[nodiscard]] std::unique_ptr<std::string> take_identity() override;
    /// The client's address as the proxy gives it.
    [[nodiscard]] std::string peer() const override;

private:
    [[nodiscard]] IoResult read_header();
    void open(ProxyHeader header);

    std::unique_ptr<Transport> below_;
    ProxySettings const& settings_;
    Buffer header_{};             // what has come of it
    std::string_view problem_{};  // why the connection was given up
    std::string peer_{};          // empty: the socket's own
    std::unique_ptr<std::string> identity_{};
};

}  // namespace spoke::broker
