#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "bridge/hook/hook_client.hpp"

namespace spoke::bridge {

/// Sends webhooks over HTTP/1.1, a connection each, with TLS as the URL says. A name is resolved
/// once, and a connection is made to an address that was checked; redirects are not followed.
/// Bound   of a response 16 KiB of header and 64 KiB of body are read.
/// Thread  that of the context, which outlives the sender.
class HookSender final : public HookClient {
public:
    struct Options {
        std::chrono::milliseconds timeout{10'000};  // from the resolution to the response
        bool allow_private = false;                 // any address will do
        bool allow_http = false;
        std::string ca_file{};  // PEM; empty: those of the system
    };

    /// Errors  std::runtime_error if the file cannot be read.
    HookSender(boost::asio::io_context& context, Options options);
    HookSender(HookSender const&) = delete;
    HookSender& operator=(HookSender const&) = delete;
    ~HookSender() override;

    void send(HookRequest request, Done done) override;

    /// Ends whatever is under way; nobody is told.
    void stop();

private:
    class Attempt;

    boost::asio::io_context& context_;  // outlives this
    Options options_;
    boost::asio::ssl::context tls_;
    std::map<std::uint64_t, std::weak_ptr<Attempt>> attempts_;
    std::uint64_t last_attempt_ = 0;
};

}  // namespace spoke::bridge
