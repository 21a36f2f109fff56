#include "device-sim/watch/leave_socket.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace spoke::sim {

void leave_socket(boost::beast::tcp_stream& stream, Leave how) {
    boost::system::error_code ignored;
    if (how == Leave::silent) {
        // What is under way ends, the socket stays.
        stream.expires_never();
        stream.socket().cancel(ignored);
        return;
    }
    if (how == Leave::rst) {
        stream.socket().set_option(boost::asio::socket_base::linger{true, 0}, ignored);
    }
    stream.socket().close(ignored);
}

}  // namespace spoke::sim
