#include "bridge/api/http_stream_peer.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>
#include <utility>
#include <vector>

#include "protocol/base/assert.hpp"

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using net::ip::tcp;

void limit_kernel_buffer(tcp::socket& socket, std::size_t bytes) {
    if (bytes == 0) return;
    error_code ignored;
    // Linux counts its own bookkeeping in and doubles what is asked for.
    socket.set_option(net::socket_base::send_buffer_size{static_cast<int>(bytes)}, ignored);
}

/// What the two kinds of peers have in common: who writes the body, and how it ends.
class StreamPeer : public HttpPeer, public StreamSink {
public:
    StreamPeer(HttpSeat seat, StreamOffer offer)
        : seat_(std::move(seat)), body_(std::move(offer.body)) {
        seat_.hand_to(this);
    }

    void stop() override {
        if (body_ && is_open_) return body_->on_stop();
        drop();
    }
    void drop() override {
        wants_end_ = true;
        call(self());
    }
    void end() override {
        is_ending_ = true;
        call(self());
    }
    void call_soon() override { call(self()); }

    [[nodiscard]] bool is_held() const noexcept override { return false; }
    [[nodiscard]] int descriptor() override { return -1; }
    void on_gone() override {}

    void on_soon() override {
        is_called_ = false;
        if (wants_end_) return finish();
        if (!has_room()) return;  // its end comes, or room does
        if (is_ending_) return finish();
        tell_room();
    }

protected:
    [[nodiscard]] virtual std::shared_ptr<HttpPeer> self() = 0;
    [[nodiscard]] virtual bool has_room() const noexcept = 0;
    virtual void close() = 0;

    /// The peer has taken everything.
    void on_taken() {
        if (is_ending_ || !body_) return finish();
        tell_room();
    }

    void tell_room() {
        if (!body_) return;
        auto body = body_;  // it may end this
        if (std::exchange(is_open_, true)) return body->on_room();
        body->on_open(*this);
    }

    void finish() {
        auto body = std::exchange(body_, nullptr);
        if (body && is_open_) body->on_gone();
        close();
    }

    /// Ends from out of the loop: whoever calls may be in the middle of something.
    void fail() {
        wants_end_ = true;
        call(self());
    }

private:
    void call(std::shared_ptr<HttpPeer> peer) {
        if (!std::exchange(is_called_, true)) seat_.server().call_soon(std::move(peer));
    }

protected:
    HttpSeat seat_;

private:
    std::shared_ptr<StreamBody> body_;
    bool is_open_ = false;
    bool is_called_ = false;
    bool is_ending_ = false;
    bool wants_end_ = false;
};

/// Over TCP: writes what it is given straight to the socket.
class TcpStreamPeer final : public StreamPeer, public std::enable_shared_from_this<TcpStreamPeer> {
public:
    TcpStreamPeer(HttpSeat seat, tcp::socket socket, StreamOffer offer)
        : StreamPeer(std::move(seat), std::move(offer)), socket_(std::move(socket)) {}

    void start(std::string head) {
        await_end();
        if (send(std::make_shared<std::string const>(std::move(head)))) on_taken();
    }

    using StreamSink::send;
    bool send(std::span<SharedBytes const> pieces) override {
        MQ_ASSERT(rest_.empty());
        std::size_t sent = 0;
        while (!pieces.empty()) {
            auto result = write(pieces, sent);
            if (result == Result::failed) {
                fail();
                return false;
            }
            if (result == Result::full) {
                rest_.assign(pieces.begin(), pieces.end());
                rest_sent_ = sent;
                await_room();
                return false;
            }
        }
        return true;
    }

private:
    enum class Result { sent, full, failed };

    std::shared_ptr<HttpPeer> self() override { return shared_from_this(); }
    bool has_room() const noexcept override { return rest_.empty(); }

    void close() override {
        error_code ignored;
        rest_.clear();
        socket_.close(ignored);
    }

