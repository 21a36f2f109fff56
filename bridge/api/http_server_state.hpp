#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "bridge/api/cors.hpp"
#include "bridge/api/http_server.hpp"

namespace spoke::bridge {

/// A connection, as the server sees it.
class HttpPeer {
public:
    virtual ~HttpPeer() = default;

    /// The server stops: what is idle ends, the rest after its response.
    virtual void stop() = 0;

    /// Ends at once, and leaves the lists it is in.
    virtual void drop() = 0;

    /// Whether a handler has its request, and the descriptor to look at if so.
    [[nodiscard]] virtual bool is_held() const noexcept = 0;
    [[nodiscard]] virtual int descriptor() = 0;

    /// The other side has closed, at least its half.
    virtual void on_gone() = 0;
};

/// A place in one of the lists of the server; empty if there is none.
class PeerPlace {
public:
    [[nodiscard]] bool is_taken() const noexcept { return taken_; }

private:
    friend struct HttpServerState;
    bool taken_ = false;
    std::size_t bytes_ = 0;
    std::list<HttpPeer*>::iterator at_{};
};

/// What the connections of one server share. Each takes itself out when it ends.
struct HttpServerState : std::enable_shared_from_this<HttpServerState> {
    HttpServerState(boost::asio::io_context& io, HttpServer::Options o, HttpServer::Handler h,
                    std::function<std::uint64_t()> r);

    void open();
    void accept();
    void on_connection_gone(std::string const& address);

    /// A connection waits for a request, or does not any more.
    void enter_idle(HttpPeer* peer, PeerPlace& place);
    void leave_idle(PeerPlace& place);

    /// A body is on its way; the slowest ones go if there are too many bytes.
    void enter_transfer(HttpPeer* peer, std::size_t bytes, PeerPlace& place);
    void leave_transfer(PeerPlace& place);

    void watch_held();

    /// The Date header, made once a second.
    std::string const& date();

    boost::asio::io_context& context;
    boost::asio::ip::tcp::acceptor acceptor;
    boost::asio::steady_timer retry;
    boost::asio::steady_timer gone_timer;
    HttpServer::Options options;
    Cors cors;
    HttpServer::Handler handler;
    std::function<std::uint64_t()> random;
    std::shared_ptr<boost::asio::ssl::context> tls{};  // null: none
    std::function<void()> stopped{};
    std::optional<boost::asio::ip::tcp::socket> waiting{};  // accepted, and there was no room
    std::list<HttpPeer*> connections{};
    std::map<std::string, std::size_t> by_address{};
    std::list<HttpPeer*> idle{};       // longest first
    std::list<HttpPeer*> transfers{};  // oldest first
    std::size_t transfer_bytes = 0;
    std::uint64_t dropped = 0;
    bool accepting = false;
    bool stopping = false;
    bool watching = false;

private:
    [[nodiscard]] bool has_room() const;
    void admit(boost::asio::ip::tcp::socket socket);
    void on_accept(boost::system::error_code error, boost::asio::ip::tcp::socket socket);
    void look_at_held();

    std::string date_{};
    std::chrono::sys_seconds date_at_{};
};

}  // namespace spoke::bridge
