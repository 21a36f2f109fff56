#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl.hpp>
#include <string>

#include "bridge/api/http_server_state.hpp"
#include "bridge/api/http_stream.hpp"

namespace spoke::bridge {

using TlsStream = boost::beast::ssl_stream<boost::beast::tcp_stream>;

/// Goes on with a connection whose response is a stream: writes the head, then what the body of
/// the offer sends, if there is one; then closes. It owns itself.
void serve_stream(HttpSeat seat, boost::asio::ip::tcp::socket socket, std::string head,
                  StreamOffer offer);
void serve_stream(HttpSeat seat, TlsStream stream, std::string head, StreamOffer offer);

}  // namespace spoke::bridge
