#include "broker/net/make_transport.hpp"

#include <utility>

#include "broker/net/listener.hpp"
#include "broker/net/transport_proxy.hpp"
#include "broker/net/transport_tcp.hpp"
#include "broker/net/transport_tls.hpp"
#include "broker/net/transport_ws.hpp"

namespace spoke::broker {

std::unique_ptr<Transport> make_transport(Listener& listener, int descriptor) {
    auto const& settings = listener.settings();
    std::unique_ptr<Transport> transport = std::make_unique<TcpTransport>(descriptor);
    if (settings.proxy.version != ProxyProtocol::off)
        transport = std::make_unique<ProxyTransport>(std::move(transport), settings.proxy);
    if (auto const* tls = listener.tls())
        transport = std::make_unique<TlsTransport>(std::move(transport), *tls);
    if (settings.websocket)
        transport = std::make_unique<WebSocketTransport>(std::move(transport), *settings.websocket);
    return transport;
}

}  // namespace spoke::broker
