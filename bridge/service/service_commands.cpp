// Of Service: orders, from their submission to their end, and who waits for them.
#include "bridge/service/service.hpp"

#include <fmt/format.h>

#include "protocol/packet/reason_code.hpp"

namespace spoke::bridge {
namespace {

using std::chrono::milliseconds;

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

}  // namespace

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

std::optional<Command> Service::recall(std::string_view key) const {
    return world_.store.find_by_key(key);
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

}  // namespace spoke::bridge
