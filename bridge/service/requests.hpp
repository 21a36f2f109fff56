#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/service/uplink.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::bridge {

/// A message that asks for an answer.
struct RequestWish {
    /// Topic, payload, QoS, content type. Without a message expiry it gets that of `wait`, so that
    /// nobody acts on it when the caller has gone. Response topic and correlation data are set
    /// here.
    mqtt::Publish message;
    /// Where a device that speaks MQTT 3.1.1 answers, a topic name. Empty: MQTT 5, over a response
    /// topic of the bridge.
    std::string reply_topic{};
    /// With `reply_topic`: JSON pointer to what request and answer have in common ("/id"). Empty:
    /// the next message in the reply topic is the answer, and requests there take turns.
    std::string match{};
    std::chrono::milliseconds wait{};
};

/// What became of it.
struct RequestOutcome {
    enum class Status : std::uint8_t {
        answered,
        sent,      // and not answered in time
        nobody,    // the broker has it, no client listens to its topic: it went nowhere
        refused,   // by the broker, `reason`; or its connection, `cause`: it went nowhere
        not_sent,  // by us: `cause` says why. queue_full: too many requests are open
        invalid,   // it can never be sent: `why` says what is wrong with it
    };
    Status status{};
    mqtt::NotSent cause = mqtt::NotSent::none;
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::string why{};
    std::optional<mqtt::Publish> answer{};  // the first that matched, as it came
};

/// Requests to devices that are not of the contract: MQTT 5 request/response, or two topics and a
/// member in common for MQTT 3.1.1. The first answer that matches wins.
/// Owns    the requests that are open, and the subscriptions to reply topics while there are some.
/// Bound   `open_max` requests, `waiting_max` that wait for their turn in one reply topic.
/// Thread  one.
class Requests {
public:
    struct Limits {
        std::size_t open_max = 1'000;
        std::size_t waiting_max = 64;
    };
    struct Counters {
        std::uint64_t answers_unmatched = 0;  // nobody waits, or not for this correlation
        std::uint64_t refused_full = 0;
    };
    using Done = std::function<void(RequestOutcome const&)>;

    /// In      `instance` tells the response topics of this bridge from those of others; the
    /// session
    ///         subscribes to "$r/<instance>/#". What `standing` filters cover arrives without a
    ///         subscription of ours. The uplink outlives this object.
    Requests(Limits limits, std::string_view instance, std::vector<std::string> standing,
             Uplink& uplink, std::function<std::uint64_t()> random);

    /// Sends it when it may be sent. `done` comes exactly once, perhaps before this returns.
    void start(RequestWish wish, Done done, Now const& now);

    /// Whether a message in `topic` may be an answer.
    [[nodiscard]] bool wants(std::string_view topic) const;
    void on_message(mqtt::Publish const& message);

    /// A new connection: reply topics are subscribed to again, the session may be another one.
    void on_connected();

    void on_timer(Now const& now);
    [[nodiscard]] std::optional<SteadyTime> next_deadline() const;

    /// Ends all of them as they are; further ones are refused.
    void drain();

    [[nodiscard]] std::size_t size() const noexcept { return requests_.size(); }
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    using Id = std::uint64_t;

    struct Request {
        mqtt::Publish message{};
        std::string reply_topic{};  // empty: MQTT 5
        std::string match{};        // the pointer
        std::string match_value{};  // JSON text of what the request has there
        SteadyTime until{};
        bool handed_over = false;
        Done done{};
    };

    struct ReplyTopic {
        bool ready = false;         // the subscription stands
        std::uint64_t attempt = 0;  // the subscription whose end counts
        std::set<Id> matching{};
        std::deque<Id> turns{};  // without `match`; the front one is under way
    };

    void start_v5(Id id);
    void start_reply(Id id);
    [[nodiscard]] bool stands(std::string_view topic) const;
    void subscribe(std::string const& topic);
    void on_subscribed(std::string const& topic, std::uint64_t attempt, std::string_view why);
    void send_ready(std::string const& topic);
    void send(Id id);
    void on_published(Id id, mqtt::PublishOutcome const& outcome);
    [[nodiscard]] std::optional<Id> find_v5(mqtt::Publish const& message) const;
    [[nodiscard]] std::optional<Id> find_reply(mqtt::Publish const& message) const;
    void end_without_answer(Id id, mqtt::NotSent cause);
    void finish(Id id, RequestOutcome outcome);
    void leave_reply_topic(Id id, std::string const& topic);

    Limits limits_;
    std::string prefix_;  // "$r/<instance>/"
    std::vector<std::string> standing_;
    Uplink& uplink_;
    std::function<std::uint64_t()> random_;
    std::map<Id, Request> requests_;
    std::map<std::string, ReplyTopic, std::less<>> reply_topics_;
    std::map<std::string, Id, std::less<>> by_response_topic_;
    std::set<std::pair<SteadyTime, Id>> by_time_;
    Id last_id_ = 0;
    std::uint64_t attempts_ = 0;
    bool draining_ = false;
    Counters counters_;
};

/// "answered", "nobody": for the trail.
[[nodiscard]] std::string_view name_of(RequestOutcome::Status status) noexcept;

/// `text` as one level of a topic name: what may not stand there is percent-encoded.
[[nodiscard]] std::string topic_level(std::string_view text);

}  // namespace spoke::bridge
