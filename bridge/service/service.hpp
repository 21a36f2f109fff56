#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "bridge/command/command_tracker.hpp"
#include "bridge/command/device_registry.hpp"
#include "bridge/event/event_log.hpp"
#include "bridge/event/redeliveries.hpp"
#include "bridge/inbox/inboxes.hpp"
#include "bridge/service/alarms.hpp"
#include "bridge/service/command_waits.hpp"
#include "bridge/service/feed.hpp"
#include "bridge/service/replay.hpp"
#include "bridge/service/requests.hpp"
#include "bridge/service/uplink.hpp"
#include "bridge/store/store.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/publish.hpp"
#include "protocol/packet/subscribe.hpp"

namespace spoke::bridge {

/// A message from the broker, as the service reads it. Views live for the call.
struct IncomingMessage {
    std::string_view topic;
    std::string_view payload;
    bool retained = false;
    bool backlog = false;      // may have waited in the broker while the bridge was away
    std::string_view trace{};  // the user property traceparent
    std::string_view type{};   // the user properties `type`, `key`, `collapse`; empty: none
    std::string_view key{};
    std::string_view collapse{};
    std::optional<std::chrono::seconds> expires_in{};  // the message expiry
    std::string_view event_id{};  // the user property `id`: it is a copy of that event
    std::uint16_t packet_id = 0;  // 0: QoS 0
    bool dup = false;             // it may have been delivered before
    std::uint64_t delivery = 0;   // the name by which the broker knows this delivery; 0: none
};

/// What a broker can do besides MQTT.
struct BrokerSkills {
    bool receipts = false;  // it tells what becomes of an order
};

/// What became of the wish to take an order back.
struct CancelOutcome {
    enum class Kind : std::uint8_t {
        cancelled,        // not handed over yet: it ends as `cancelled` once that is stored
        asked,            // handed over: the device is asked, its record tells which was first
        settled,          // it was over already
        no_such_command,  // none, or not stored yet
        refused,          // handed over, and the device cannot be asked: `refusal` says why
    };
    Kind kind{};
    std::optional<Refusal> refusal{};
    std::optional<CommandId> request{};  // asked: the `cancel` order that the device was sent
};

/// One number for /metrics; grows only.
struct Counter {
    std::string_view name;  // "answers_unknown": without prefix and unit
    std::string_view help;
    std::uint64_t value = 0;
    std::string_view reason{};  // a label, where one name has several numbers
    std::string_view label = "reason";
};

/// Everything the bridge knows and does between its two sides: messages of devices come in on one,
/// requests on the other; no sockets, no clock of its own.
/// Owns    the devices, the tracker and the requests that wait for a command.
/// Bound   those of its parts; one waiting request per HTTP connection.  Thread  one.
class Service final : private TrackerPort {
public:
    struct Settings {
        CommandTracker::Limits commands{};
        DeviceRegistry::Limits devices{};
        Requests::Limits requests{};
        Inboxes::Settings inboxes{};
        Feed::Settings feed{};
        Replay::Settings replay{};
        std::string instance = "spoke-bridge";  // client id: tells this bridge's topics from others
        std::size_t device_message_bytes_max =
            65'536;  // larger births, states, answers are dropped
    };

    /// The world around it. All of it outlives the service.
    struct World {
        Store& store;
        Uplink& uplink;
        EventLog& log;
        std::function<Now()> clock;
        std::function<std::uint64_t()> random;
        std::function<void(SteadyTime)>
            wake_at;  // call on_timer() then, and not at an earlier wish
        std::function<void(std::string const&)> debug;
        std::function<void(std::string const&)> warn;
        /// A command as its events show it, a JSON document; empty: it has no events.
        std::function<std::string(Command const&)> document{};
        Replay::MayRead may_read{};
    };

    Service(Settings settings, World world);

    /// Takes over what the store holds from the process before this one. Once, before anything
    /// else.
    void restore();

    /// What the bridge's session must subscribe to: without it no device can be spoken with.
    [[nodiscard]] static std::vector<mqtt::Subscription> subscriptions();

