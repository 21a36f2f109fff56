#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include "bridge/api/http_server_state.hpp"
#include "bridge/api/http_stream.hpp"
#include "bridge/api/http_stream_peer.hpp"

namespace spoke::bridge {

using UpgradeRequest = boost::beast::http::request<boost::beast::http::empty_body>;
using UpgradeHead = boost::beast::http::response_header<>;

/// Goes on with a connection that becomes a WebSocket (RFC 6455): answers the upgrade, with the
/// fields of `head` besides those of the protocol, and lets the end of the offer talk. Messages are
/// not packed. A peer that is silent for 15 s is pinged, and given up after 30 s. It owns itself.
void serve_web_socket(HttpSeat seat, boost::asio::ip::tcp::socket socket, UpgradeRequest request,
                      UpgradeHead head, WebSocketOffer offer);
void serve_web_socket(HttpSeat seat, TlsStream stream, UpgradeRequest request, UpgradeHead head,
                      WebSocketOffer offer);

}  // namespace spoke::bridge
