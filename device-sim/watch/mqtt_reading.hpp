#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/watch/reading.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim {

/// Subscribes to the feed with a clean session, has what it missed replayed, and joins the two.
/// States  opening; replaying (what the feed brings is kept); live.
/// Bound   `kept_max` events of the feed while the replay goes on; beyond it the reading ends.
class MqttReading final : public Reading,
                          private mqtt::LinkObserver,
                          public std::enable_shared_from_this<MqttReading> {
public:
    MqttReading(boost::asio::io_context& context, mqtt::LinkHub& hub, ReadingOptions const& options,
                ReadingWish wish, ReadingEvents& events);

    void start() override;
    void hold(bool holds) override;
    void leave(Leave how) override;

private:
    mqtt::Connect make_connect() override;
    void on_connected(mqtt::ConnAck const& packet) override;
    void on_closed(mqtt::Closed const& closed) override;
    void on_link(mqtt::LinkStatus const& status) override;
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const& message) override;
    void on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) override;
    void on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) override;
    void on_unsubscribed(mqtt::RequestToken token, mqtt::UnsubAck const& packet) override;
    void on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) override;

    void ask_for_replay();
    void take_replayed(mqtt::ReceivedMessage const& message);
    void take_end(std::string_view payload);
    void take_live(mqtt::ReceivedMessage const& message);
    void go_live();
    void tell(SeenEvent const& event);
    void end(std::string const& why);

    ReadingOptions const& options_;
    ReadingWish wish_;
    ReadingEvents* events_;  // null: it was left
    std::string replay_topic_;
    mqtt::Link link_;
    boost::asio::steady_timer timer_;
    std::vector<SeenEvent> kept_{};  // of the feed, until the replay is over
    std::uint64_t upto_ = 0;         // the replay has told everything up to there
    std::uint32_t replays_ = 0;
    bool is_live_ = false;
};

}  // namespace spoke::sim
