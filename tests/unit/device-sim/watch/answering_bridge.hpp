#pragma once

#include <fmt/format.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spoke::sim::test {

/// A bridge of one connection at a time that answers requests as the test says.
class AnsweringBridge {
public:
    /// Of the whole request; empty: it hangs up.
    using Answer = std::function<std::string(std::string const& request)>;

    /// `context` outlives it.
    AnsweringBridge(boost::asio::io_context& context, Answer answer)
        : answer_(std::move(answer)),
          acceptor_(context, {boost::asio::ip::make_address("127.0.0.1"), 0}),
          socket_(context) {
        accept();
    }

    static std::string response(std::string_view head, std::string_view body) {
        return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", head, body.size(), body);
    }

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    std::vector<std::string> requests{};

private:
    using Error = boost::system::error_code;

    void accept() {
        acceptor_.async_accept([this](Error error, boost::asio::ip::tcp::socket peer) {
            if (error) return;
            socket_ = std::move(peer);
            received_.clear();
            read();
        });
    }

    void read() {
        auto buffer = boost::asio::buffer(chunk_);
        socket_.async_read_some(buffer, [this](Error error, std::size_t size) {
            if (error) return accept();
            received_.append(chunk_.data(), size);
            if (is_whole()) answer();
            socket_.is_open() ? read() : accept();
        });
    }

    [[nodiscard]] bool is_whole() const {
        constexpr std::string_view kLength = "Content-Length: ";
        auto end = received_.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        auto at = received_.find(kLength);
        auto length =
            at == std::string::npos ? 0 : std::stoul(received_.substr(at + kLength.size()));
        return received_.size() >= end + 4 + length;
    }

    void answer() {
        requests.push_back(std::exchange(received_, {}));
        auto text = answer_(requests.back());
        if (text.empty()) return socket_.close();
        Error ignored;
        boost::asio::write(socket_, boost::asio::buffer(text), ignored);
    }

    Answer answer_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::ip::tcp::socket socket_;
    std::array<char, 4096> chunk_{};
    std::string received_{};
};

}  // namespace spoke::sim::test
