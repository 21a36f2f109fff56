#pragma once

#include <boost/beast/core/tcp_stream.hpp>

#include "device-sim/watch/reading.hpp"

namespace spoke::sim {

/// Ends a connection as `how` says. After `silent` the socket is still open, and nobody reads it.
void leave_socket(boost::beast::tcp_stream& stream, Leave how);

}  // namespace spoke::sim
