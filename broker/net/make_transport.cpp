#include "broker/net/make_transport.hpp"

#include <cstdint>
#include <utility>

#include "broker/net/listener.hpp"
#include "broker/net/transport_proxy.hpp"
#include "broker/net/transport_tcp.hpp"
#include "broker/net/transport_tls.hpp"
#include "broker/net/transport_ws.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::broker {

namespace {

/// Of a packet the broker sends; its fixed header is always in one piece.
std::uint64_t packet_size(Bytes bytes) {
    auto header = mqtt::read_fixed_header(bytes, UINT32_MAX);
    MQ_ASSERT(header.has_value() && header->has_value());
    return (*header)->packet_size();
}

}  // namespace

std::unique_ptr<Transport> make_transport(Listener& listener, int descriptor) {
    auto const& settings = listener.settings();
    std::unique_ptr<Transport> transport = std::make_unique<TcpTransport>(descriptor);
    if (settings.proxy.version != ProxyProtocol::off)
        transport = std::make_unique<ProxyTransport>(std::move(transport), settings.proxy);
    if (auto const* tls = listener.tls())
        transport = std::make_unique<TlsTransport>(std::move(transport), *tls);
    if (settings.websocket)
        transport = std::make_unique<WebSocketTransport>(std::move(transport), *settings.websocket,
                                                         packet_size);
    return transport;
}

}  // namespace spoke::broker
