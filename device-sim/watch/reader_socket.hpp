#pragma once

#include <boost/beast/core/tcp_stream.hpp>

#include "device-sim/watch/reading.hpp"

namespace spoke::sim {

/// Opens a socket that takes little before it is read, so that the server soon notices a reader who
/// does not read. Errors  none: what is wrong shows when it is connected.
void open_small(boost::beast::tcp_stream& stream);

/// Ends a connection as `how` says. After `silent` the socket is still open, and nobody reads it.
void leave_socket(boost::beast::tcp_stream& stream, Leave how);

}  // namespace spoke::sim
