#include "protocol/client/outbound.hpp"

#include <algorithm>
#include <utility>

#include "protocol/base/assert.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::mqtt {
namespace {

using Stage = Outgoing::Stage;

constexpr std::size_t kStringMax = 65'535;

bool is_string(std::string_view text) noexcept {
    return text.size() <= kStringMax && is_valid_utf8(text);
}

bool is_carriable(MessageProperties const& properties) noexcept {
    if (properties.content_type && !is_string(*properties.content_type)) return false;
    if (auto const& topic = properties.response_topic) {
        if (!is_valid_topic_name(*topic) || !is_valid_utf8(*topic))
            return false;  // [MQTT-3.3.2-14]
    }
    if (properties.correlation_data && properties.correlation_data->size() > kStringMax)
        return false;
    return std::ranges::all_of(properties.user_properties, [](UserProperty const& property) {
        return is_string(property.name) && is_string(property.value);
    });
}

// Never less than what the packet takes on the wire: the sum of its fields plus room for every
// length and id.
std::size_t size_bound(Publish const& packet) noexcept {
    auto const& properties = packet.properties;
    std::size_t size = 64 + packet.topic.size() + packet.payload.size();
    if (properties.content_type) size += properties.content_type->size();
    if (properties.response_topic) size += properties.response_topic->size();
    if (properties.correlation_data) size += properties.correlation_data->size();
    for (auto const& [name, value] : properties.user_properties)
        size += 5 + name.size() + value.size();
    return size;
}

SteadyTime expiry_of(Publish const& packet, Now now) noexcept {
    auto interval = packet.properties.message_expiry_interval;
    return interval ? now.steady + std::chrono::seconds{*interval} : SteadyTime::max();
}

// The rest of a message's life, rounded up; at least 1, for brokers exist that read 0 as "never
// expires".
std::uint32_t rest_of_life(SteadyTime expires_at, SteadyTime now) noexcept {
    auto rest = std::chrono::ceil<std::chrono::seconds>(expires_at - now).count();
    return static_cast<std::uint32_t>(std::max<std::int64_t>(rest, 1));
}

}  // namespace

Outbound::Outbound(ClientOptions const& options, Wire& wire, ClientEvents& events) noexcept
    : options_(options), wire_(wire), events_(events) {}

// ---- one publish ----

void Outbound::publish(Publish const& packet, PublishOptions const& options, Now now) {
    auto cause = refusal_now(packet, options, now);
    if (cause != NotSent::none) return tell({options.token, {.cause = cause}});
    bool goes_now = would_go_now(packet.qos);
    if (goes_now && can_encode_unchanged(packet)) return send_unchanged(packet, options.token);
    auto size = static_cast<std::uint32_t>(size_bound(packet));
    if (!goes_now && is_queue_full(size)) {
        return tell({options.token, {.cause = NotSent::queue_full}});
    }
    auto& queue = packet.qos == Qos::at_most_once ? queue0_ : queue_;
    auto& entry = queue.emplace_back();
    entry.self = std::prev(queue.end());
    entry.packet = packet;
    entry.packet.id = {};
    entry.packet.dup = false;
    entry.packet.topic_alias.reset();
    entry.packet.subscription_identifiers.clear();
    entry.token = options.token;
    entry.scope = options.scope;
    entry.size = size;
    entry.expires_at = expiry_of(packet, now);
    entry.send_before = std::min(entry.expires_at, options.deadline.value_or(SteadyTime::max()));
    queue_bytes_ += size;
    if (goes_now) {
        send_front(queue, now);
    } else {
        note_expiry(entry);
    }
}

NotSent Outbound::refusal_now(Publish const& packet, PublishOptions const& options,
                              Now now) const noexcept {
    if (!is_valid_topic_name(packet.topic) || !is_valid_utf8(packet.topic)) {
        return NotSent::topic_invalid;
    }
    if (!is_carriable(packet.properties)) return NotSent::property_invalid;
    if (size_bound(packet) > kVariableByteIntegerMax) return NotSent::too_large;
    bool needs_connection =
        packet.qos == Qos::at_most_once || options.scope == PublishScope::this_connection;
    if (needs_connection && !wire_.connected) return NotSent::not_connected;
    auto send_before =
        std::min(expiry_of(packet, now), options.deadline.value_or(SteadyTime::max()));
    if (now.steady >= send_before) return NotSent::expired;
    return wire_.connected ? refusal_of(packet) : NotSent::none;
}

