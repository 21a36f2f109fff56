#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "bridge/api/http_server_state.hpp"

namespace spoke::bridge {

/// Begins to serve a connection, over TLS if the server has a certificate. It owns itself: an
/// operation that is under way holds it, or the response that is awaited.
void serve(std::shared_ptr<HttpServerState> server, boost::asio::ip::tcp::socket socket,
           std::string address);

/// Tells the peer that its address has too many connections, if that can be told, and closes.
void turn_away(std::shared_ptr<HttpServerState> server, boost::asio::ip::tcp::socket socket,
               std::string address);

}  // namespace spoke::bridge
