#include "bridge/service/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

constexpr std::size_t kDeviceIdBytesMax = 128;

struct DeviceTopic {
    std::string_view device;
    std::string_view leaf;
};

/// The parts of `d/{id}/{leaf}`.
std::optional<DeviceTopic> parse_device_topic(std::string_view topic) {
    mqtt::Levels levels{topic};
    auto root = levels.next();
    auto device = levels.next();
    auto leaf = levels.next();
    if (root != "d" || !device || !leaf || levels.next()) return std::nullopt;
    if (device->empty() || device->size() > kDeviceIdBytesMax) return std::nullopt;
    return DeviceTopic{*device, *leaf};
}

/// The topics between `$SYS/brokers/<node>/clients/` and the word; nullopt if it is none.
std::optional<bool> tells_connected(std::string_view topic) {
    if (!topic.starts_with("$SYS/")) return std::nullopt;
    if (topic.ends_with("/connected")) return true;
    if (topic.ends_with("/disconnected")) return false;
    return std::nullopt;
}

AuditEntry entry_of(Caller const& caller, std::string what, Now const& now) {
    AuditEntry entry;
    entry.at = now.wall;
    entry.who = caller.by;
    entry.address = caller.address;
    entry.what = std::move(what);
    entry.trace = caller.trace;
    return entry;
}

std::vector<std::string> standing_filters() {
    std::vector<std::string> out;
    for (auto& subscription : Service::subscriptions()) {
        out.push_back(std::move(subscription.filter));
    }
    return out;
}

}  // namespace

Service::Service(Settings settings, World world)
    : settings_(std::move(settings)),
      world_(std::move(world)),
      devices_(settings_.devices),
      tracker_(settings_.commands, devices_, world_.random),
      requests_(settings_.requests, settings_.instance, standing_filters(), world_.uplink,
                world_.random),
      inboxes_(settings_.inboxes,
               {world_.log, world_.clock, [this](SteadyTime when) { wake_at(when); }}),
      feed_(settings_.feed,
            {world_.log, world_.uplink, world_.clock, [this](SteadyTime when) { wake_at(when); }}),
      replay_(settings_.replay, {world_.log, world_.uplink, world_.clock,
                                 [this](SteadyTime when) { wake_at(when); }, world_.may_read}),
      receipts_prefix_(fmt::format("$r/{}/receipts/", topic_level(settings_.instance))),
      replay_topic_(fmt::format("$r/{}/replay", topic_level(settings_.instance))) {}

void Service::restore() {
    auto now = world_.clock();
    world_.store.visit_devices(
        [&](StoredDevice&& device) { devices_.restore(device.record, device.n, now); });
    std::vector<Command> open;
    world_.store.visit_open([&](Command&& command) { open.push_back(std::move(command)); });
    if (!open.empty()) {
        world_.warn(fmt::format("{} commands were open when the bridge ended", open.size()));
    }
    // The arrows of a record and their events were committed together.
    for (auto const& command : open) told_[command.id] = command.timeline.size();
    redeliveries_.restore(world_.log.store().arrivals());
    tracker_.restore(std::move(open), now, *this);
    inboxes_.restore();
    finish();
}

std::vector<mqtt::Subscription> Service::subscriptions() {
    std::vector<mqtt::Subscription> out;
    for (auto const* filter : {"d/+/ans", "d/+/state", "d/+/up", "d/+/evt"}) {
        out.push_back({filter, {.qos = mqtt::Qos::at_least_once}});
    }
    return out;
}

