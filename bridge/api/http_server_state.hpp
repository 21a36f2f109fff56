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
#include <vector>

#include "bridge/api/cors.hpp"
#include "bridge/api/http_server.hpp"
#include "protocol/base/time.hpp"

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

    /// The time goes on: what has taken too long ends.
    virtual void on_tick(SteadyTime) {}

    /// HttpServerState::call_soon() was called for it.
    virtual void on_soon() {}
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

    /// Has the connections look at their deadlines now and then, as long as there are any.
    void tick();

    /// Calls peer->on_soon() out of the loop, for all who want it in one turn, unless too many do.
    void call_soon(std::shared_ptr<HttpPeer> peer);

    /// The loop does not turn any more: lets go of those who wait for a call.
    void forget_calls();

    /// The Date header, made once a second.
    std::string const& date();

    boost::asio::io_context& context;
    boost::asio::ip::tcp::acceptor acceptor;
    boost::asio::steady_timer retry;
    boost::asio::steady_timer gone_timer;
    boost::asio::steady_timer tick_timer;
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
    bool ticking = false;

private:
    [[nodiscard]] bool has_room() const;
    void admit(boost::asio::ip::tcp::socket socket);
    void on_accept(boost::system::error_code error, boost::asio::ip::tcp::socket socket);
    void look_at_held();
    void call_next();

    std::vector<std::shared_ptr<HttpPeer>> soon_{};
    std::size_t soon_at_ = 0;  // of the next one
    std::string date_{};
    std::chrono::sys_seconds date_at_{};
};

/// A connection's place in the counts and lists of the server, for as long as it lasts; a peer may
/// hand it to another one that goes on with the connection.
class HttpSeat {
public:
    HttpSeat(std::shared_ptr<HttpServerState> server, std::string address, HttpPeer* peer);
    HttpSeat(HttpSeat&& other) noexcept = default;
    HttpSeat& operator=(HttpSeat&&) = delete;
    ~HttpSeat();

    void hand_to(HttpPeer* peer) { *place_ = peer; }

    [[nodiscard]] HttpServerState& server() const noexcept { return *server_; }
    [[nodiscard]] std::shared_ptr<HttpServerState> const& shared_server() const noexcept {
        return server_;
    }
    [[nodiscard]] std::string const& address() const noexcept { return address_; }

private:
    std::shared_ptr<HttpServerState> server_;  // null: handed on
    std::string address_;
    std::list<HttpPeer*>::iterator place_{};
};

}  // namespace spoke::bridge
