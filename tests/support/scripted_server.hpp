#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::test {

/// Runs `io` until `done` holds. The time is only there to end a test that hangs.
template <class Predicate>
void run_until(boost::asio::io_context& io, Predicate done) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (!done()) {
        io.restart();
        if (io.run_one_until(end) == 0) throw std::runtime_error("the test waits for nothing");
    }
}

/// An MQTT server of a few lines for tests of what connects to one: real TCP (or TLS) on a free
/// port of the loopback. It answers as a friendly server does; a test takes over by setting
/// `on_packet`.
class ScriptedServer {
public:
    using Tcp = boost::asio::ip::tcp;
    using TlsStream = boost::asio::ssl::stream<Tcp::socket>;

    /// One connection.
    class Peer : public std::enable_shared_from_this<Peer> {
    public:
        Peer(Tcp::socket socket, ScriptedServer& server)
            : server_(server), socket_(std::move(socket)) {}
        Peer(Tcp::socket socket, ScriptedServer& server, boost::asio::ssl::context& tls)
            : server_(server),
              socket_(socket.get_executor()),
              tls_(std::in_place, std::move(socket), tls) {}

        void send(mqtt::Packet const& packet) {
            Buffer bytes;
            mqtt::encode(packet, version, bytes);
            send_bytes(std::move(bytes));
        }
        void send_bytes(Buffer bytes) {
            output_.insert(output_.end(), bytes.begin(), bytes.end());
            if (writing_.empty()) write();
        }
        /// Closes, in the way the kernel does by itself: FIN, or RST if unread bytes are there.
        void close() {
            boost::system::error_code ignored;
            socket().close(ignored);
        }
        /// Closes with RST.
        void reset() {
            boost::system::error_code ignored;
            socket().set_option(boost::asio::socket_base::linger{true, 0}, ignored);
            socket().close(ignored);
        }
        /// Stops or goes on reading.
        void hold_reading(bool hold) {
            held_ = hold;
            if (!hold && !reading_ && !ended) read();
        }

        mqtt::Version version = mqtt::Version::v5;
        std::vector<mqtt::Packet> packets;  // all that came
        std::size_t bytes_received = 0;     // likewise
        bool ended = false;                 // the client closed or the connection failed
        bool with_fin = false;              // and it was a clean end of stream

        [[nodiscard]] Tcp::socket& socket() { return tls_ ? tls_->next_layer() : socket_; }

    private:
        friend class ScriptedServer;

        void start() {
            if (!tls_) return read();
            tls_->async_handshake(TlsStream::server,
                                  [self = shared_from_this()](auto const& error) {
                                      if (error) return self->end(error);
                                      self->read();
                                  });
        }
        void write() {
            if (output_.empty()) return;
            writing_.swap(output_);
            auto handler = [self = shared_from_this()](auto const& error, std::size_t) {
                self->writing_.clear();
                if (!error) self->write();
            };
            if (tls_) {
                boost::asio::async_write(*tls_, boost::asio::buffer(writing_), handler);
            } else {
                boost::asio::async_write(socket_, boost::asio::buffer(writing_), handler);
            }
        }
        void read() {
            if (held_) return;
            reading_ = true;
            auto handler = [self = shared_from_this()](auto const& error, std::size_t size) {
                self->reading_ = false;
                if (error) return self->end(error);
                self->feed(size);
                self->read();
            };
            if (tls_) {
                tls_->async_read_some(boost::asio::buffer(input_), handler);
            } else {
                socket_.async_read_some(boost::asio::buffer(input_), handler);
            }
        }
        void end(boost::system::error_code const& error) {
            ended = true;
            with_fin = error == boost::asio::error::eof;
        }
        void feed(std::size_t size) {
            bytes_received += size;
            partial_.insert(partial_.end(), input_.begin(),
                            input_.begin() + static_cast<std::ptrdiff_t>(size));
            std::size_t used = 0;
            for (;;) {
                auto rest = Bytes{partial_}.subspan(used);
                auto header = mqtt::read_fixed_header(rest, mqtt::kVariableByteIntegerMax);
                if (!header.has_value()) throw std::runtime_error("the client sent no MQTT");
                if (!header->has_value() || (*header)->packet_size() > rest.size()) break;
                auto frame = rest.first((*header)->packet_size());
                auto packet = mqtt::decode(frame, version, mqtt::Sender::client);
                if (!packet.has_value()) throw std::runtime_error("the client sent a bad packet");
                used += frame.size();
                if (auto const* connect = std::get_if<mqtt::Connect>(&*packet)) {
                    version = connect->version;
                }
                packets.push_back(std::move(*packet));
                server_.take(*this, packets.back());
            }
            partial_.erase(partial_.begin(), partial_.begin() + static_cast<std::ptrdiff_t>(used));
        }