std::vector<mqtt::Subscription> Service::more_subscriptions() const {
    std::vector<mqtt::Subscription> out{{fmt::format("$r/{}/#", topic_level(settings_.instance)),
                                         {.qos = mqtt::Qos::at_least_once}},
                                        {"$SYS/brokers/+/clients/+/connected", {}},
                                        {"$SYS/brokers/+/clients/+/disconnected", {}}};
    auto standing = standing_filters();
    for (auto const& recorded : world_.log.classes()) {
        auto is_there = std::ranges::any_of(standing, [&](std::string const& filter) {
            return mqtt::covers(filter, recorded.filter);
        });
        if (is_there) continue;
        out.push_back({recorded.filter,
                       {.qos = mqtt::Qos::at_least_once,
                        .retain_handling = mqtt::RetainHandling::do_not_send}});
    }
    return out;
}

bool Service::on_message(IncomingMessage const& message, std::function<void()> acknowledge) {
    hold_ = Hold{new std::function<void()>, [](std::function<void()>* release) {
                     if (*release) (*release)();
                     delete release;
                 }};
    read(message);
    auto hold = std::exchange(hold_, {});
    auto is_held = hold.use_count() > 1;
    if (is_held) *hold = std::move(acknowledge);
    finish();
    return is_held;
}

void Service::read(IncomingMessage const& message) {
    auto topic = message.topic;
    if (topic.starts_with(receipts_prefix_)) {
        return on_receipt(topic.substr(receipts_prefix_.size()), message.payload);
    }
    if (topic.starts_with("$SYS/")) return on_client_event(topic, message.payload);
    if (topic == replay_topic_ || is_own_copy(message)) return;
    auto is_recorded = !message.retained && world_.log.records(topic);
    if (is_recorded) record(message);
    auto parts = parse_device_topic(topic);
    if (!parts && (is_recorded || requests_.wants(topic))) return;
    if (!parts || message.payload.size() > settings_.device_message_bytes_max) {
        return malformed(topic);
    }
    on_device_message(parts->device, parts->leaf, message, world_.clock());
}

void Service::on_client_event(std::string_view topic, std::string_view payload) {
    auto connected = tells_connected(topic);
    auto event = connected ? parse_client_event(payload, *connected) : std::nullopt;
    if (!event) return malformed(topic);
    devices_.on_client_event(*event);
}

void Service::on_receipt(std::string_view copy, std::string_view payload) {
    auto receipt = parse_receipt(payload);
    std::uint32_t number = 0;
    auto const* last = copy.data() + copy.size();
    auto [end, error] = std::from_chars(copy.data(), last, number);
    if (!receipt || error != std::errc{} || end != last) return malformed("receipts");
    tracker_.on_receipt(*receipt, number, world_.clock(), *this);
}

void Service::on_packet(mqtt::Publish const& message) {
    if (message.topic != replay_topic_) {
        requests_.on_message(message);
    } else if (!replay_.on_request(message)) {
        malformed(message.topic);
    }
    finish();
}

void Service::on_device_message(std::string_view device, std::string_view leaf,
                                IncomingMessage const& message, Now const& now) {
    Arrival arrival{now, message.retained, message.backlog};
    if (leaf == "up") {
        on_up(device, message, arrival);
    } else if (leaf == "state") {
        on_state(device, message, arrival);
    } else if (leaf == "ans") {
        on_answer(device, message, arrival);
    } else if (devices_.on_sign_of_life(device, arrival)) {
        on_reachable(device, now);
    }
}

void Service::on_up(std::string_view device, IncomingMessage const& message,
                    Arrival const& arrival) {
    if (message.payload.empty()) {
        devices_.forget(device);
        return;
    }
    auto birth = parse_birth(message.payload);
    if (!birth) return malformed(message.topic);
    if (devices_.on_birth(device, *birth, arrival)) on_reachable(device, arrival.now);
}

void Service::on_state(std::string_view device, IncomingMessage const& message,
                       Arrival const& arrival) {
    if (message.payload.empty()) return;
    auto report = parse_state(message.payload);
    if (!report) return malformed(message.topic);
    auto became_reachable = devices_.on_state(device, *report, arrival);
    tracker_.on_state(device, *report, arrival.now, *this);
    if (became_reachable) on_reachable(device, arrival.now);
}

