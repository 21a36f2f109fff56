// What is in a durable store, above all when the process ends.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tests/model/model.hpp"
#include "tests/model/texts.hpp"

namespace spoke::model {

using mqtt::Qos;

std::string text_of(mqtt::Will const& will) {
    return fmt::format("'{}' '{}' QoS {}{} delay {} expiry {}", will.topic, as_text(will.payload),
                       static_cast<int>(will.qos), will.retain ? " RETAIN" : "",
                       will.will_delay_interval.value_or(0),
                       will.properties.message_expiry_interval.value_or(0));
}

std::string text_of(Subscription const& subscription) {
    auto const& options = subscription.options;
    return fmt::format(
        "QoS {}{}{} id {}", static_cast<int>(options.qos), options.no_local ? " no local" : "",
        options.retain_as_published ? " retain as published" : "", subscription.identifier);
}

Stored Model::stored(Session const& session) {
    Stored stored{.expiry = session.expiry, .is_connected = session.link.has_value()};
    if (!session.link) stored.expires_at = session.expires_at;
    if (session.will) {
        stored.will = text_of(*session.will);
        if (!session.link) stored.will_at = std::min(session.will_at, session.expires_at);
    }
    for (auto const& [filter, subscription] : session.subscriptions) {
        stored.subscriptions[filter] = text_of(subscription);
    }
    stored.held = session.held;
    return stored;
}

namespace {

std::string text_of(Stored const& stored) {
    auto text = fmt::format("expiry {}{} at {} will {} at {} holds {}", stored.expiry,
                            stored.is_connected ? " connected" : "", stored.expires_at, stored.will,
                            stored.will_at, fmt::join(stored.held, ", "));
    for (auto const& [filter, options] : stored.subscriptions) {
        text += fmt::format("; '{}' {}", filter, options);
    }
    return text;
}

/// What an acknowledgement says is done, unlike others.
bool promises(mqtt::Packet const& packet, mqtt::Version version) {
    if (auto const* connack = std::get_if<mqtt::ConnAck>(&packet)) {
        return !connack->session_present && version != mqtt::Version::v3_1;
    }
    return !std::holds_alternative<mqtt::Publish>(packet) &&
           !std::holds_alternative<mqtt::Disconnect>(packet) &&
           !std::holds_alternative<mqtt::PingResp>(packet);
}

std::vector<std::string> those_of(std::string const& client, std::vector<std::string> texts) {
    std::erase_if(texts, [&](auto const& text) { return !text.starts_with(client + ' '); });
    return texts;
}

/// In the order in which PUBREL is sent again.
template <class InFlights>
std::vector<std::uint16_t> ids_released(InFlights const& in_flights) {
    std::map<std::uint64_t, std::uint16_t> released;
    for (auto const& each : in_flights) {
        if (each.stage == Stage::awaiting_pubcomp) released[each.released] = each.id;
    }
    std::vector<std::uint16_t> ids;
    for (auto const& [order, id] : released) ids.push_back(id);
    return ids;
}

}  // namespace

/// All that is to outlive the process now.
std::vector<std::string> Model::stored_texts() const {
    std::vector<std::string> texts;
    for (auto const& [client, session] : sessions_) {
        if (!session.is_stored) continue;
        texts.push_back(client + " " + text_of(stored(session)));
        for (auto const& each : session.in_flight) {
            if (each.delivery.is_replay) continue;  // nobody was promised when it comes
            texts.push_back(fmt::format("{} in stage {} {}", client, static_cast<int>(each.stage),
                                        text_of(each.delivery, false)));
        }
        for (auto const& each : session.waiting) {
            if (takes_room(each)) texts.push_back(client + " " + text_of(each));
        }
    }
    for (auto const& [topic, message] : retained_) {
        texts.push_back("retained " + text_of(Delivery{message, message->qos, true}));
    }
    std::ranges::sort(texts);
    return texts;
}

/// While the store holds everything back, nothing that it would have to keep is acknowledged.
Finding Model::check_promises(Seen const& seen) {
    auto texts = stored_texts();
    auto before = std::exchange(stored_before_, texts);
    if (texts == before) return std::nullopt;
    for (auto const& [link, packets] : seen.packets) {
        auto found = connections_.find(link);
        if (found == connections_.end()) continue;
        auto const& client = found->second.client;
        for (auto const& packet : packets) {
            if (!promises(packet, found->second.version)) continue;
            // CONNACK speaks of the client's own session.
            bool is_of_own = std::holds_alternative<mqtt::ConnAck>(packet) &&
                             those_of(client, texts) == those_of(client, before);
            if (is_of_own) continue;
            return fmt::format("link {} gets {} before it is durable", link,
                               test::describe(packet));
        }
    }
    return std::nullopt;
}

Finding Model::check_store(SeenStore const& seen, Model const& last) {
    now_ = last.now_;
    wills_ = last.wills_;
    for (auto& [client, session] : sessions_) {
        if (!session.is_stored) continue;
        auto found = seen.sessions.find(client);
        if (found == seen.sessions.end()) return fmt::format("'{}' is not stored", client);
        if (found->second.session != stored(session)) {
            return fmt::format("'{}' is stored as {} instead of {}", client,
                               text_of(found->second.session), text_of(stored(session)));
        }
        auto const& deliveries = found->second.deliveries;
        session.waiting.remove_if([](auto const& each) { return !takes_room(each); });
        take_held(session, deliveries);
        take_unsent(session, deliveries);
        if (auto finding = check_session(session, deliveries)) {
            return fmt::format("in the store '{}' {}", client, *finding);
        }
        if (ids_released(session.in_flight) != ids_released(deliveries.window)) {
            return fmt::format("in the store the PUBRELs of '{}' have another order", client);
        }
    }
    for (auto const& [client, session] : seen.sessions) {
        auto found = sessions_.find(client);
        if (found == sessions_.end() || !found->second.is_stored) {
            return fmt::format("'{}' is stored", client);
        }
    }
    // The store takes a retained message as it is when it is written.
    for (auto const& [topic, message] : last.retained_) {
        auto found = seen.retained.find(topic);
        bool is_it = found != seen.retained.end() &&
                     text_of(found->second) == text_of(Delivery{message, message->qos, true});
        if (is_it) retained_[topic] = message;
    }
    std::erase_if(retained_, [&](auto const& entry) {
        return !last.retained_.contains(entry.first) && !seen.retained.contains(entry.first);
    });
    return check_retained({.retained = seen.retained});
}

/// A delivery may have been stored, but not yet that it was sent.
void Model::take_unsent(Session& session, SeenSession const& seen) {
    std::list<Delivery> unsent;
    for (auto each = session.in_flight.begin(); each != session.in_flight.end();) {
        bool is_known =
            std::ranges::find(seen.window, each->id, &SeenInFlight::id) != seen.window.end();
        if (is_known || !each->is_fresh) {
            ++each;
            continue;
        }
        each->delivery.is_replay = false;
        unsent.push_back(std::move(each->delivery));
        each = session.in_flight.erase(each);
    }
    session.waiting.splice(session.waiting.begin(), unsent);
}

}  // namespace spoke::model
