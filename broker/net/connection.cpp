#include "broker/net/connection.hpp"

#include "broker/net/listener.hpp"
#include "broker/net/shard.hpp"

namespace spoke::broker {

Connection::Connection(std::unique_ptr<Transport> stream, Listener& from)
    : transport(std::move(stream)), listener(from) {
    listener.on_opened();
}

Connection::~Connection() {
    listener.on_closed();
}

void Connection::on_ready(std::uint32_t events) {
    // It may have left since the poller was asked.
    if (shard != nullptr) shard->on_connection_ready(*this, events);
}

}  // namespace spoke::broker
