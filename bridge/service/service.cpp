#include "bridge/service/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "protocol/packet/reason_code.hpp"
#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

using std::chrono::milliseconds;

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

mqtt::Publish make_order(Command const& command, milliseconds ttl) {
    mqtt::Publish order;
    auto const& device = command.request.device;
    order.topic = "d/" + device + "/cmd";
    order.payload = to_buffer(encode_order(command, ttl));
    order.qos = mqtt::Qos::at_least_once;
    auto& properties = order.properties;
    properties.payload_format_indicator = std::uint8_t{1};
    properties.message_expiry_interval =
        static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::seconds>(ttl).count());
    properties.content_type = "application/json";
    properties.response_topic = "d/" + device + "/ans";
    auto id = command.id.raw();
    properties.correlation_data = Buffer{id.begin(), id.end()};
    properties.user_properties.push_back({"n", std::to_string(command.n)});
    if (!command.caller.trace.empty()) {
        properties.user_properties.push_back({"traceparent", command.caller.trace});
    }
    return order;
}

Handover handover_of(mqtt::PublishOutcome const& outcome) {
    switch (outcome.status) {
        case mqtt::PublishStatus::sent:
            return Handover::lost;
        case mqtt::PublishStatus::acknowledged:
            return outcome.reason == mqtt::ReasonCode::no_matching_subscribers ? Handover::nobody
                                                                               : Handover::taken;
        case mqtt::PublishStatus::refused:
            // A full queue may be that of another receiver: the device may have it all the same.
            return outcome.reason == mqtt::ReasonCode::quota_exceeded ? Handover::taken
                                                                      : Handover::refused;
        case mqtt::PublishStatus::not_sent:
            return Handover::not_sent;
        case mqtt::PublishStatus::unknown:
            return Handover::lost;
    }
    return Handover::lost;
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

/// One entry for each arrow that the trail does not have yet.
std::vector<AuditEntry> new_entries(Command const& command) {
    std::vector<AuditEntry> out;
    for (auto at = command.arrows_audited; at < command.timeline.size(); ++at) {
        auto const& arrow = command.timeline[at];
        AuditEntry entry;
        entry.at = command.accepted_at + arrow.t;
        entry.who = arrow.by;
        if (arrow.by == command.caller.by) entry.address = command.caller.address;
        entry.what = fmt::format("command.{}", name_of(arrow.state));
        entry.device = command.request.device;
        entry.subject = command.id.text();
        entry.why = arrow.why.empty() ? command.request.ref : arrow.why;
        entry.trace = command.caller.trace;
        out.push_back(std::move(entry));
    }
    return out;
}

/// Whether the same message would be refused again whatever happens to the connection.
bool is_for_good(mqtt::NotSent cause) {
    switch (cause) {
        case mqtt::NotSent::too_large:
        case mqtt::NotSent::qos_not_supported:
        case mqtt::NotSent::retain_not_supported:
        case mqtt::NotSent::topic_invalid:
        case mqtt::NotSent::property_invalid:
            return true;
        case mqtt::NotSent::none:
        case mqtt::NotSent::not_connected:
        case mqtt::NotSent::queue_full:
        case mqtt::NotSent::expired:
        case mqtt::NotSent::connection_lost:
        case mqtt::NotSent::session_lost:
        case mqtt::NotSent::abandoned:
            return false;
    }
    return false;
}

/// The event of a message; a property that is longer than those of the API is none.
EventDraft draft_of(IncomingMessage const& message, Now const& now) {
    constexpr std::size_t kTypeBytesMax = 64;
    constexpr std::size_t kKeyBytesMax = 255;
    constexpr std::size_t kCollapseBytesMax = 128;
    auto draft = make_draft(message.topic, message.payload);
    draft.from_broker = true;
    if (!message.type.empty() && message.type.size() <= kTypeBytesMax) draft.type = message.type;
    if (message.key.size() <= kKeyBytesMax) draft.key = message.key;
    if (message.collapse.size() <= kCollapseBytesMax) draft.collapse = message.collapse;
    if (message.expires_in) draft.expires_at = now.wall + *message.expires_in;
    return draft;
}

/// Its expiry is not part of the fingerprint: the broker counts it down.
EventArrival arrival_of(IncomingMessage const& message) {
    if (message.delivery != 0) return {0, message.delivery};
    Fingerprint fingerprint;
    fingerprint.add(message.topic).add(message.payload).add(message.trace).add(message.type);
    fingerprint.add(message.key).add(message.collapse);
    return {message.packet_id, fingerprint.value()};
}

/// A command as everybody may see it: nobody learns who it was.
Command anonymous(Command command) {
    constexpr std::string_view kSomebody = "somebody";
    auto is_person = [](std::string_view by) {
        return by != "device" && by != "broker" && by != "bridge";
    };
    command.caller.by = kSomebody;
    for (auto& arrow : command.timeline) {
        if (is_person(arrow.by)) arrow.by = kSomebody;
    }
    return command;
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

/// The message is acknowledged once its event is committed. What came before, and whose event is
/// there, is not recorded again.
void Service::record(IncomingMessage const& message) {
    auto draft = draft_of(message, world_.clock());
    if (message.packet_id != 0) {
        draft.arrival = arrival_of(message);
        auto may_be_known = message.dup || message.delivery != 0;
        if (may_be_known && redeliveries_.knows(*draft.arrival, hold_)) return;
        redeliveries_.add(*draft.arrival);
    }
    auto done = [this, hold = hold_, arrival = draft.arrival](EventLog::Recorded const&) {
        if (arrival) redeliveries_.on_stored(*arrival);
    };
    inboxes_.record(std::move(draft), Need::certain, std::move(done));
}

void Service::on_session(bool resumed) {
    redeliveries_.on_session(resumed);
    if (!resumed) world_.log.store().forget_arrivals();
}

/// The bridge itself published it, for an event that it has: what is below the prefixes of feed and
/// replay, and what the feed copies to a topic of its own. Whoever writes the id of an event into a
/// message of his own is recorded.
bool Service::is_own_copy(IncomingMessage const& message) const {
    auto const& feed = settings_.feed.prefix;
    auto is_of_feed = !feed.empty() && message.topic.size() > feed.size() &&
                      message.topic.starts_with(feed) && message.topic[feed.size()] == '/';
    if (is_of_feed || message.topic.starts_with(settings_.replay.prefix)) return true;
    if (message.event_id.empty()) return false;
    auto const& log = world_.log;
    auto cursor = Cursor::parse(message.event_id);
    auto is_ours = cursor && cursor->epoch == log.epoch() && cursor->offset > 0 &&
                   cursor->offset <= log.head_offset();
    if (!is_ours) return false;
    std::vector<std::string> const topic{std::string{message.topic}};
    auto page = log.read(cursor->offset - 1, topic, 1);
    auto is_there = !page.events.empty() && page.events[0]->offset() == cursor->offset;
    if (is_there) return Feed::is_copied_to_its_topic(page.events[0]->event());
    return page.is_stuck || log.removed_upto(topic) >= cursor->offset;
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

std::variant<CommandTracker::Accepted, Refusal> Service::submit(CommandRequest request,
                                                                Caller caller, std::string key) {
    auto result = tracker_.submit(std::move(request), std::move(caller), std::move(key),
                                  world_.clock(), *this);
    finish();
    return result;
}

CancelOutcome Service::cancel(CommandId const& id, Caller caller) {
    using Kind = CancelOutcome::Kind;
    auto command = find_command(id);
    if (!command) return {.kind = Kind::no_such_command};
    if (is_settled(command->state)) return {.kind = Kind::settled};
    auto is_done = tracker_.cancel(id, caller.by, world_.clock(), *this);
    finish();
    if (is_done) return {.kind = Kind::cancelled};
    return ask_to_cancel(*command, std::move(caller));
}

/// The wish is an order of its own, with a record and an end. A second wish joins the first.
CancelOutcome Service::ask_to_cancel(Command const& command, Caller caller) {
    using Kind = CancelOutcome::Kind;
    auto const& verb = verb_of("cancel");
    CommandRequest request;
    request.device = command.request.device;
    request.verb = verb.name;
    request.args = fmt::format(R"({{"id":"{}"}})", command.id.text());
    request.ref = command.id.text();
    request.lane = verb.lane;
    request.ttl = verb.ttl;
    request.if_offline = verb.if_offline;
    request.deliver = verb.deliver;
    auto result = submit(std::move(request), std::move(caller), {});
    if (auto const* refusal = std::get_if<Refusal>(&result)) {
        return {.kind = Kind::refused, .refusal = *refusal};
    }
    return {.kind = Kind::asked, .request = std::get<CommandTracker::Accepted>(result).id};
}

std::optional<Command> Service::find_command(CommandId const& id) const {
    if (auto const* command = tracker_.find(id)) return *command;
    return world_.store.find(id);
}

std::optional<CommandWaits::Ticket> Service::hold(CommandWait wait) {
    if (!may_tell(wait)) {
        wait.is_enough = [this, not_before = wait.not_before,
                          is_enough = std::move(wait.is_enough)](Command const& command) {
            return saves_done_ >= not_before && is_enough(command);
        };
    }
    auto command = find_command(wait.id);
    auto is_over = command && (draining_ || is_settled(command->state));
    if (command && ((is_over && may_tell(wait)) || wait.is_enough(*command))) {
        wait.done(&*command);
        return std::nullopt;
    }
    auto ticket = waits_.add(std::move(wait));
    finish();
    return ticket;
}

void Service::let_go(CommandWaits::Ticket const& ticket) {
    if (auto wait = waits_.take(ticket)) end_wait(std::move(*wait));
    finish();
}

void Service::drain() {
    draining_ = true;
    for (auto& wait : waits_.take_overdue(SteadyTime::max())) end_wait(std::move(wait));
    requests_.drain();
    inboxes_.drain();
    finish();
}

/// The time of a wait is up. A command that is not stored yet cannot be told of, and not telling
/// would leave the caller with an order he does not know: that wait goes on until the store has
/// spoken. So does that of a retry whose key is not stored yet: after a crash the same key would
/// make a second order.
void Service::end_wait(CommandWait wait) {
    auto command = find_command(wait.id);
    if (command && may_tell(wait)) {
        wait.done(&*command);
        return;
    }
    wait.until = SteadyTime::max();
    wait.is_enough = [this, not_before = wait.not_before](Command const&) {
        return saves_done_ >= not_before;
    };
    waits_.add(std::move(wait));
}

void Service::save(Command const& command, SavePurpose purpose) {
    auto id = command.id;
    auto need = purpose == SavePurpose::accept ? Need::now_or_never : Need::certain;
    std::vector<Event> events;
    if (auto draft = transition_of(command)) {
        events.push_back(world_.log.place(std::move(*draft), world_.clock()));
    }
    auto is_end = is_settled(command.state);
    auto done = [this, id, purpose, is_end, events, hold = hold_](bool stored) mutable {
        hold.reset();
        if (!events.empty()) world_.log.on_written(std::move(events), stored);
        if (is_end || !stored) told_.erase(id);
        if (purpose != SavePurpose::accept) ++saves_done_;
        if (purpose == SavePurpose::note && waits_.has(id)) news_.push_back({id});
        tracker_.on_saved(id, purpose, stored, world_.clock(), *this);
        finish();
    };
    if (purpose != SavePurpose::accept) ++saves_asked_;
    world_.store.put(command, new_entries(command), std::move(events), need, std::move(done));
}

/// The event of what has become of a command since its last one; nullopt: nothing, or it is not
/// recorded.
std::optional<EventDraft> Service::transition_of(Command const& command) {
    auto topic = fmt::format("d/{}/evt", command.request.device);
    if (!world_.document || !world_.log.records(topic)) return std::nullopt;
    auto& told = told_[command.id];
    if (told >= command.timeline.size()) return std::nullopt;
    told = command.timeline.size();
    EventDraft draft;
    draft.topic = std::move(topic);
    draft.type = "command";
    draft.data = world_.document(anonymous(command));
    return draft;
}

std::optional<Command> Service::recall(std::string_view key) const {
    return world_.store.find_by_key(key);
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

SendResult Service::send(Command const& command, Copy const& copy, Now const& now) {
    auto id = command.id;
    auto order = make_order(command, copy.left);
    if (broker_skills_.receipts) {
        order.properties.user_properties.push_back(
            {"spoke-receipt", fmt::format("{}{}", receipts_prefix_, copy.number)});
    }
    auto done = [this, id, number = copy.number](mqtt::PublishOutcome const& outcome) {
        on_handover(id, number, outcome);
    };
    auto cause = world_.uplink.publish(order, now.steady + copy.left, done);
    if (cause == mqtt::NotSent::none) return SendResult::done;
    if (!is_for_good(cause)) return SendResult::no_room;
    world_.warn(fmt::format("command {}: cannot be sent: {}", id.text(), mqtt::name_of(cause)));
    return SendResult::impossible;
}

void Service::on_handover(CommandId const& id, std::uint32_t copy,
                          mqtt::PublishOutcome const& outcome) {
    auto handover = handover_of(outcome);
    auto why = handover == Handover::nobody ? std::string{"no_subscriber"}
               : handover == Handover::not_sent
                   ? fmt::format("not_sent: {}", mqtt::name_of(outcome.cause))
                   : fmt::format("broker_refused: {}", mqtt::name_of(outcome.reason));
    auto now = world_.clock();
    tracker_.on_handover(id, {copy, handover, why}, now, *this);
    tracker_.on_room(now, *this);
    finish();
}

void Service::changed(Command const& command) {
    world_.debug(fmt::format("command {} {} {}: {}", command.id.text(), command.request.device,
                             command.request.verb, name_of(command.state)));
    if (is_settled(command.state)) {
        ++settled_.at(static_cast<std::size_t>(command.state));
    } else if (auto draft = transition_of(command)) {
        // No record of its own tells of it.
        world_.log.record(std::move(*draft), Need::certain_soon, world_.clock(), {});
    }
    if (!waits_.has(command.id)) return;
    news_.push_back({command.id});
    if (is_settled(command.state)) news_.back().settled = std::make_unique<Command>(command);
}

void Service::discarded(CommandId const& id) {
    told_.erase(id);
    news_.push_back({id, true});
}

void Service::malformed(std::string_view topic) {
    constexpr std::uint64_t kLogEvery = 1000;
    if (malformed_++ % kLogEvery != 0) return;
    world_.warn(
        fmt::format("message on {:?} is not of the device contract and was dropped ({} so far)",
                    topic.substr(0, kDeviceIdBytesMax), malformed_));
}

void Service::tell(News const& news) {
    if (news.is_gone) {
        for (auto& wait : waits_.take_all_of(news.id)) wait.done(nullptr);
        return;
    }
    auto const* command = news.settled ? news.settled.get() : tracker_.find(news.id);
    if (command == nullptr) return;  // its end is among the news as well
    // A copy: whoever is told may come back, and the tracker move on.
    auto const told = *command;
    for (auto& wait : waits_.take_satisfied(told)) wait.done(&told);
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
