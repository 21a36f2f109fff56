#include "broker/net/make_transport.hpp"

#include "broker/net/transport_tcp.hpp"

namespace spoke::broker {

std::unique_ptr<Transport> make_transport(Listener& /*listener*/, int descriptor) {
    return std::make_unique<TcpTransport>(descriptor);
}

}  // namespace spoke::broker
