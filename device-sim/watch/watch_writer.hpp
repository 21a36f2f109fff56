#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device-sim/device/dice.hpp"
#include "device-sim/http/http_client.hpp"
#include "device-sim/watch/watch_judge.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim {

/// What happened to all writers.
struct WriterTally {
    std::uint64_t written = 0;  // messages that somebody was asked to take
    std::uint64_t again = 0;    // askings for one that nobody had answered for
    std::uint64_t unknown = 0;  // nobody has answered, and it must not be asked for again
    std::map<std::string, std::uint64_t> refused{};  // why; at most kRefusedMax

    static constexpr std::size_t kRefusedMax = 40;
    void add_refused(std::string what) {
        if (refused.size() < kRefusedMax || refused.contains(what)) ++refused[std::move(what)];
    }
};

/// How a message goes into the log.
enum class WriteWay : std::uint8_t {
    mqtt,        // QoS 1, without a key: never published again by its writer
    mqtt_keyed,  // QoS 1 with the user property `key`, again until it is acknowledged
    http,        // POST /v1/publish with Idempotency-Key, again until it is acknowledged
    inbox,       // POST /v1/inboxes/{who}/messages, the same
};

struct WriterRole {
    std::string name{};  // messages are named by it and a number
    WriteWay way{};
    std::vector<std::string> topics{};  // for `inbox`: names of inboxes
    std::chrono::milliseconds every{100};
    std::uint64_t seed = 0;
};

/// Where they write, the same for all writers.
struct WriterOptions {
    HttpClient::Options http{};
    std::string token{};  // sent as a bearer token; empty: none
    std::string mqtt_host = "127.0.0.1";
    std::uint16_t mqtt_port = 1883;
    std::string client_prefix = "watch-";
};

/// Somebody who writes one message after the other and tells the judge which of them were taken.
/// One message is on the way at a time; a new one begins no earlier than `every` after the last.
/// Thread  the one that runs the io_context.
class WatchWriter {
public:
    virtual ~WatchWriter() = default;

    virtual void start() = 0;
    /// Begins no further message; `done` once the one on the way has come to its end.
    virtual void finish(std::function<void()> done) = 0;
    virtual void stop() = 0;
};

/// All that is handed in outlives it.
[[nodiscard]] std::unique_ptr<WatchWriter> make_writer(boost::asio::io_context& context,
                                                       mqtt::LinkHub& hub,
                                                       WriterOptions const& options,
                                                       WatchJudge& judge, WriterTally& tally,
                                                       WriterRole role);

/// What all writers have in common: names, pace, beginning and end.
class PacedWriter : public WatchWriter {
public:
    PacedWriter(boost::asio::io_context& context, WatchJudge& judge, WriterTally& tally,
                WriterRole role);

    void start() override { wait_for_next(); }
    void finish(std::function<void()> done) override;
    void stop() override;

protected:
    /// The message of now.
    struct Message {
        std::string name{};
        std::string topic{};
        std::string data{};  // JSON
        std::string type{};
        MessageTerms terms{};  // of a message in an inbox
    };

    /// Sends the message of now, perhaps again.
    virtual void send() = 0;
    void acknowledged();
    /// Nobody knows, and nobody will.
    void give_up();
    void again_after(std::chrono::milliseconds delay);
    void again_soon();
    [[nodiscard]] Message const& message() const noexcept { return message_; }
    [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }

    WatchJudge& judge_;
    WriterTally& tally_;
    WriterRole role_;
    Dice dice_;

private:
    void wait_for_next();
    [[nodiscard]] MessageTerms draw_terms();
    void next();
    void done();

    boost::asio::steady_timer timer_;
    Message message_{};
    std::uint64_t number_ = 0;
    std::function<void()> finished_{};
    bool is_writing_ = false;
    bool is_finishing_ = false;
    bool is_stopped_ = false;
};

}  // namespace spoke::sim
