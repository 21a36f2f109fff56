// Whether what the broker did is among what it may do.
#include <fmt/format.h>

#include <algorithm>

#include "protocol/codec/encode.hpp"
#include "tests/model/model.hpp"
#include "tests/model/texts.hpp"
#include "tests/support/script_packets.hpp"

namespace spoke::model {

using mqtt::Qos;

namespace {

/// An acknowledgement in words, with what a client can tell from it.
std::string text_of(mqtt::Packet const& packet) {
    auto text = test::describe(packet);
    if (auto const* connack = std::get_if<mqtt::ConnAck>(&packet)) {
        if (auto expiry = connack->session_expiry_interval)
            text += fmt::format(" expiry {}", *expiry);
        if (auto seconds = connack->server_keep_alive)
            text += fmt::format(" keep alive {}", *seconds);
    }
    return text;
}

std::string list_of(std::vector<std::string> const& texts) {
    return texts.empty() ? "nothing" : fmt::format("{}", fmt::join(texts, "; "));
}

/// Seconds that are left, as they stand on the wire: those given less the whole ones waited.
std::uint32_t seconds_left(Millis deadline, Millis now) {
    return static_cast<std::uint32_t>((deadline - now + 999) / 1000);
}

bool same_stream(Delivery const& a, Delivery const& b) {
    bool is_open = a.is_replay || b.is_replay || a.comes_late || b.comes_late;
    return !is_open && a.message->publisher == b.message->publisher &&
           a.message->topic == b.message->topic && a.message->qos == b.message->qos &&
           a.qos == b.qos && a.share == b.share;
}

/// Whether it must be sent again on the connection there is.
bool is_unsent(InFlight const& each) {
    return !each.is_sent && !each.is_held && each.stage != Stage::awaiting_pubcomp;
}

/// Whether its client may hold its id.
bool may_be_released(InFlight const& each) {
    return each.stage == Stage::awaiting_pubrec && !each.is_new;
}

}  // namespace

Finding Model::check(Seen const& seen) {
    for (auto const& [link, packets] : seen.packets) {
        if (auto finding = check_answers(link, packets)) return finding;
        for (auto const& packet : packets) {
            auto const* publish = std::get_if<mqtt::Publish>(&packet);
            if (publish == nullptr) continue;
            auto finding = take(link, *publish);
            if (finding) {
                return fmt::format("link {} gets {}: {}", link, test::describe(packet), *finding);
            }
        }
    }
    if (!is_holding_) due_.clear();
    std::erase_if(due_, [&](auto const& entry) { return !connections_.contains(entry.first); });
    for (auto& [client, session] : sessions_) {
        auto found = seen.sessions.find(client);
        if (found != seen.sessions.end()) take_held(session, found->second);
        auto finding = session.link ? check_rest(session, connections_.at(*session.link))
                                    : check_rest(session);
        if (finding) return fmt::format("'{}' {}", client, *finding);
    }
    ended_.clear();
    if (auto finding = check_sessions(seen)) return finding;
    if (auto finding = is_holding_ ? check_promises(seen) : check_store(seen)) return finding;
    for (auto& [client, session] : sessions_) session.was_full = is_full(session);
    return check_retained(seen);
}

/// All that is not PUBLISH comes in the order of what caused it.
Finding Model::check_answers(LinkId link, std::vector<mqtt::Packet> const& packets) {
    std::vector<std::string> got;
    for (auto const& packet : packets) {
        auto const* pubrel = std::get_if<mqtt::PubRel>(&packet);
        if (pubrel != nullptr && take_release(link, *pubrel)) continue;
        if (!std::holds_alternative<mqtt::Publish>(packet)) got.push_back(text_of(packet));
    }
    auto& due = due_[link];
    auto next = due.begin();
    auto is_got = got.begin();
    while (next != due.end()) {
        bool comes = is_got != got.end() && *is_got == text_of(next->packet);
        if (!comes && !next->may_be_lost) break;
        if (comes) ++is_got;
        ++next;
    }
    bool may_wait = is_holding_ && is_got == got.end();
    if (is_got == got.end() && (next == due.end() || may_wait)) {
        due.erase(due.begin(), next);
        return std::nullopt;
    }
    std::vector<std::string> expected;
    for (auto const& each : due) expected.push_back(text_of(each.packet));
    return fmt::format("link {} gets {} instead of {}", link, list_of(got), list_of(expected));
}

/// A QoS 2 delivery that was sent before and is too large for this connection is released instead.
bool Model::take_release(LinkId link, mqtt::PubRel const& packet) {
    auto found = connections_.find(link);
    if (found == connections_.end()) return false;
    for (auto& each : sessions_.at(found->second.client).in_flight) {
        if (each.id != packet.id.value || !is_unsent(each)) continue;
        if (!may_be_released(each) || fit(each.delivery, found->second) == Fit::fits) return false;
        each.stage = Stage::awaiting_pubcomp;
        each.released = ++releases_;
        return true;
    }
    return false;
}

/// One whose turn came and that could not be sent.
std::list<InFlight>::iterator Model::pass_over(Session& session,
                                               std::list<InFlight>::iterator each) {
    if (!may_be_released(*each)) return session.in_flight.erase(each);
    each->stage = Stage::awaiting_pubcomp;
    each->released = ++releases_;
    answer(*session.link, mqtt::PubRel{mqtt::PacketId{each->id}, {}, {}, {}});
    return std::next(each);
}

Finding Model::take(LinkId link, mqtt::Publish packet) {
    auto found = connections_.find(link);
    if (found == connections_.end()) {  // this may have come before it ended
        found = ended_.find(link);
        if (found == ended_.end()) return "its connection has ended";
        if (!sessions_.contains(found->second.client)) return std::nullopt;
    }
    Connection& connection = found->second;
    Session& session = sessions_.at(connection.client);
    if (packet.topic_alias) {
        if (*packet.topic_alias > connection.alias_maximum) return "the alias is above the maximum";
        auto& topic = connection.ours[*packet.topic_alias];
        if (!packet.topic.empty()) topic = packet.topic;
        packet.topic = topic;
    }
    if (packet.topic.empty()) return "nobody knows its topic";
    if (packet.qos != Qos::at_most_once) {
        auto again = std::ranges::find(session.in_flight, packet.id.value, &InFlight::id);
        if (again != session.in_flight.end()) {
            return take_again(session, connection, again, packet);
        }
    }
    return take_new(session, connection, packet);
}

/// One that was sent on an earlier connection: in the order of the first sending.
Finding Model::take_again(Session& session, Connection const& connection,
                          std::list<InFlight>::iterator again, mqtt::Publish const& packet) {
    if (again->is_sent || again->stage == Stage::awaiting_pubcomp) return "its id is in use";
    if (again->is_held) return "its id is not durable";
    if (packet.dup == again->is_new) return "DUP does not say whether it was sent before";
    if (!shows(packet, again->delivery, connection)) {
        return "under this id was sent " + text_of(again->delivery);
    }
    for (auto each = session.in_flight.begin(); each != again;) {
        bool is_due = is_unsent(*each);
        if (is_due && may_be_sent(*each, connection)) {
            return fmt::format("{} was sent before it", text_of(each->delivery));
        }
        each = is_due ? pass_over(session, each) : std::next(each);
    }
    again->is_sent = true;
    again->is_new = false;
    return std::nullopt;
}

Finding Model::take_new(Session& session, Connection const& connection,
                        mqtt::Publish const& packet) {
    if (packet.dup) return "it was not sent before, but DUP is set";
    if (is_holding_ && session.is_stored && packet.qos == Qos::exactly_once) {
        return "its id is not durable";
    }
    auto& waiting = session.waiting;
    auto find = [&](bool is_optional) {
        return std::ranges::find_if(waiting, [&](auto const& each) {
            return each.is_optional == is_optional && shows(packet, each, connection);
        });
    };
    auto found = find(false);
    if (found == waiting.end()) found = find(true);
    if (found == waiting.end()) {
        std::vector<std::string> texts;
        for (auto const& each : waiting) texts.push_back(text_of(each));
        return "what may come is " + list_of(texts);
    }
    for (auto each = waiting.begin(); each != found; ++each) {
        bool is_due = !each->is_optional && !has_expired(*each->message) &&
                      fit(*each, connection) == Fit::fits;
        if (is_due && same_stream(*each, *found)) {
            return fmt::format("{} was published before it", text_of(*each));
        }
    }
    if (packet.qos != Qos::at_most_once) {
        for (auto each = session.in_flight.begin(); each != session.in_flight.end();) {
            bool is_due = is_unsent(*each);
            if (is_due && may_be_sent(*each, connection)) {
                return fmt::format("{} must be sent again first", text_of(each->delivery));
            }
            each = is_due ? pass_over(session, each) : std::next(each);
        }
        auto stage =
            packet.qos == Qos::at_least_once ? Stage::awaiting_puback : Stage::awaiting_pubrec;
        session.in_flight.push_back(
            {.id = packet.id.value, .stage = stage, .delivery = *found, .is_fresh = true});
        // What stood before it in the queue and cannot be sent had its turn. Retained messages
        // come when the queue is empty.
        auto end = found->is_replay ? waiting.end() : found;
        for (auto each = waiting.begin(); each != end;) {
            bool is_queued = each->qos != Qos::at_most_once && !each->is_replay;
            bool is_over = has_expired(*each->message) || fit(*each, connection) != Fit::fits;
            // With QoS 2 that shows when it is durable: behind what follows.
            if (is_queued && is_over) each->had_turn = true;
            bool is_later = rules_.is_durable && each->qos == Qos::exactly_once;
            each = each->had_turn && !is_later ? waiting.erase(each) : std::next(each);
        }
    }
    waiting.erase(found);
    return std::nullopt;
}

/// Whether `packet`, whose alias has been resolved, is what this client must get of the delivery.
bool Model::shows(mqtt::Publish const& packet, Delivery const& delivery,
                  Connection const& connection) const {
    Message const& message = *delivery.message;
    mqtt::MessageProperties properties;
    std::vector<std::uint32_t> identifiers;
    if (connection.is_v5()) {
        properties = message.properties;
        identifiers = delivery.identifiers;
        if (message.deadline != kNever) {
            // One that is sent again may be past its time: it does not expire any more.
            properties.message_expiry_interval =
                packet.dup && has_expired(message) ? 0 : seconds_left(message.deadline, now_);
        }
    }
    if (has_expired(message) && !packet.dup) return false;
    auto given = packet.subscription_identifiers;
    std::ranges::sort(given);
    return packet.topic == message.topic && as_text(packet.payload) == message.payload &&
           packet.qos == delivery.qos && packet.retain == delivery.retain &&
           packet.properties == properties && given == identifiers;
}

/// Deliveries on the way that take a place in the window of this connection.
std::uint32_t Model::used_window(Session const& session) {
    return static_cast<std::uint32_t>(std::ranges::count_if(
        session.in_flight, [](auto const& each) { return !is_unsent(each); }));
}

/// Whether the packet keeps within the client's maximum packet size, which may depend on the
/// aliases the broker chooses to use.
Model::Fit Model::fit(Delivery const& delivery, Connection const& connection) const {
    if (connection.packet_size_max == std::numeric_limits<std::uint32_t>::max()) return Fit::fits;
    mqtt::Publish packet;
    packet.topic = delivery.message->topic;
    auto payload = as_bytes(delivery.message->payload);
    packet.payload.assign(payload.begin(), payload.end());
    packet.qos = delivery.qos;
    if (packet.qos != Qos::at_most_once) packet.id = mqtt::PacketId{1};
    packet.properties = delivery.message->properties;
    packet.subscription_identifiers = delivery.identifiers;
    auto size = [&] {
        Buffer bytes;
        mqtt::encode(mqtt::Packet{packet}, connection.version, bytes);
        return bytes.size();
    };
    auto smallest = size();
    auto largest = smallest;
    if (connection.alias_maximum > 0) {
        packet.topic_alias = 1;
        largest = size();
        packet.topic.clear();
        smallest = std::min(smallest, size());
    }
    if (largest <= connection.packet_size_max) return Fit::fits;
    return smallest > connection.packet_size_max ? Fit::does_not_fit : Fit::may_fit;
}

/// Nothing is left that could have been sent.
Finding Model::check_rest(Session& session, Connection const& connection) {
    bool is_open = used_window(session) < connection.window;
    bool waits_for_suback = due_count(*session.link) > 0;
    for (auto each = session.in_flight.begin(); each != session.in_flight.end();) {
        bool is_due = is_unsent(*each);
        if (is_due && is_open && may_be_sent(*each, connection)) {
            return "was not sent again " + text_of(each->delivery);
        }
        each = is_due && is_open ? pass_over(session, each) : std::next(each);
    }
    for (auto each = session.waiting.begin(); each != session.waiting.end();) {
        bool is_due = !each->is_optional && !has_expired(*each->message) &&
                      fit(*each, connection) == Fit::fits;
        bool may_wait = !is_open && (each->qos != Qos::at_most_once || each->is_replay);
        if (each->had_turn) may_wait = false;
        if (each->is_replay && waits_for_suback) may_wait = true;
        if (is_due && !may_wait) return "did not get " + text_of(*each);
        // Another connection may get it, unless it has had its turn on this one.
        if (each->is_replay && fit(*each, connection) != Fit::fits) each->is_optional = true;
        each = may_wait ? std::next(each) : session.waiting.erase(each);
    }
    if (is_open && !waits_for_suback) session.replays.clear();
    return std::nullopt;
}

/// Of a session whose connection has ended: what was to leave before did.
Finding Model::check_rest(Session& session) {
    for (auto each = session.waiting.begin(); each != session.waiting.end();) {
        bool is_over = each->has_left ? has_expired(*each->message)
                                      : each->qos == Qos::at_most_once && !each->is_replay;
        if (each->has_left && !is_over) {
            auto ended = std::ranges::find(ended_, session.client,
                                           [](auto const& entry) { return entry.second.client; });
            bool is_held = each->qos == Qos::exactly_once && rules_.is_durable;
            if (ended != ended_.end() && fit(*each, ended->second) == Fit::fits && !is_held) {
                return "did not get " + text_of(*each);
            }
            is_over = !is_held;
        }
        each = is_over ? session.waiting.erase(each) : std::next(each);
    }
    return std::nullopt;
}

/// What is sent for the first time may expire.
bool Model::may_be_sent(InFlight const& each, Connection const& connection) const {
    if (each.is_new && has_expired(*each.delivery.message)) return false;
    return fit(each.delivery, connection) == Fit::fits;
}

// --- What the broker holds ---

/// QoS 2 deliveries which had a packet id when their connection ended, but did not leave as it was
/// not durable yet.
void Model::take_held(Session& session, SeenSession const& seen) const {
    for (auto const& [id, stage, delivery, released] : seen.window) {
        bool is_known =
            std::ranges::find(session.in_flight, id, &InFlight::id) != session.in_flight.end();
        if (is_known || !delivery) continue;
        auto text = text_of(*delivery);
        auto find = [&](bool is_replay) {
            return std::ranges::find_if(session.waiting, [&](auto const& each) {
                return (each.has_left || is_holding_) && each.qos == Qos::exactly_once &&
                       each.is_replay == is_replay && text_of(each, false) == text;
            });
        };
        auto found = find(false);
        if (found == session.waiting.end()) found = find(true);
        if (found == session.waiting.end()) continue;
        found->has_left = false;
        if (session.link) {  // all that is sent again had its turn before
            auto const& connection = connections_.at(*session.link);
            session.in_flight.remove_if([&](auto const& each) {
                return is_unsent(each) && !may_be_sent(each, connection);
            });
            for (auto each = session.waiting.begin(); each != found && !found->is_replay;) {
                bool is_over = takes_room(*each) &&
                               (has_expired(*each->message) || fit(*each, connection) != Fit::fits);
                each = is_over ? session.waiting.erase(each) : std::next(each);
            }
        }
        session.in_flight.push_back({.id = id,
                                     .stage = Stage::awaiting_pubrec,
                                     .delivery = std::move(*found),
                                     .is_sent = false,
                                     .is_new = true,
                                     .is_held = is_holding_,
                                     .is_fresh = true});
        session.waiting.erase(found);
    }
}

/// Takes over the order of what is queued and in flight where it is open: QoS 2 deliveries wait for
/// the disk, messages of several publishers for their shards.
Finding Model::take_order(Session& session, SeenSession const& seen) {
    std::list<Delivery> queue;
    for (auto const& text : seen.queue) {
        auto is_it = [&](auto const& each) {
            return takes_room(each) && text_of(each) == text_of(text);
        };
        auto found = std::ranges::find_if(session.waiting, is_it);
        for (auto each = session.waiting.begin(); each != found; ++each) {
            if (takes_room(*each) && same_stream(*each, *found)) {
                return fmt::format("has queued {} before {}", text_of(*found), text_of(*each));
            }
        }
        queue.splice(queue.end(), session.waiting, found);
    }
    session.waiting.splice(session.waiting.begin(), queue);

    std::list<InFlight> in_flight;
    for (auto const& [id, stage, delivery, released] : seen.window) {
        auto found = std::ranges::find(session.in_flight, id, &InFlight::id);
        auto known = found->delivery;
        // For which subscription a retained message came cannot be told in 3.1.1.
        if (known.is_replay && delivery) known.identifiers = delivery->identifiers;
        if (delivery && text_of(*delivery) != text_of(known, false)) {
            return fmt::format("has in flight {} instead of {}", text_of(*delivery),
                               text_of(found->delivery, false));
        }
        for (auto each = session.in_flight.begin(); each != found; ++each) {
            if (same_stream(each->delivery, found->delivery)) {
                return fmt::format("will send {} before {}", text_of(found->delivery),
                                   text_of(each->delivery));
            }
        }
        in_flight.splice(in_flight.end(), session.in_flight, found);
    }
    session.in_flight = std::move(in_flight);
    return std::nullopt;
}

Finding Model::check_session(Session& session, SeenSession const& seen) const {
    auto lost = std::ranges::find_if(session.waiting, &Delivery::has_left);
    if (lost != session.waiting.end()) return "has neither sent nor kept " + text_of(*lost);
    std::multiset<std::string> expected;
    std::multiset<std::string> queued;
    for (auto const& each : session.waiting) {
        if (takes_room(each)) expected.insert(text_of(each));
    }
    for (auto const& each : seen.queue) queued.insert(text_of(each));
    if (queued != expected) {
        return fmt::format("has queued {} instead of {}", list_of({queued.begin(), queued.end()}),
                           list_of({expected.begin(), expected.end()}));
    }
    std::map<std::uint16_t, Stage> window;
    for (auto const& each : session.in_flight) window[each.id] = each.stage;
    std::map<std::uint16_t, Stage> seen_window;
    for (auto const& each : seen.window) seen_window[each.id] = each.stage;
    if (window == seen_window) return take_order(session, seen);
    auto list = [](auto const& stages) {
        std::vector<std::string> texts;
        for (auto [id, stage] : stages) {
            texts.push_back(fmt::format("{} in stage {}", id, static_cast<int>(stage)));
        }
        return list_of(texts);
    };
    return fmt::format("has in flight {} instead of {}", list(seen_window), list(window));
}

Finding Model::check_sessions(Seen const& seen) {
    std::uint64_t subscriptions = 0;
    for (auto& [client, session] : sessions_) {
        auto found = seen.sessions.find(client);
        if (found == seen.sessions.end()) return fmt::format("there is no session of '{}'", client);
        if (auto finding = check_session(session, found->second)) {
            return fmt::format("'{}' {}", client, *finding);
        }
        subscriptions += session.subscriptions.size();
    }
    if (seen.sessions.size() != sessions_.size()) {
        return fmt::format("there are {} sessions instead of {}", seen.sessions.size(),
                           sessions_.size());
    }
    std::set<LinkId> open;
    for (auto const& [link, each] : connections_) open.insert(link);
    if (seen.open != open) {
        return fmt::format("open are the links {} instead of {}", fmt::join(seen.open, ", "),
                           fmt::join(open, ", "));
    }
    if (seen.wills != wills_) return fmt::format("{} wills went out, not {}", seen.wills, wills_);
    if (seen.connections != connections_.size()) {
        return fmt::format("{} connections are counted, not {}", seen.connections,
                           connections_.size());
    }
    if (seen.subscriptions != subscriptions) {
        return fmt::format("{} subscriptions are counted, not {}", seen.subscriptions,
                           subscriptions);
    }
    return std::nullopt;
}

/// Nothing too much is left in the store, and nothing is missing.
Finding Model::check_store(Seen const& seen) const {
    std::uint64_t sessions = 0;
    std::uint64_t deliveries = 0;
    for (auto const& [client, session] : sessions_) {
        if (!session.is_stored) continue;
        ++sessions;
        deliveries += session.in_flight.size();
        deliveries +=
            static_cast<std::uint64_t>(std::ranges::count_if(session.waiting, takes_room));
    }
    if (seen.stored_sessions && *seen.stored_sessions != sessions) {
        return fmt::format("{} sessions are stored, not {}", *seen.stored_sessions, sessions);
    }
    if (seen.stored_deliveries && *seen.stored_deliveries != deliveries) {
        return fmt::format("{} deliveries are stored, not {}", *seen.stored_deliveries, deliveries);
    }
    return std::nullopt;
}

Finding Model::check_retained(Seen const& seen) const {
    std::map<std::string, std::string> expected;
    std::map<std::string, std::string> stored;
    for (auto const& [topic, message] : retained_) {
        if (has_expired(*message)) continue;
        expected[topic] = text_of(Delivery{message, message->qos, true});
    }
    for (auto const& [topic, message] : seen.retained) stored[topic] = text_of(message);
    if (stored == expected) return std::nullopt;
    auto list = [](auto const& texts) {
        std::vector<std::string> values;
        for (auto const& [topic, text] : texts) values.push_back(text);
        return list_of(values);
    };
    return fmt::format("retained are {} instead of {}", list(stored), list(expected));
}

}  // namespace spoke::model
