#include "protocol/link/dialer.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <cctype>
#include <utility>

namespace spoke::mqtt {

namespace asio = boost::asio;
using boost::system::error_code;

std::string text_of(error_code const& error) {
    if (error.category() == boost::system::system_category()) {
        return system_error_text(error.value());
    }
    auto text = error.message();
    if (!text.empty())
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

Dialer::Dialer(Executor executor, Resolver& resolver, std::shared_ptr<LinkOptions const> options,
               Done done)
    : resolver_(resolver),
      options_(std::move(options)),
      done_(std::move(done)),
      socket_(executor) {}

void Dialer::dial() {
    error_code not_numeric;
    auto address = asio::ip::make_address(options_->host, not_numeric);
    if (!not_numeric) {
        endpoints_.emplace_back(address, options_->port);
        asio::post(socket_.get_executor(), [self = shared_from_this()] { self->try_next(); });
        return;
    }
    resolver_.async_resolve(options_->host, std::to_string(options_->port),
                            asio::ip::resolver_base::numeric_service,
                            [self = shared_from_this()](error_code const& error,
                                                        Resolver::results_type const& results) {
                                if (error) return self->finish(text_of(error));
                                for (auto const& result : results)
                                    self->endpoints_.push_back(result.endpoint());
                                self->try_next();
                            });
}

void Dialer::cancel() noexcept {
    done_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
}

void Dialer::try_next() {
    if (!done_) return;
    if (next_ == endpoints_.size()) return finish(last_error_);
    auto const& endpoint = endpoints_[next_++];
    if (auto error = prepare_socket(endpoint)) {
        last_error_ = text_of(error);
        return try_next();
    }
    socket_.async_connect(endpoint, [self = shared_from_this()](error_code const& error) {
        if (!self->done_) return;
        if (!error) return self->on_tcp();
        self->last_error_ = text_of(error);
        self->try_next();
    });
}

error_code Dialer::prepare_socket(Endpoint const& endpoint) {
    error_code error;
    socket_.close(error);
    socket_.open(endpoint.protocol(), error);
    if (!error) socket_.non_blocking(true, error);
    if (error || options_->bind_address.empty()) return error;
    auto address = asio::ip::make_address(options_->bind_address, error);
    if (error) return error;
    // The port is then chosen at connect, unique together with the peer: more than 28 000 links per
    // address.
    int on = 1;
    ::setsockopt(socket_.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    socket_.bind(Endpoint{address, 0}, error);
    return error;
}

void Dialer::on_tcp() {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay{true}, ignored);
    if (!options_->tls) {
        stream_ = Stream{socket_.native_handle()};
        return finish({});
    }
    stream_ = Stream{socket_.native_handle(), *options_->tls, options_->host};
    shake_hands();
}

void Dialer::shake_hands() {
    auto progress = stream_.handshake();
    switch (progress.kind) {
        case Progress::Kind::moved:
            return finish({});
        case Progress::Kind::want_read:
        case Progress::Kind::want_write:
            return wait_then_shake_hands(progress.kind);
        case Progress::Kind::ended:
            return finish("server closed the connection during the TLS handshake");
        case Progress::Kind::failed:
            return finish("TLS: " + progress.error);
    }
}

void Dialer::wait_then_shake_hands(Progress::Kind kind) {
    auto for_what = kind == Progress::Kind::want_read ? Socket::wait_read : Socket::wait_write;
    socket_.async_wait(for_what, [self = shared_from_this()](error_code const& error) {
        if (!self->done_) return;
        if (error) return self->finish(text_of(error));
        self->shake_hands();
    });
}

void Dialer::finish(std::string error) {
    if (!done_) return;
    auto done = std::exchange(done_, nullptr);
    done(std::move(error), std::move(socket_), std::move(stream_));
}

}  // namespace spoke::mqtt
