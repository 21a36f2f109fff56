// How connections and sessions begin and end.
#include "tests/model/model.hpp"

#include <algorithm>
#include <utility>

namespace spoke::model {

using mqtt::ReasonCode;
using mqtt::Version;

namespace {

Millis after(Millis now, std::uint32_t seconds) {
    return now + Millis{seconds} * 1000;
}

}  // namespace

Connection const* Model::connection(LinkId link) const {
    auto found = connections_.find(link);
    return found == connections_.end() ? nullptr : &found->second;
}

Session const* Model::session(std::string const& client) const {
    auto found = sessions_.find(client);
    return found == sessions_.end() ? nullptr : &found->second;
}

void Model::set_choices(std::vector<std::size_t> choices, Copies copies) {
    choices_ = std::move(choices);
    copies_ = std::move(copies);
    used_.clear();
    possibilities_.clear();
    for (auto& [client, session] : sessions_) {
        for (auto& each : session.in_flight) each.is_fresh = false;
    }
}

void Model::hold() {
    is_holding_ = true;
    stored_before_ = stored_texts();
}

void Model::let_go() {
    is_holding_ = false;
    for (auto& [client, session] : sessions_) {
        for (auto& each : session.in_flight) each.is_held = false;
    }
}

bool Model::awaits_connack(LinkId link) const {
    auto found = due_.find(link);
    return found != due_.end() && std::ranges::any_of(found->second, [](auto const& due) {
               return std::holds_alternative<mqtt::ConnAck>(due.packet);
           });
}

std::size_t Model::due_count(LinkId link) const {
    auto found = due_.find(link);
    return found == due_.end() ? 0 : found->second.size();
}

void Model::connect(LinkId link, mqtt::Connect const& packet) {
    if (connections_.contains(link)) return close(link, ReasonCode::protocol_error);

    std::string const& client = packet.client_id;
    if (auto found = sessions_.find(client); found != sessions_.end() && found->second.link) {
        close(*found->second.link, ReasonCode::session_taken_over);
    }
    if (packet.clean_start && sessions_.contains(client)) end_session(client);

    bool v5 = packet.version == Version::v5;
    bool is_present = sessions_.contains(client);
    Session& session = sessions_[client];
    session.client = client;
    session.link = link;
    session.will = packet.will;  // one that was pending is called off
    session.will_at = session.expires_at = kNever;

    std::uint32_t wanted = packet.session_expiry_interval.value_or(0);
    if (!v5) wanted = packet.clean_start ? 0 : rules_.session_expiry_max;
    session.expiry = std::min(wanted, rules_.session_expiry_max);
    if (!is_present) session.is_stored = session.expiry > 0;

    Connection& connection = connections_[link];
    connection.client = client;
    connection.version = packet.version;
    connection.last_packet = now_;
    connection.keep_alive = packet.keep_alive;
    if (rules_.keep_alive_max != 0 &&
        (packet.keep_alive == 0 || packet.keep_alive > rules_.keep_alive_max)) {
        connection.keep_alive = rules_.keep_alive_max;
    }
    connection.window =
        std::min<std::uint32_t>(packet.receive_maximum.value_or(65'535), rules_.inflight_max);
    connection.packet_size_max =
        packet.maximum_packet_size.value_or(std::numeric_limits<std::uint32_t>::max());
    connection.alias_maximum = packet.topic_alias_maximum.value_or(0);

    mqtt::ConnAck connack;
    connack.session_present =
        is_present && packet.version != Version::v3_1;  // 3.1 has no such flag
    if (v5 && session.expiry != wanted) connack.session_expiry_interval = session.expiry;
    if (v5 && connection.keep_alive != packet.keep_alive) {
        connack.server_keep_alive = connection.keep_alive;
    }
    answer(link, connack);
    resume(session);
}

void Model::resume(Session& session) {
    std::vector<InFlight const*> released;
    for (auto& each : session.in_flight) {
        each.is_sent = false;
        if (each.stage == Stage::awaiting_pubcomp) released.push_back(&each);
    }
    std::ranges::sort(released, {}, &InFlight::released);
    for (auto const* each : released) {
        answer(*session.link, mqtt::PubRel{mqtt::PacketId{each->id}, {}, {}, {}});
    }
}

void Model::receive(LinkId link, mqtt::Packet const& packet) {
    connections_.at(link).last_packet = now_;
    std::visit(
        [&]<class Packet>(Packet const& each) {
            if constexpr (requires { on(link, each); }) {
                on(link, each);
            } else if constexpr (std::is_same_v<Packet, mqtt::PingReq>) {
                answer(link, mqtt::PingResp{});
            } else {
                close(link, ReasonCode::protocol_error);
            }
        },
        packet);
}

void Model::cut(LinkId link) {
    detach(link);
}

void Model::close(LinkId link, ReasonCode reason) {
    bool may_be_told = connections_.at(link).is_v5() && !awaits_connack(link);
    detach(link);
    if (!may_be_told) return;
    mqtt::Disconnect disconnect;
    disconnect.reason = reason;
    answer(link, disconnect);
}

/// The connection is gone; a will that is still there takes its course.
void Model::detach(LinkId link) {
    std::string client = connections_.at(link).client;
    bool has_begun = !awaits_connack(link);
    auto places = room(sessions_.at(client));
    for (auto& each : sessions_.at(client).waiting) {
        if (takes_room(each) && places > 0) {
            each.has_left = true;
            --places;
        }
    }
    ended_.insert_or_assign(link, std::move(connections_.extract(link).mapped()));
    if (rules_.is_durable) {
        for (auto& each : due_[link]) each.may_be_lost = true;
    }
    Session& session = sessions_.at(client);
    session.link.reset();
    if (!has_begun) session.expiry = 0;  // nobody was told of it
    if (session.expiry == 0) return end_session(client);
    if (session.expiry != mqtt::kSessionNeverExpires) {
        session.expires_at = after(now_, session.expiry);
    }
    if (!session.will) return;
    std::uint32_t delay = session.will->will_delay_interval.value_or(0);
    if (delay > 0) {
        session.will_at = after(now_, delay);
    } else {
        auto will = *std::exchange(session.will, std::nullopt);
        publish_will(client, will);
    }
}

void Model::end_session(std::string const& client) {
    auto session = std::move(sessions_.extract(client).mapped());
    // What must be read from disk before it is passed on comes behind the will.
    bool order_matters = session.will && rules_.is_durable && rules_.queue_messages_max < 100;
    bool will_first = order_matters && choose(2) == 1;
    if (!will_first) pass_on(session);
    if (session.will) publish_will(session.client, *session.will);
    if (will_first) pass_on(session);
}

void Model::publish_will(std::string const& client, mqtt::Will const& will) {
    ++wills_;
    Message message;
    message.publisher = client;
    message.topic = will.topic;
    message.payload = as_text(will.payload);
    message.qos = will.qos;
    message.retain = will.retain;
    message.properties = will.properties;
    if (auto interval = will.properties.message_expiry_interval) {
        message.deadline = after(now_, *interval);
    }
    auto shared = std::make_shared<Message const>(std::move(message));
    retain(shared);
    route(shared, client);
}

Millis Model::next_timer() const {
    Millis next = kNever;
    for (auto const& [client, session] : sessions_) {
        if (!session.link) next = std::min({next, session.will_at, session.expires_at});
    }
    for (auto const& [link, each] : connections_) {
        if (each.keep_alive > 0) {
            next = std::min(next, each.last_packet + each.keep_alive * Millis{1500});
        }
    }
    return next;
}

void Model::advance(Millis now) {
    now_ = now;
    std::vector<LinkId> silent;
    for (auto const& [link, each] : connections_) {
        bool is_silent =
            each.keep_alive > 0 && each.last_packet + each.keep_alive * Millis{1500} <= now;
        if (is_silent) silent.push_back(link);
    }
    for (LinkId link : silent) close(link, ReasonCode::keep_alive_timeout);

    std::vector<std::string> due;
    for (auto const& [client, session] : sessions_) {
        if (!session.link && std::min(session.expires_at, session.will_at) <= now) {
            due.push_back(client);
        }
    }
    shuffle(due);
    for (auto const& client : due) {
        Session& session = sessions_.at(client);
        if (session.expires_at <= now) {
            end_session(client);
            continue;
        }
        session.will_at = kNever;
        publish_will(client, *std::exchange(session.will, std::nullopt));
    }
}

void Model::restart() {
    let_go();
    due_.clear();
    connections_.clear();
    if (!rules_.is_durable) {
        sessions_.clear();
        retained_.clear();
        return;
    }
    // As far as anybody can know later, connections ended at this moment. What is due now is done
    // when the timers run next.
    std::erase_if(sessions_, [](auto const& entry) { return !entry.second.is_stored; });
    for (auto& [client, session] : sessions_) {
        session.replays.clear();
        session.waiting.remove_if([](auto const& each) { return each.is_replay; });
        for (auto& each : session.in_flight) each.is_new = false;  // as far as is known
        if (!session.link) continue;
        session.link.reset();
        if (session.expiry != mqtt::kSessionNeverExpires) {
            session.expires_at = after(now_, session.expiry);
        }
        if (session.will) {
            session.will_at = after(now_, session.will->will_delay_interval.value_or(0));
        }
    }
}

bool Model::has_choices() const {
    return std::ranges::any_of(sessions_, [](auto const& entry) {
        return std::ranges::any_of(entry.second.subscriptions, [](auto const& subscription) {
            return subscription.first.starts_with("$share/");
        });
    });
}

}  // namespace spoke::model