NotSent Outbound::refusal_of(Publish const& packet) const noexcept {
    if (packet.qos > wire_.server.maximum_qos)
        return NotSent::qos_not_supported;  // [MQTT-3.2.2-11]
    if (packet.retain && !wire_.server.retain_available) {
        return NotSent::retain_not_supported;  // [MQTT-3.2.2-14]
    }
    return NotSent::none;
}

bool Outbound::can_encode() const noexcept {
    return wire_.connected && !wire_.writing && wire_.outbox.size() < kBatchBytes;
}

bool Outbound::is_window_open() const noexcept {
    return open_ <
           std::min(options_.in_flight_max, wire_.server.receive_maximum);  // [MQTT-3.3.4-7]
}

bool Outbound::would_go_now(Qos qos) const noexcept {
    if (!can_encode()) return false;
    return qos == Qos::at_most_once ? queue0_.empty() : queue_.empty() && is_window_open();
}

bool Outbound::is_queue_full(std::uint32_t size) const noexcept {
    return queued() >= options_.queue_messages_max || size > options_.queue_bytes_max ||
           queue_bytes_ > options_.queue_bytes_max - size;
}

// A QoS 0 message that needs no id and no alias goes out without a copy.
bool Outbound::can_encode_unchanged(Publish const& packet) const noexcept {
    return packet.qos == Qos::at_most_once && !aliases_.is_on() && !packet.dup &&
           !packet.topic_alias && packet.subscription_identifiers.empty();
}

void Outbound::send_unchanged(Publish const& packet, PublishToken token) {
    auto position = wire_.position();
    if (!encode_packet(packet)) return tell({token, {.cause = NotSent::too_large}});
    direct_.push_back({token, position});
}

// ---- encoding ----

bool Outbound::encode_packet(Publish const& packet) {
    auto begin = wire_.outbox.size();
    wire_.send(packet);
    if (wire_.outbox.size() - begin <= wire_.server.packet_size_max) return true;
    wire_.outbox.resize(begin);
    return false;
}

bool Outbound::encode_with_alias(Publish& packet) {
    auto known = aliases_.find(packet.topic);
    auto alias = known != 0 ? known : aliases_.next();
    if (alias == 0) return false;
    std::string topic;
    if (known != 0) topic.swap(packet.topic);
    packet.topic_alias = alias;
    bool fits = encode_packet(packet);
    packet.topic_alias.reset();
    if (known != 0) topic.swap(packet.topic);
    // Only a packet that really goes out tells the server what the alias means.
    if (fits && known == 0) aliases_.add(packet.topic);
    return fits;
}

bool Outbound::encode_entry(Outgoing& entry, Now now) {
    auto& packet = entry.packet;
    packet.dup = entry.is_repetition();  // [MQTT-3.3.1-1]
    if (packet.qos != Qos::at_most_once && packet.id.value == 0) packet.id = wire_.ids.take(&entry);
    if (packet.properties.message_expiry_interval) {
        packet.properties.message_expiry_interval = rest_of_life(entry.expires_at, now.steady);
    }
    entry.position = wire_.position();
    return (aliases_.is_on() && encode_with_alias(packet)) || encode_packet(packet);
}

bool Outbound::has_sendable() const noexcept {
    return can_encode() && ((!queue_.empty() && is_window_open()) || !queue0_.empty());
}

void Outbound::encode_waiting(Now now) {
    while (can_encode() && !queue_.empty() && is_window_open()) send_front(queue_, now);
    while (can_encode() && !queue0_.empty()) send_front(queue0_, now);
}

void Outbound::send_front(List& queue, Now now) {
    auto& entry = queue.front();
    // What the server may know already is sent again even if it has expired [MQTT-4.4.0-1].
    bool is_late = !entry.is_repetition() && now.steady >= entry.send_before;
    auto cause = is_late ? NotSent::expired : refusal_of(entry.packet);
    if (cause == NotSent::none && !encode_entry(entry, now)) {
        cause = NotSent::too_large;
        if (!entry.packet.dup) free_id(entry);
    }
    if (cause != NotSent::none) return tell(give_up(entry, cause));
    if (entry.packet.qos == Qos::at_most_once) {
        direct_.push_back({entry.token, entry.position});
        queue_bytes_ -= entry.size;
        queue.pop_front();
        return;
    }
    ++open_;
    move(entry, Stage::in_flight);
    if (entry.scope == PublishScope::this_connection) drop_packet(entry);
}

