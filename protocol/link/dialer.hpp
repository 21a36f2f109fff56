#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/link/link.hpp"
#include "protocol/link/stream.hpp"

namespace spoke::mqtt {

using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using Resolver = boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor>;

/// One attempt to reach the server: name, TCP (each address in turn), TLS. Lives only for the
/// attempt, so that a connected link does not pay for it. Has no time-out: the link cancels it.
class Dialer : public std::enable_shared_from_this<Dialer> {
public:
    /// Told once, unless cancelled. `error` is empty if `socket` and `stream` are connected.
    using Done = std::function<void(std::string error, Socket socket, Stream stream)>;

    Dialer(Executor executor, Resolver& resolver, std::shared_ptr<LinkOptions const> options,
           Done done);

    /// Begins. Done comes later, never from here.
    void dial();
    /// Done will not come.
    void cancel() noexcept;

private:
    using Endpoint = boost::asio::ip::tcp::endpoint;

    void try_next();
    [[nodiscard]] boost::system::error_code prepare_socket(Endpoint const& endpoint);
    void on_tcp();
    void shake_hands();
    void wait_then_shake_hands(Progress::Kind kind);
    void finish(std::string error);

    Resolver& resolver_;  // of the hub, which outlives all its links
    std::shared_ptr<LinkOptions const> options_;
    Done done_;
    std::vector<Endpoint> endpoints_;
    std::size_t next_ = 0;
    std::string last_error_;
    Socket socket_;
    Stream stream_;
};

/// "connection refused": an error code's text in the style of our own.
[[nodiscard]] std::string text_of(boost::system::error_code const& error);

}  // namespace spoke::mqtt
