#include "bridge/api/http_server.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "bridge/api/http_connection.hpp"
#include "bridge/api/http_server_state.hpp"
#include "bridge/api/server_certificate.hpp"

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

std::string text_of(tcp::endpoint const& endpoint) {
    auto address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
        address = net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6());
    }
    auto form = address.is_v6() ? "[{}]:{}" : "{}:{}";
    return fmt::format(fmt::runtime(form), address.to_string(), endpoint.port());
}

std::string host_of(std::string const& address) {
    return address.substr(0, address.rfind(':'));
}

}  // namespace

HttpServerState::HttpServerState(net::io_context& io, HttpServer::Options o, HttpServer::Handler h,
                                 std::function<std::uint64_t()> r)
    : context(io),
      acceptor(io),
      retry(io),
      gone_timer(io),
      tick_timer(io),
      options(std::move(o)),
      cors(options.cors_origins),
      handler(std::move(h)),
      random(std::move(r)) {}

void HttpServerState::open() {
    auto address = fmt::format("{}:{}", options.host, options.port);
    error_code error;
    tcp::resolver resolver{context};
    auto found =
        resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
    if (error || found.empty()) {
        throw std::runtime_error("cannot listen on " + address + ": " + error.message());
    }
    auto endpoint = found.begin()->endpoint();
    if (options.loopback_only && !endpoint.address().is_loopback()) {
        throw std::runtime_error(fmt::format(
            "will not listen on {} without keys: everybody there could command every device; give "
            "auth.secret_file, auth.jwks_file or auth.keys_file, or listen on 127.0.0.1",
            address));
    }
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
    if (error) {
        throw std::system_error(error.value(), std::generic_category(),
                                "cannot listen on " + address);
    }
    accept();
}

bool HttpServerState::has_room() const {
    return connections.size() < options.connections_max || !idle.empty();
}

void HttpServerState::accept() {
    if (accepting || stopping || !has_room()) return;
    if (waiting) {
        auto socket = std::move(*waiting);
        waiting.reset();
        admit(std::move(socket));
    }
    if (accepting || !has_room()) return;
    accepting = true;
    acceptor.async_accept(context,
                          [self = shared_from_this()](error_code error, tcp::socket socket) {
                              self->accepting = false;
                              self->on_accept(error, std::move(socket));
                          });
}

void HttpServerState::on_accept(error_code error, tcp::socket socket) {
    if (stopping) return;
    if (error) {
        // Out of descriptors, as a rule: the ones in use will come back.
        retry.expires_after(std::chrono::milliseconds{100});
        retry.async_wait([self = shared_from_this()](error_code e) {
            if (!e) self->accept();
        });
        return;
    }
    if (has_room()) {
        admit(std::move(socket));
    } else {
        waiting = std::move(socket);
    }
    accept();
}

void HttpServerState::admit(tcp::socket socket) {
    error_code error;
    socket.set_option(tcp::no_delay{true}, error);
    auto endpoint = socket.remote_endpoint(error);
    if (error) return;
    if (connections.size() >= options.connections_max) idle.front()->drop();
    auto address = text_of(endpoint);
    auto is_too_many = ++by_address[host_of(address)] > options.connections_per_address_max;
    (is_too_many ? turn_away : serve)(shared_from_this(), std::move(socket), std::move(address));
    tick();
}

void HttpServerState::on_connection_gone(std::string const& address) {
    auto found = by_address.find(host_of(address));
    if (found != by_address.end() && --found->second == 0) by_address.erase(found);
    if (!stopping) return accept();
    if (!connections.empty()) return;
    gone_timer.cancel();
    tick_timer.cancel();
    if (stopped) std::exchange(stopped, {})();
}

void HttpServerState::enter_idle(HttpPeer* peer, PeerPlace& place) {
    place.at_ = idle.insert(idle.end(), peer);
    place.taken_ = true;
    accept();
}

void HttpServerState::leave_idle(PeerPlace& place) {
    if (std::exchange(place.taken_, false)) idle.erase(place.at_);
}

void HttpServerState::enter_transfer(HttpPeer* peer, std::size_t bytes, PeerPlace& place) {
    place.at_ = transfers.insert(transfers.end(), peer);
    place.taken_ = true;
    place.bytes_ = bytes;
    transfer_bytes += bytes;
    while (transfer_bytes > options.transfer_bytes_max) transfers.front()->drop();
}

void HttpServerState::leave_transfer(PeerPlace& place) {
    if (!std::exchange(place.taken_, false)) return;
    transfer_bytes -= place.bytes_;
    transfers.erase(place.at_);
}