        ScriptedServer& server_;
        Tcp::socket socket_;
        std::optional<TlsStream> tls_;
        std::vector<std::byte> input_ = std::vector<std::byte>(64 * 1024);
        Buffer partial_;
        Buffer output_;
        Buffer writing_;
        bool held_ = false;
        bool reading_ = false;
    };

    explicit ScriptedServer(boost::asio::io_context& io)
        : acceptor_(io, {boost::asio::ip::address_v4::loopback(), 0}) {
        accept();
    }
    /// TLS. In  `tls`: outlives the server.
    ScriptedServer(boost::asio::io_context& io, boost::asio::ssl::context& tls)
        : acceptor_(io, {boost::asio::ip::address_v4::loopback(), 0}), tls_(&tls) {
        accept();
    }
    ~ScriptedServer() {
        for (auto const& peer : peers) peer->close();
    }

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    /// Answers as a friendly server does.
    static void answer(Peer& peer, mqtt::Packet const& packet) {
        std::visit(Friendly{peer}, packet);
    }

    /// Nobody can connect any more.
    void stop_listening() { acceptor_.close(); }

    std::function<void(Peer&)> on_accept;  // before the first byte
    std::function<void(Peer&, mqtt::Packet const&)> on_packet = answer;
    std::vector<std::shared_ptr<Peer>> peers;  // in the order they came, closed ones too

private:
    struct Friendly {
        Peer& peer;
        void operator()(mqtt::Connect const&) const { peer.send(mqtt::ConnAck{}); }
        void operator()(mqtt::PingReq) const { peer.send(mqtt::PingResp{}); }
        void operator()(mqtt::Publish const& packet) const {
            if (packet.qos == mqtt::Qos::at_least_once) peer.send(mqtt::PubAck{.id = packet.id});
            if (packet.qos == mqtt::Qos::exactly_once) peer.send(mqtt::PubRec{.id = packet.id});
        }
        void operator()(mqtt::PubRec const& packet) const {
            peer.send(mqtt::PubRel{.id = packet.id});
        }
        void operator()(mqtt::PubRel const& packet) const {
            peer.send(mqtt::PubComp{.id = packet.id});
        }
        void operator()(mqtt::Subscribe const& packet) const {
            mqtt::SubAck answer{.id = packet.id};
            for (auto const& subscription : packet.subscriptions) {
                answer.reasons.push_back(static_cast<mqtt::ReasonCode>(subscription.options.qos));
            }
            peer.send(answer);
        }
        void operator()(mqtt::Unsubscribe const& packet) const {
            mqtt::UnsubAck answer{.id = packet.id};
            if (peer.version == mqtt::Version::v5) {
                answer.reasons.assign(packet.filters.size(), mqtt::ReasonCode::success);
            }
            peer.send(answer);
        }
        void operator()(mqtt::Disconnect const&) const { peer.close(); }
        template <class Other>
        void operator()(Other const&) const {}
    };

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code const& error, Tcp::socket socket) {
            if (error) return;
            auto peer = tls_ != nullptr ? std::make_shared<Peer>(std::move(socket), *this, *tls_)
                                        : std::make_shared<Peer>(std::move(socket), *this);
            peers.push_back(peer);
            if (on_accept) on_accept(*peer);
            peer->start();
            accept();
        });
    }
    void take(Peer& peer, mqtt::Packet const& packet) {
        if (on_packet) on_packet(peer, packet);
    }

    Tcp::acceptor acceptor_;
    boost::asio::ssl::context* tls_ = nullptr;
};

}  // namespace spoke::test
