#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <string>

#include "device-sim/watch/reading.hpp"

namespace spoke::sim {

/// Writes into a topic of which the bridge keeps few events, until the first of them are gone: then
/// the cursor from before them is too old for whoever wants to read this topic.
/// Thread  the one that runs the io_context.
class ForgottenTopic {
public:
    /// `topic`: none if it is empty. `options` outlive it.
    ForgottenTopic(boost::asio::io_context& context, ReadingOptions const& options,
                   std::string topic);

    /// `start`: where the log ends now.
    void start(Place const& start);
    void stop();

    [[nodiscard]] std::string const& topic() const noexcept { return topic_; }
    /// The bridge has said that the cursor is too old, and nothing is written any more.
    [[nodiscard]] bool is_old() const noexcept { return is_old_; }

private:
    void write();
    void look();
    void go_on_after(std::chrono::milliseconds delay);
    [[nodiscard]] HttpRequest request(std::string method, std::string target) const;

    ReadingOptions const& options_;
    std::string topic_;
    std::string since_{};
    HttpClient client_;
    boost::asio::steady_timer timer_;
    std::uint64_t steps_ = 0;
    bool is_old_ = false;
};

}  // namespace spoke::sim