void HttpServerState::watch_held() {
    if (std::exchange(watching, true)) return;
    gone_timer.expires_after(options.gone_check);
    gone_timer.async_wait([self = shared_from_this()](error_code error) {
        self->watching = false;
        if (!error) self->look_at_held();
    });
}

/// One timer for all: a timer that is set anew several times in each request costs more than what
/// it watches.
void HttpServerState::tick() {
    if (ticking || connections.empty()) return;
    ticking = true;
    constexpr std::chrono::milliseconds kTickMin{5};
    constexpr std::chrono::milliseconds kTickMax{250};
    auto shortest = std::min({options.header_timeout, options.body_timeout, options.idle_timeout,
                              options.write_timeout});
    tick_timer.expires_after(std::clamp(shortest / 8, kTickMin, kTickMax));
    tick_timer.async_wait([self = shared_from_this()](error_code error) {
        self->ticking = false;
        if (error) return;
        auto now = std::chrono::steady_clock::now();
        for (auto at = self->connections.begin(); at != self->connections.end();) {
            auto* peer = *at++;  // it may take itself out
            peer->on_tick(now);
        }
        self->tick();
    });
}

/// No read is pending while a request is held, so that nothing else tells that a peer has gone.
void HttpServerState::look_at_held() {
    std::vector<HttpPeer*> peers;
    std::vector<pollfd> descriptors;
    for (auto* peer : connections) {
        if (!peer->is_held()) continue;
        peers.push_back(peer);
        descriptors.push_back({peer->descriptor(), POLLRDHUP, 0});
    }
    if (peers.empty()) return;
    if (::poll(descriptors.data(), descriptors.size(), 0) > 0) {
        for (std::size_t i = 0; i < peers.size(); ++i) {
            if (descriptors[i].revents != 0) peers[i]->on_gone();
        }
    }
    watch_held();
}

void HttpServerState::call_soon(std::shared_ptr<HttpPeer> peer) {
    auto is_first = soon_.empty();
    soon_.push_back(std::move(peer));
    if (is_first) net::post(context, [self = shared_from_this()] { self->call_next(); });
}

/// Those who come while it runs are in the same list: they have their turn in it or after it.
void HttpServerState::call_next() {
    constexpr std::size_t kTurnMax = 1'000;  // then the rest of the loop has a turn
    for (std::size_t called = 0; soon_at_ < soon_.size() && called < kTurnMax; ++called) {
        auto peer = std::move(soon_[soon_at_++]);
        peer->on_soon();
    }
    if (soon_at_ < soon_.size()) {
        return net::post(context, [self = shared_from_this()] { self->call_next(); });
    }
    soon_.clear();
    soon_at_ = 0;
}

void HttpServerState::forget_calls() {
    auto calls = std::exchange(soon_, {});
    soon_at_ = 0;
}

HttpSeat::HttpSeat(std::shared_ptr<HttpServerState> server, std::string address, HttpPeer* peer)
    : server_(std::move(server)),
      address_(std::move(address)),
      place_(server_->connections.insert(server_->connections.end(), peer)) {}

HttpSeat::~HttpSeat() {
    if (!server_) return;
    server_->connections.erase(place_);
    server_->on_connection_gone(address_);
}

std::string const& HttpServerState::date() {
    auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
    if (date_.empty() || now != date_at_) {
        date_at_ = now;
        date_ = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT",
                            fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
    }
    return date_;
}

HttpServer::HttpServer(net::io_context& context, Options options, Handler handler,
                       std::function<std::uint64_t()> random)
    : state_(std::make_shared<HttpServerState>(context, std::move(options), std::move(handler),
                                               std::move(random))) {}

HttpServer::~HttpServer() {
    stop();
    state_->forget_calls();
}

void HttpServer::listen() {
    reload_certificate();
    state_->open();
}

void HttpServer::reload_certificate() {
    auto const& options = state_->options;
    if (options.certificate.empty()) return;
    state_->tls = load_certificate(options.certificate, options.private_key);
}

std::uint16_t HttpServer::port() const {
    return state_->acceptor.local_endpoint().port();
}

void HttpServer::stop(std::function<void()> stopped) {
    state_->stopping = true;
    state_->stopped = std::move(stopped);
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->waiting.reset();
    state_->retry.cancel();
    auto peers = state_->connections;  // each may take itself out
    for (auto* peer : peers) peer->stop();
    if (!state_->connections.empty()) return;
    state_->gone_timer.cancel();
    state_->tick_timer.cancel();
    if (state_->stopped) std::exchange(state_->stopped, {})();
}

std::size_t HttpServer::connections() const noexcept {
    return state_->connections.size();
}

std::uint64_t HttpServer::dropped() const noexcept {
    return state_->dropped;
}

}  // namespace spoke::bridge
