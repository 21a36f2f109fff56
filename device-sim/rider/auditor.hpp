#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device-sim/http/http_client.hpp"
#include "device-sim/judge/judge.hpp"

namespace spoke::sim {

/// Reads commands again, many at a time, and tells the judge what is shown.
/// Thread  the one that runs the io_context.
class Auditor {
public:
    static constexpr std::size_t kConnections = 64;

    /// All of these outlive it.
    Auditor(boost::asio::io_context& context, HttpClient::Options const& http,
            std::string const& token, Judge& judge);
    Auditor(Auditor const&) = delete;
    Auditor& operator=(Auditor const&) = delete;
    ~Auditor() = default;

    /// Reads each of `commands` once; asks again where no answer came. Then `done`, later. One at a
    /// time.
    void read(std::vector<std::string> commands, std::function<void()> done);

private:
    struct Clerk {
        explicit Clerk(boost::asio::io_context& context, HttpClient::Options const& http)
            : client(context, http), timer(context) {}
        HttpClient client;
        boost::asio::steady_timer timer;
        std::string command{};
    };

    void take_next(Clerk& clerk);
    void ask(Clerk& clerk);
    void on_response(Clerk& clerk, boost::system::error_code error, HttpResponse const& response);

    boost::asio::io_context& context_;
    std::string const& token_;
    Judge& judge_;
    std::vector<std::unique_ptr<Clerk>> clerks_;
    std::vector<std::string> commands_;
    std::size_t busy_ = 0;
    std::function<void()> done_{};
};

}  // namespace spoke::sim
