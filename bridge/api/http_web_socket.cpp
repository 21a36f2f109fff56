#include "bridge/api/http_web_socket.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using net::ip::tcp;

constexpr std::chrono::seconds kSilenceMax{30};  // half of it until a ping
constexpr std::chrono::seconds kHandshakeMax{10};
constexpr std::size_t kFrameBufferSize = 1'024;

template <class Stream>
class WebSocketPeer final : public HttpPeer,
                            public WebSocketSink,
                            public std::enable_shared_from_this<WebSocketPeer<Stream>> {
public:
    template <class Socket>
    WebSocketPeer(HttpSeat seat, Socket socket, WebSocketOffer offer)
        : seat_(std::move(seat)),
          offer_(std::move(offer)),
          stream_(std::move(socket)),
          closing_timer_(stream_.get_executor()) {
        seat_.hand_to(this);
        if (offer_.kernel_bytes_max > 0) {
            error_code ignored;
            tcp_layer().socket().set_option(
                net::socket_base::send_buffer_size{static_cast<int>(offer_.kernel_bytes_max)},
                ignored);
        }
    }

    void start(UpgradeRequest request, UpgradeHead head) {
        websocket::permessage_deflate no_packing;
        no_packing.server_enable = false;
        stream_.set_option(no_packing);
        stream_.set_option(websocket::stream_base::timeout{kHandshakeMax, kSilenceMax, true});
        stream_.set_option(websocket::stream_base::decorator(
            [head = std::move(head), protocol = offer_.subprotocol](websocket::response_type& out) {
                for (auto const& field : head) {
                    if (field.name() != http::field::connection) {
                        out.set(field.name_string(), field.value());
                    }
                }
                if (!protocol.empty()) out.set(http::field::sec_websocket_protocol, protocol);
            }));
        stream_.read_message_max(offer_.message_bytes_max);
        stream_.write_buffer_bytes(kFrameBufferSize);
        stream_.auto_fragment(false);
        // The request is looked at before this returns.
        stream_.async_accept(request, [self = this->shared_from_this()](error_code error) {
            if (error) return self->finish();
            self->is_open_ = true;
            auto end = self->offer_.end;
            if (!end) return self->finish();
            end->on_open(*self);
            self->read();
        });
    }

    // HttpPeer.

    void stop() override {
        if (is_open_ && offer_.end) return offer_.end->on_stop();
        drop();
    }
    void drop() override {
        is_dropped_ = true;
        call_soon();
    }
    [[nodiscard]] bool is_held() const noexcept override { return false; }
    [[nodiscard]] int descriptor() override { return -1; }
    void on_gone() override {}
    void on_soon() override {
        is_called_ = false;
        if (is_dropped_) return finish();
        if (close_code_ != 0) return write();
        tell_room();
    }

    // WebSocketSink.

    bool send(SharedBytes message, Kind kind) override {
        if (close_code_ != 0) return false;
        waiting_bytes_ += message->size();
        waiting_.emplace_back(std::move(message), kind);
        write();
        had_room_ = has_room();
        return had_room_;
    }
    void call_soon() override {
        if (!std::exchange(is_called_, true)) {
            seat_.server().call_soon(this->shared_from_this());
        }
    }
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override { return waiting_bytes_; }
    void pause_reading() override { is_paused_ = true; }
    void resume_reading() override {
        if (!std::exchange(is_paused_, false) || is_reading_ || !is_open_) return;
        read();
    }
    void close(std::uint16_t code, std::string_view reason) override {
        if (close_code_ != 0) return;
        close_code_ = code;
        close_reason_ = reason.substr(0, 123);
        closing_timer_.expires_after(seat_.server().options.write_timeout);
        closing_timer_.async_wait([self = this->shared_from_this()](error_code error) {
            if (!error) self->finish();
        });
        call_soon();
    }
    void cut(std::uint16_t code, std::string_view reason) override {
        while (waiting_.size() > 1) {
            waiting_bytes_ -= waiting_.back().first->size();
            waiting_.pop_back();
        }
        close(code, reason);
    }

private:
    beast::tcp_stream& tcp_layer() { return beast::get_lowest_layer(stream_); }
    [[nodiscard]] bool has_room() const noexcept {
        return close_code_ == 0 && waiting_bytes_ < offer_.room_bytes;
    }

    void tell_room() {
        if (!is_open_ || !has_room()) return;
        if (auto end = offer_.end) end->on_room();
    }

    void read() {
        if (is_reading_ || !offer_.end) return;
        if (is_paused_) return watch();
        is_reading_ = true;
        stream_.async_read(buffer_,
                           [self = this->shared_from_this()](error_code error, std::size_t) {
                               self->is_reading_ = false;
                               if (error) return self->finish();
                               self->on_read();
                           });
    }

    /// While nothing is read: the peer may go, or be silent for too long.
    void watch() {
        if (std::exchange(is_watched_, true)) return;
        tcp_layer().socket().async_wait(tcp::socket::wait_error,
                                        [self = this->shared_from_this()](error_code) {
                                            self->is_watched_ = false;
                                            if (!self->is_reading_) self->finish();
                                        });
    }

    void on_read() {
        auto kind = stream_.got_text() ? Kind::text : Kind::binary;
        std::string_view message{static_cast<char const*>(buffer_.data().data()), buffer_.size()};
        if (auto end = offer_.end; end && close_code_ == 0) end->on_message(message, kind);
        buffer_.clear();
        // A long message does not cost its memory for ever.
        constexpr std::size_t kKept = 4'096;
        if (buffer_.capacity() > kKept) buffer_.shrink_to_fit();
        read();
    }

    void write() {
        if (is_writing_ || is_closed_) return;
        if (waiting_.empty()) {
            if (close_code_ != 0) say_close();
            return;
        }
        is_writing_ = true;
        auto const& [message, kind] = waiting_.front();
        stream_.binary(kind == Kind::binary);
        stream_.async_write(net::buffer(*message),
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                                self->is_writing_ = false;
                                if (error) return self->finish();
                                self->on_written();
                            });
    }

    void on_written() {
        waiting_bytes_ -= waiting_.front().first->size();
        waiting_.pop_front();
        if (waiting_.empty()) waiting_.shrink_to_fit();
        auto had_room = had_room_;
        had_room_ = has_room();
        write();
        if (!had_room && had_room_) tell_room();
    }

    /// The peer's answer to it ends the read that is under way.
    void say_close() {
        is_closed_ = true;
        stream_.async_close({static_cast<websocket::close_code>(close_code_), close_reason_},
                            [self = this->shared_from_this()](error_code) { self->finish(); });
    }

    void finish() {
        is_closed_ = true;
        closing_timer_.cancel();
        auto end = std::exchange(offer_.end, nullptr);
        if (end && is_open_) end->on_gone();
        tcp_layer().close();
    }

    HttpSeat seat_;
    WebSocketOffer offer_;
    websocket::stream<Stream, false> stream_;
    beast::flat_buffer buffer_{};
    std::deque<std::pair<SharedBytes, Kind>> waiting_{};  // the first is being written
    std::size_t waiting_bytes_ = 0;
    std::string close_reason_{};
    net::steady_timer closing_timer_;
    std::uint16_t close_code_ = 0;
    bool had_room_ = true;
    bool is_open_ = false;
    bool is_called_ = false;
    bool is_dropped_ = false;
    bool is_paused_ = false;
    bool is_reading_ = false;
    bool is_watched_ = false;
    bool is_writing_ = false;
    bool is_closed_ = false;
};

}  // namespace

void serve_web_socket(HttpSeat seat, tcp::socket socket, UpgradeRequest request, UpgradeHead head,
                      WebSocketOffer offer) {
    std::make_shared<WebSocketPeer<beast::tcp_stream>>(std::move(seat), std::move(socket),
                                                       std::move(offer))
        ->start(std::move(request), std::move(head));
}

void serve_web_socket(HttpSeat seat, TlsStream stream, UpgradeRequest request, UpgradeHead head,
                      WebSocketOffer offer) {
    std::make_shared<WebSocketPeer<TlsStream>>(std::move(seat), std::move(stream), std::move(offer))
        ->start(std::move(request), std::move(head));
}

}  // namespace spoke::bridge
