#include "broker/net/connection.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

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
    shard->on_connection_ready(*this, events);
}

std::string Connection::peer() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(transport->descriptor(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return "(gone)";
    }
    char text[INET6_ADDRSTRLEN] = "?";
    if (address.ss_family == AF_INET) {
        auto const& v4 = reinterpret_cast<sockaddr_in const&>(address);
        ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return fmt::format("{}:{}", text, ntohs(v4.sin_port));
    }
    auto const& v6 = reinterpret_cast<sockaddr_in6 const&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

}  // namespace spoke::broker