void Outbound::on_taken() {
    if (direct_.empty()) return;
    auto taken = std::exchange(direct_, {});
    for (auto const& direct : taken) tell({direct.token, {.status = PublishStatus::sent}});
    taken.clear();
    // Keeps the memory for the next batch, not for a client which has gone quiet.
    if (direct_.empty() && taken.capacity() <= 64) direct_ = std::move(taken);
}

void Outbound::send_pubrel(Outgoing const& entry) {
    wire_.send(PubRel{.id = entry.packet.id});
}

// ---- the server's answers ----

bool Outbound::on_puback(PubAck const& packet) {
    auto* entry = wire_.ids.find(packet.id);
    if (entry == nullptr) return true;
    if (entry->packet.qos != Qos::at_least_once) return false;
    if (entry->stage == Stage::in_flight) --open_;
    auto status = is_error(packet.reason) ? PublishStatus::refused : PublishStatus::acknowledged;
    tell(settle(*entry,
                {.status = status,
                 .reason = packet.reason,
                 .reason_string = packet.reason_string ? std::string_view{*packet.reason_string}
                                                       : std::string_view{}}));
    return true;
}

bool Outbound::on_pubrec(PubRec const& packet) {
    auto* entry = wire_.ids.find(packet.id);
    if (entry == nullptr) {
        wire_.send(PubRel{.id = packet.id, .reason = ReasonCode::packet_identifier_not_found});
        return true;
    }
    if (entry->packet.qos != Qos::exactly_once) return false;
    if (is_error(packet.reason)) {  // the end: no PUBREL follows [MQTT-4.3.3-4]
        if (entry->stage != Stage::waiting) --open_;
        tell(settle(*entry,
                    {.status = PublishStatus::refused,
                     .reason = packet.reason,
                     .reason_string = packet.reason_string ? std::string_view{*packet.reason_string}
                                                           : std::string_view{}}));
        return true;
    }
    if (entry->stage == Stage::waiting) ++open_;
    if (entry->stage != Stage::releasing) move(*entry, Stage::releasing);
    entry->reason = packet.reason;
    drop_packet(*entry);  // never sent again after PUBREL [MQTT-4.3.3-6]
    send_pubrel(*entry);
    return true;
}

bool Outbound::on_pubcomp(PubComp const& packet) {
    auto* entry = wire_.ids.find(packet.id);
    if (entry == nullptr) return true;
    if (entry->stage != Stage::releasing) return false;
    --open_;
    // packet_identifier_not_found: PUBCOMP was lost with an earlier connection, the exchange is
    // complete.
    tell(settle(*entry, {.status = PublishStatus::acknowledged, .reason = entry->reason}));
    return true;
}

// ---- connections ----

void Outbound::on_connected(SessionIs session) {
    open_ = 0;
    aliases_.begin(std::min(options_.topic_aliases_max, wire_.server.topic_alias_maximum));
    std::vector<Report> reports;
    if (session == SessionIs::lost) reports = forget_session();
    for (auto const& entry : releasing_) {  // in the order of their PUBRECs [MQTT-4.6.0-4]
        send_pubrel(entry);
        ++open_;
    }
    tell(reports);
}

std::vector<Outbound::Report> Outbound::forget_session() {
    std::vector<Report> reports;
    while (!releasing_.empty()) {
        reports.push_back(settle(releasing_.front(), {.status = PublishStatus::unknown}));
    }
    for (auto next = queue_.begin(); next != queue_.end();) {
        auto& entry = *next++;
        free_id(entry);
        bool fails = entry.maybe_arrived ? options_.session_lost != SessionLost::resend
                                         : options_.session_lost == SessionLost::fail_all;
        if (fails) {
            reports.push_back(give_up(entry, NotSent::session_lost));
        } else {
            note_expiry(entry);
        }
    }
    return reports;
}

void Outbound::on_disconnected(std::uint64_t handed) {
    std::vector<Report> reports;
    for (auto const& direct : direct_) {
        if (direct.position < handed) {
            reports.push_back({direct.token, {.status = PublishStatus::sent}});
        } else {
            reports.push_back({direct.token, {.cause = NotSent::connection_lost}});
        }
    }
    direct_.clear();
    recall_in_flight(handed);
    for (auto* queue : {&queue_, &queue0_}) {
        for (auto next = queue->begin(); next != queue->end();) {
            auto& entry = *next++;
            if (queue == &queue0_ || entry.scope == PublishScope::this_connection) {
                reports.push_back(give_up(entry, NotSent::connection_lost));
            }
        }
    }
    for (auto& entry : releasing_) {
        if (entry.scope != PublishScope::this_connection || entry.reported) continue;
        entry.reported = true;
        reports.push_back({entry.token, {.status = PublishStatus::unknown}});
    }
    tell(reports);
}