    /// What it subscribes to besides: its own topics (answers to requests, receipts) and the
    /// broker's word on connections. Where the broker refuses it the bridge knows less.
    [[nodiscard]] std::vector<mqtt::Subscription> more_subscriptions() const;

    // The broker's side.

    /// `acknowledge` releases the message in the broker, where it is kept until then. It is called
    /// when what the message has changed is committed.
    /// Out     false if that is so already: `acknowledge` is not called.
    bool on_message(IncomingMessage const& message, std::function<void()> acknowledge);
    void on_message(IncomingMessage const& message) { on_message(message, {}); }

    /// A connection was made, before anything else of it: to the session of the one before, or to
    /// a new one.
    void on_session(bool resumed);

    /// Whether on_packet() wants this topic's messages (besides on_message, which takes all).
    [[nodiscard]] bool wants_packet(std::string_view topic) const {
        return requests_.wants(topic) || topic == replay_topic_;
    }
    void on_packet(mqtt::Publish const& message);

    /// The connection can take messages, or cannot and why, in one line.
    void on_broker(bool ready, std::string why, BrokerSkills skills = {});

    void on_timer();

    // The side of the requests.

    [[nodiscard]] std::variant<CommandTracker::Accepted, Refusal> submit(CommandRequest request,
                                                                         Caller caller,
                                                                         std::string key);

    /// Takes an order back, or asks the device to drop it, if it was handed over.
    CancelOutcome cancel(CommandId const& id, Caller caller);

    /// Holds a request until its command is enough or its time is up; perhaps ends it at once.
    /// Out     what let_go() takes; nullopt if it has ended.
    std::optional<CommandWaits::Ticket> hold(CommandWait wait);

    /// Records that must be written, asked for so far: what CommandWait::not_before compares with.
    [[nodiscard]] std::uint64_t saves_asked() const noexcept { return saves_asked_; }

    /// Nobody waits for the request any more: it ends with the record as it is.
    void let_go(CommandWaits::Ticket const& ticket);

    /// Requests that wait for a command or an inbox.
    [[nodiscard]] std::size_t held() const noexcept { return waits_.size() + inboxes_.held(); }
    /// Calls `what` once, then, out of on_timer().
    Alarms::Ticket call_at(SteadyTime when, std::function<void()> what);
    void call_off(Alarms::Ticket const& ticket) { alarms_.remove(ticket); }

    /// Ends every wait with the record as it is and takes no new orders: the bridge stops.
    void drain();

    /// Open or settled, for as long as the record is kept.
    [[nodiscard]] std::optional<Command> find_command(CommandId const& id) const;

    /// The orders of a device, newest first.
    [[nodiscard]] std::vector<Command> commands(CommandQuery const& query) const {
        return world_.store.commands(query);
    }

    // What people say of devices, and the trail of who did what. `done` comes once, later.

    void put_device(DeviceRecord record, Caller const& caller, Store::Done done);
    void erase_device(std::string const& id, Caller const& caller, Store::Done done);
    [[nodiscard]] std::vector<AuditLine> audit(AuditQuery const& query) const {
        return world_.store.audit(query);
    }

    /// Publishes for a caller, as Uplink::publish does, and notes it in the trail.
    mqtt::NotSent publish(mqtt::Publish const& message, Caller const& caller, Uplink::Done done);

    /// Sends a message that asks for an answer, and notes it in the trail. `done` comes once,
    /// perhaps at once.
    void request(RequestWish wish, Caller const& caller, Requests::Done done);

    /// What was refused, dropped or not believed since the start.
    [[nodiscard]] std::vector<Counter> counters() const;

    /// Puts messages into an inbox, and notes it in the trail.
    void put_messages(std::string const& who, std::vector<InboxMessage> messages,
                      std::string const& key, Caller const& caller, Inboxes::PutDone done);