void Service::on_answer(std::string_view device, IncomingMessage const& message,
                        Arrival const& arrival) {
    auto answer = parse_answer(message.payload);
    if (!answer) return malformed(message.topic);
    if (!message.trace.empty()) answer->trace = message.trace;
    // The answer first: it may free a lane, and what waits there leaves only once.
    tracker_.on_answer(device, *answer, arrival.now, *this);
    if (devices_.on_sign_of_life(device, arrival)) on_reachable(device, arrival.now);
}

void Service::on_reachable(std::string_view device, Now const& now) {
    world_.debug(fmt::format("device {}: reachable", device));
    tracker_.on_device_reachable(device, now, *this);
}

void Service::on_broker(bool ready, std::string why, BrokerSkills skills) {
    broker_problem_ = std::move(why);
    broker_skills_ = skills;
    auto now = world_.clock();
    if (ready) {
        requests_.on_connected();
    } else {
        devices_.on_new_link();  // what comes over the next one is news of it
    }
    tracker_.on_broker(ready, now, *this);
    replay_.on_broker();
    feed_.on_broker(ready);
    finish();
}

void Service::on_timer() {
    auto now = world_.clock();
    wake_.reset();
    tracker_.on_timer(now, *this);
    for (auto& wait : waits_.take_overdue(now.steady)) end_wait(std::move(wait));
    requests_.on_timer(now);
    feed_.on_timer(now);
    replay_.on_timer();
    inboxes_.on_timer();
    while (auto what = alarms_.take_due(now.steady)) what();
    finish();
}

Alarms::Ticket Service::call_at(SteadyTime when, std::function<void()> what) {
    auto ticket = alarms_.add(when, std::move(what));
    wake_at(when);
    return ticket;
}

void Service::drain() {
    draining_ = true;
    for (auto& wait : waits_.take_overdue(SteadyTime::max())) end_wait(std::move(wait));
    requests_.drain();
    inboxes_.drain();
    finish();
}

void Service::put_device(DeviceRecord record, Caller const& caller, Store::Done done) {
    auto entry = entry_of(caller, "device.updated", world_.clock());
    entry.device = record.id;
    world_.store.put_device(record, std::move(entry),
                            [this, record, done = std::move(done)](bool stored) {
                                if (stored) devices_.set_record(record, world_.clock());
                                done(stored);
                            });
}

void Service::erase_device(std::string const& id, Caller const& caller, Store::Done done) {
    auto entry = entry_of(caller, "device.deleted", world_.clock());
    entry.device = id;
    world_.store.erase_device(id, std::move(entry),
                              [this, id, done = std::move(done)](bool stored) {
                                  if (stored) devices_.forget(id);
                                  done(stored);
                              });
}

mqtt::NotSent Service::publish(mqtt::Publish const& message, Caller const& caller,
                               Uplink::Done done) {
    auto cause = world_.uplink.publish(message, std::nullopt, std::move(done));
    if (cause != mqtt::NotSent::none) return cause;
    auto entry = entry_of(caller, "publish", world_.clock());
    entry.subject = message.topic;
    world_.store.append(std::move(entry), {});
    return cause;
}

void Service::put_messages(std::string const& who, std::vector<InboxMessage> messages,
                           std::string const& key, Caller const& caller, Inboxes::PutDone done) {
    auto entry = entry_of(caller, "inbox.put", world_.clock());
    entry.subject = who;
    auto noted = [this, entry = std::move(entry),
                  done = std::move(done)](Inboxes::PutResult const& result) mutable {
        auto is_new = result.kind == Inboxes::PutResult::Kind::stored && !result.repeated;
        if (is_new) world_.store.append(std::move(entry), {});
        done(result);
    };
    inboxes_.put(who, std::move(messages), key, std::move(noted));
}