// Puts what is in flight back to the front of the queue, in order. What no transport took is new
// again.
void Outbound::recall_in_flight(std::uint64_t handed) {
    for (auto& entry : in_flight_) {
        if (entry.position < handed) entry.maybe_arrived = true;
        if (!entry.packet.dup && entry.position >= handed) free_id(entry);
        entry.stage = Stage::waiting;
        queue_bytes_ += entry.size;
        if (!entry.is_repetition()) note_expiry(entry);
    }
    queue_.splice(queue_.begin(), in_flight_);
}

void Outbound::abandon() {
    MQ_ASSERT(!wire_.connected);
    std::vector<Report> reports;
    for (auto next = queue_.begin(); next != queue_.end();) {
        auto& entry = *next++;
        reports.push_back(give_up(entry, NotSent::abandoned));
    }
    for (auto& entry : releasing_) {
        if (entry.reported) continue;
        entry.reported = true;
        reports.push_back({entry.token, {.status = PublishStatus::unknown}});
    }
    tell(reports);
}

// ---- expiry ----

void Outbound::note_expiry(Outgoing const& entry) noexcept {
    next_expiry_ = std::min(next_expiry_, entry.send_before);
}

void Outbound::expire(SteadyTime now) {
    if (now < next_expiry_) return;
    next_expiry_ = SteadyTime::max();
    std::vector<Report> reports;
    for (auto* queue : {&queue_, &queue0_}) {
        for (auto next = queue->begin(); next != queue->end();) {
            auto& entry = *next++;
            if (entry.is_repetition()) continue;
            if (now >= entry.send_before) {
                reports.push_back(give_up(entry, NotSent::expired));
            } else {
                note_expiry(entry);
            }
        }
    }
    tell(reports);
}

// ---- the lists ----

Outbound::List& Outbound::list_of(Outgoing const& entry) noexcept {
    switch (entry.stage) {
        case Stage::waiting:
            return entry.packet.qos == Qos::at_most_once ? queue0_ : queue_;
        case Stage::in_flight:
            return in_flight_;
        case Stage::releasing:
            break;
    }
    return releasing_;
}

void Outbound::move(Outgoing& entry, Stage stage) {
    auto& from = list_of(entry);
    if (entry.stage == Stage::waiting) queue_bytes_ -= entry.size;
    entry.stage = stage;
    auto& to = list_of(entry);
    to.splice(to.end(), from, entry.self);
}

void Outbound::free_id(Outgoing& entry) noexcept {
    if (entry.packet.id.value != 0) wire_.ids.free(entry.packet.id);
    entry.packet.id = {};
}

// Only what the exchange itself needs stays: id and QoS.
void Outbound::drop_packet(Outgoing& entry) noexcept {
    Publish rest;
    rest.id = entry.packet.id;
    rest.qos = entry.packet.qos;
    entry.packet = std::move(rest);
}

Outbound::Report Outbound::settle(Outgoing& entry, PublishOutcome const& outcome) {
    Report report{entry.token, outcome, entry.reported};
    free_id(entry);
    if (entry.stage == Stage::waiting) queue_bytes_ -= entry.size;
    list_of(entry).erase(entry.self);
    return report;
}

// The end of a publish that waits. If the server may hold its QoS 2 id, a later message under that
// id would be taken for this one, so the id stays until PUBREL and PUBCOMP have freed it.
Outbound::Report Outbound::give_up(Outgoing& entry, NotSent cause) {
    PublishOutcome outcome{.cause = cause};
    if (entry.maybe_arrived) outcome = {.status = PublishStatus::unknown};
    bool is_held =
        entry.packet.qos == Qos::exactly_once && entry.maybe_arrived && entry.is_repetition();
    if (!is_held) return settle(entry, outcome);
    entry.reported = true;
    move(entry, Stage::releasing);
    drop_packet(entry);
    if (wire_.connected) {
        send_pubrel(entry);
        ++open_;
    }
    return {entry.token, outcome};
}

void Outbound::tell(Report const& report) {
    if (!report.silent) events_.on_published(report.token, report.outcome);
}

void Outbound::tell(std::vector<Report> const& reports) {
    for (auto const& report : reports) tell(report);
}

}  // namespace spoke::mqtt