    [[nodiscard]] Inboxes& inboxes() noexcept { return inboxes_; }
    [[nodiscard]] EventLog& log() noexcept { return world_.log; }
    [[nodiscard]] EventLog const& log() const noexcept { return world_.log; }
    [[nodiscard]] DeviceRegistry const& devices() const noexcept { return devices_; }
    [[nodiscard]] Now now() const { return world_.clock(); }
    [[nodiscard]] std::uint64_t random() { return world_.random(); }
    [[nodiscard]] bool is_draining() const noexcept { return draining_; }
    [[nodiscard]] bool store_takes_writes() const { return world_.store.takes_writes(); }
    [[nodiscard]] bool broker_is_ready() const noexcept { return tracker_.broker_is_ready(); }
    [[nodiscard]] std::string const& broker_problem() const noexcept { return broker_problem_; }
    [[nodiscard]] bool broker_gives_receipts() const noexcept { return broker_skills_.receipts; }

    /// Commands that are not settled; requests to foreign devices.
    [[nodiscard]] std::size_t open_commands() const noexcept { return tracker_.size(); }
    [[nodiscard]] std::array<std::size_t, kCommandStates> open_by_state() const {
        return tracker_.count_states();
    }
    [[nodiscard]] std::size_t open_requests() const noexcept { return requests_.size(); }

private:
    void save(Command const& command, SavePurpose purpose) override;
    [[nodiscard]] bool takes_writes() const override { return world_.store.takes_writes(); }
    [[nodiscard]] std::optional<Command> recall(std::string_view key) const override;
    SendResult send(Command const& command, Copy const& copy, Now const& now) override;
    void changed(Command const& command) override;
    void discarded(CommandId const& id) override;

    /// Keeps a message unacknowledged as long as anybody holds a share; the last one calls it.
    using Hold = std::shared_ptr<std::function<void()>>;

    struct News {
        CommandId id;
        bool is_gone = false;                // discarded
        std::unique_ptr<Command> settled{};  // no longer in the tracker
    };

    void read(IncomingMessage const& message);
    void record(IncomingMessage const& message);
    [[nodiscard]] bool is_own_copy(IncomingMessage const& message) const;
    [[nodiscard]] std::optional<EventDraft> transition_of(Command const& command);
    void on_client_event(std::string_view topic, std::string_view payload);
    void on_receipt(std::string_view copy, std::string_view payload);
    void tell(News const& news);
    void on_device_message(std::string_view device, std::string_view leaf,
                           IncomingMessage const& message, Now const& now);
    void on_up(std::string_view device, IncomingMessage const& message, Arrival const& arrival);
    void on_state(std::string_view device, IncomingMessage const& message, Arrival const& arrival);
    void on_answer(std::string_view device, IncomingMessage const& message, Arrival const& arrival);
    void on_reachable(std::string_view device, Now const& now);
    void on_handover(CommandId const& id, std::uint32_t copy, mqtt::PublishOutcome const& outcome);
    CancelOutcome ask_to_cancel(Command const& command, Caller caller);
    void malformed(std::string_view topic);
    [[nodiscard]] bool may_tell(CommandWait const& wait) const noexcept {
        return saves_done_ >= wait.not_before;
    }
    void end_wait(CommandWait wait);
    void finish();
    void wake_at(SteadyTime when);

    Settings settings_;
    World world_;
    DeviceRegistry devices_;
    CommandTracker tracker_;
    Requests requests_;
    Inboxes inboxes_;
    Feed feed_;
    Replay replay_;
    Redeliveries redeliveries_;
    std::unordered_map<CommandId, std::size_t> told_;  // arrows of open commands that have events
    CommandWaits waits_;
    Alarms alarms_;
    std::vector<News> news_;  // of this call
    Hold hold_;               // of the message that is read right now
    std::string receipts_prefix_;
    std::string replay_topic_;
    std::optional<SteadyTime> wake_;
    std::string broker_problem_ = "not connected yet";
    BrokerSkills broker_skills_;
    std::array<std::uint64_t, kCommandStates> settled_{};  // orders that ended, by state
    std::uint64_t saves_asked_ = 0;  // `certain` ones, which the store answers in order
    std::uint64_t saves_done_ = 0;
    bool draining_ = false;
    bool finishing_ = false;
    std::uint64_t malformed_ = 0;
};

}  // namespace spoke::bridge