    /// Writes some; `pieces` lose what went whole, `sent` counts into the first of them.
    Result write(std::span<SharedBytes const>& pieces, std::size_t& sent) {
        std::array<iovec, 32> parts;
        auto count = std::min(parts.size(), pieces.size());
        for (std::size_t i = 0; i < count; ++i) {
            auto skipped = i == 0 ? sent : 0;
            parts[i].iov_base = const_cast<char*>(pieces[i]->data() + skipped);
            parts[i].iov_len = pieces[i]->size() - skipped;
        }
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        auto size = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) return Result::sent;
        if (size < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? Result::full : Result::failed;
        }
        auto left = static_cast<std::size_t>(size) + sent;
        while (!pieces.empty() && left >= pieces.front()->size()) {
            left -= pieces.front()->size();
            pieces = pieces.subspan(1);
        }
        sent = left;
        return Result::sent;
    }

    void await_room() {
        socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
            if (!error) self->go_on();
        });
    }

    void go_on() {
        auto pieces = std::exchange(rest_, {});
        std::span<SharedBytes const> left{pieces};
        auto sent = std::exchange(rest_sent_, 0);
        while (!left.empty()) {
            auto result = write(left, sent);
            if (result == Result::failed) return finish();
            if (result == Result::full) {
                rest_.assign(left.begin(), left.end());
                rest_sent_ = sent;
                return await_room();
            }
        }
        on_taken();
    }

    /// What the peer still says is of no interest, but that it has gone is.
    void await_end() {
        socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
            if (error) return;
            std::array<char, 2048> bytes;
            auto size =
                ::recv(self->socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
            auto is_there = size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
            if (!is_there) return self->finish();
            self->await_end();
        });
    }

    tcp::socket socket_;
    std::vector<SharedBytes> rest_{};  // what the socket did not take
    std::size_t rest_sent_ = 0;        // of the first of them
};

/// Over TLS: the stream has buffers of its own, and writes one thing at a time.
class TlsStreamPeer final : public StreamPeer, public std::enable_shared_from_this<TlsStreamPeer> {
public:
    TlsStreamPeer(HttpSeat seat, TlsStream stream, StreamOffer offer)
        : StreamPeer(std::move(seat), std::move(offer)), stream_(std::move(stream)) {}

    void start(std::string head) {
        await_end();
        send(std::make_shared<std::string const>(std::move(head)));
    }

    using StreamSink::send;
    bool send(std::span<SharedBytes const> pieces) override {
        MQ_ASSERT(rest_.empty());
        std::vector<net::const_buffer> buffers;
        for (auto const& piece : pieces) buffers.emplace_back(net::buffer(*piece));
        rest_.assign(pieces.begin(), pieces.end());
        net::async_write(stream_, buffers,
                         [self = shared_from_this()](error_code error, std::size_t) {
                             self->rest_.clear();
                             if (error) return self->finish();
                             self->on_taken();
                         });
        return false;
    }

private:
    std::shared_ptr<HttpPeer> self() override { return shared_from_this(); }
    bool has_room() const noexcept override { return rest_.empty(); }

    void close() override {
        error_code ignored;
        beast::get_lowest_layer(stream_).socket().close(ignored);
    }

    void await_end() {
        stream_.async_read_some(net::buffer(bytes_),
                                [self = shared_from_this()](error_code error, std::size_t) {
                                    if (error) return self->finish();
                                    self->await_end();
                                });
    }

    TlsStream stream_;
    std::array<char, 64> bytes_{};
    std::vector<SharedBytes> rest_{};  // being written
};

}  // namespace

void serve_stream(HttpSeat seat, tcp::socket socket, std::string head, StreamOffer offer) {
    limit_kernel_buffer(socket, offer.kernel_bytes_max);
    std::make_shared<TcpStreamPeer>(std::move(seat), std::move(socket), std::move(offer))
        ->start(std::move(head));
}

void serve_stream(HttpSeat seat, TlsStream stream, std::string head, StreamOffer offer) {
    limit_kernel_buffer(beast::get_lowest_layer(stream).socket(), offer.kernel_bytes_max);
    std::make_shared<TlsStreamPeer>(std::move(seat), std::move(stream), std::move(offer))
        ->start(std::move(head));
}

}  // namespace spoke::bridge