void Service::request(RequestWish wish, Caller const& caller, Requests::Done done) {
    auto entry = entry_of(caller, "request", world_.clock());
    entry.subject = wish.message.topic;
    auto noted = [this, entry, done = std::move(done)](RequestOutcome const& outcome) mutable {
        entry.at = world_.clock().wall;
        entry.why = name_of(outcome.status);
        world_.store.append(std::move(entry), {});
        done(outcome);
    };
    requests_.start(std::move(wish), std::move(noted), world_.clock());
    finish();
}

std::vector<Counter> Service::counters() const {
    auto const& commands = tracker_.counters();
    auto const& requests = requests_.counters();
    auto const& devices = devices_.counters();
    std::vector<Counter> out{
        {"device_messages_malformed", "Messages that are not of the device contract.", malformed_},
        {"device_messages_outdated", "Messages of an older boot or connection of a device.",
         devices.outdated},
        {"devices_refused", "Messages of devices above devices.devices_max.", devices.refused},
        {"answers_unknown", "Answers to no command that is open.", commands.answers_unknown},
        {"answers_mismatched", "Answers of another device or sequence number.",
         commands.answers_mismatched},
        {"answers_old_boot", "Answers given before the device's last start.",
         commands.answers_old_boot},
        {"answers_after_end", "Answers to a command whose end was being stored.",
         commands.answers_after_end},
        {"answers_repeated", "Answers that say again that an order was begun.",
         commands.answers_again},
        {"traces_mismatched", "Answers that echo another traceparent than the order's.",
         commands.traces_mismatched},
        {"receipts_unknown", "Receipts of no command that is open, or no copy of it.",
         commands.receipts_unknown},
        {"receipts_foreign", "Receipts of another receiver than the device.",
         commands.receipts_foreign},
        {"responses_unmatched", "Messages in response topics that answer no open request.",
         requests.answers_unmatched},
        {"requests_full", "Requests refused as too many are open.", requests.refused_full},
    };
    for (std::size_t i = 0; i < kRefusals; ++i) {
        auto refusal = static_cast<Refusal>(i);
        out.push_back(
            {"commands_refused", "Orders refused.", commands.refusals.at(i), name_of(refusal)});
    }
    for (std::size_t i = 0; i < kCommandStates; ++i) {
        auto state = static_cast<CommandState>(i);
        if (!is_settled(state)) continue;
        out.push_back(
            {"commands_settled", "Orders that ended.", settled_.at(i), name_of(state), "state"});
    }
    return out;
}

void Service::malformed(std::string_view topic) {
    constexpr std::uint64_t kLogEvery = 1000;
    if (malformed_++ % kLogEvery != 0) return;
    world_.warn(
        fmt::format("message on {:?} is not of the device contract and was dropped ({} so far)",
                    topic.substr(0, kDeviceIdBytesMax), malformed_));
}

/// Tells the waiting requests what has changed, when the tracker is done: they may come back with
/// new requests.
void Service::finish() {
    if (finishing_) return;
    finishing_ = true;
    while (!news_.empty()) {
        for (auto const& news : std::exchange(news_, {})) tell(news);
    }
    finishing_ = false;
    auto next = tracker_.next_deadline();
    auto next_wait = waits_.next_deadline();
    if (next_wait && (!next || *next_wait < *next)) next = next_wait;
    auto next_request = requests_.next_deadline();
    if (next_request && (!next || *next_request < *next)) next = next_request;
    auto next_inbox = inboxes_.next_deadline();
    if (next_inbox && (!next || *next_inbox < *next)) next = next_inbox;
    auto next_alarm = alarms_.next_deadline();
    if (next_alarm && (!next || *next_alarm < *next)) next = next_alarm;
    if (next && *next != SteadyTime::max()) wake_at(*next);
}

void Service::wake_at(SteadyTime when) {
    if (wake_ && *wake_ <= when) return;
    wake_ = when;
    world_.wake_at(when);
}

}  // namespace spoke::bridge
