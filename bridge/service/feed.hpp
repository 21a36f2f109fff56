#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "bridge/event/event_log.hpp"
#include "bridge/event/log_reader.hpp"
#include "bridge/service/uplink.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// Publishes every event under its topic behind a prefix ("e/d/b42/evt"), and those that did not
/// come from the broker under their own topic too, with the user properties `id`, `n`, `type` and
/// `at`. Transitions of commands are published behind the prefix alone: their topic is the
/// device's.
/// Its place in the log is durable and moves when the broker has acknowledged everything before:
/// after a kill or a cut some events come twice, with the same id, and none is missing. Where
/// events have left the log before their turn, a message in "e/$reset" says so, until one has
/// arrived.
/// Where the broker says of a whole window that nobody listens, the next events are kept back, and
/// once a second an empty message without `id` goes to the topic of each, to ask again; if somebody
/// is there now, all that was kept back follows, in order. So an event that nobody wants costs
/// nothing, and whoever subscribes gets all that is recorded from then on, the first of it up to a
/// second late.
/// Bound   `window` unacknowledged events; `kTopicsMax` topics of which events are kept back.
/// Thread  one.
class Feed {
public:
    static constexpr std::size_t kTopicsMax = 64;

    struct Settings {
        std::string prefix{};  // "e"; empty: nothing is published
        std::size_t window = 256;
    };

    /// All of it outlives the feed.
    struct World {
        EventLog& log;
        Uplink& uplink;
        std::function<Now()> clock;
        std::function<void(SteadyTime)> wake_at;  // call on_timer() then
    };

    Feed(Settings settings, World world);

    /// Whether subscribers of its own topic get it from the feed.
    [[nodiscard]] static bool is_copied_to_its_topic(Event const& event) {
        return !event.from_broker && event.type != "command";
    }

    void on_broker(bool ready);
    void on_timer(Now const& now);

    struct Counters {
        std::uint64_t published = 0;
        std::uint64_t kept_back = 0;
    };
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    /// An event that was handed to the broker.
    struct Sent {
        std::uint64_t offset = 0;
        std::size_t open = 0;  // publishes of it that have no answer yet
    };

    void begin(std::uint64_t after);
    void pump();
    [[nodiscard]] bool send(SharedEvent const& event);
    [[nodiscard]] bool copy_to_its_topic(SharedEvent const& event);
    [[nodiscard]] bool publish(SharedEvent const& event, std::string topic, bool is_feed);
    void on_answer(std::uint64_t offset, bool is_feed, mqtt::PublishOutcome const& outcome);
    void tell_loss();
    void on_listener();
    void on_nobody();
    void forget_idle();
    [[nodiscard]] bool keep_back(SharedEvent const& event);
    void ask_again();
    [[nodiscard]] bool ask(std::string const& topic);
    void on_question_answered(mqtt::PublishOutcome const& outcome);
    void end_of_asking();
    void note_position();

    Settings settings_;
    World world_;
    std::unique_ptr<LogReader> reader_;            // none while the broker is away
    std::uint64_t run_ = 0;                        // answers of a connection before are of no use
    std::deque<Sent> sent_;                        // in order
    std::deque<SharedEvent> taken_;                // from the reader, not handed to the broker yet
    std::size_t nobody_ = 0;                       // so many in a row had no listener
    bool is_idle_ = false;                         // nobody listens
    std::map<std::string, std::uint64_t> firsts_;  // idle: of each topic the first kept back
    std::size_t questions_ = 0;                    // idle: without an answer
    std::uint64_t asking_ = 0;                     // answers to questions of before are of no use
    std::set<std::uint64_t> copied_;               // kept back, but their own topic has them
    std::uint64_t kept_from_ = 0;  // idle: the first that was kept back; 0: none was
    std::optional<SteadyTime> ask_at_;
    std::uint64_t position_ = 0;
    std::optional<std::uint64_t> loss_;  // before this place; not told yet
    bool is_telling_loss_ = false;
    Counters counters_;
};

/// The message of an event: payload as it was, its place in user properties.
[[nodiscard]] mqtt::Publish message_of(LoggedEvent const& event, std::string topic);

/// Publishes the message of an event; if it is larger than the broker takes, without its payload
/// and with the user property `omitted`, so that its readers see that there is one.
template <class Done>
[[nodiscard]] mqtt::NotSent publish_event(Uplink& uplink, mqtt::Publish message, Done const& done) {
    auto cause = uplink.publish(message, std::nullopt, done);
    if (cause != mqtt::NotSent::too_large) return cause;
    message.payload = {};
    message.properties.user_properties.push_back({"omitted", "too large"});
    return uplink.publish(message, std::nullopt, done);
}

}  // namespace spoke::bridge
