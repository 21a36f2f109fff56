#pragma once

#include "device-sim/watch/watch_writer.hpp"

namespace spoke::sim {

/// Writes over HTTP, each message again under its key until it is taken.
class HttpWriter final : public PacedWriter {
public:
    HttpWriter(boost::asio::io_context& context, WriterOptions const& options, WatchJudge& judge,
               WriterTally& tally, WriterRole role);

private:
    void send() override;
    [[nodiscard]] HttpRequest request() const;
    [[nodiscard]] std::string inbox_message() const;
    void on_response(boost::system::error_code error, HttpResponse const& response);
    [[nodiscard]] bool is_taken(HttpResponse const& response) const;

    WriterOptions const& options_;
    HttpClient client_;
};

}  // namespace spoke::sim
