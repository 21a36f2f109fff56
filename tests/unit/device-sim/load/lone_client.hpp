#pragma once

#include "device-sim/load/client.hpp"
#include "device-sim/load/reactor.hpp"

namespace spoke::sim::load {

/// A client that is never opened: what is written to it stays in its outbound buffer.
class LoneClient : ClientEvents {
public:
    [[nodiscard]] Client& client() noexcept { return client_; }
    [[nodiscard]] Buffer& written() noexcept { return client_.outbound(); }

private:
    void on_up(Client&, mqtt::ConnAck const&) override {}
    void on_suback(Client&, mqtt::SubAck const&) override {}
    void on_delivery(Client&, Delivery const&) override {}
    void on_acknowledged(Client&, Acknowledgement const&) override {}
    void on_closed(Client&, std::string_view) override {}

    Reactor reactor_;
    Client client_{reactor_, *this, 0};
};

}  // namespace spoke::sim::load
