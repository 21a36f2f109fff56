#include "device-sim/watch/reader_socket.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace spoke::sim {
namespace {

constexpr int kReceiveBytes = 4096;

}  // namespace

void open_small(boost::beast::tcp_stream& stream) {
    boost::system::error_code ignored;
    stream.socket().open(boost::asio::ip::tcp::v4(), ignored);
    stream.socket().set_option(boost::asio::socket_base::receive_buffer_size{kReceiveBytes},
                               ignored);
}

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
