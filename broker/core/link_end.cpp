// How connections and sessions end, and what becomes of wills (3.1.2.5, 3.1.3.2.2, 3.14, 4.13).
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {

using mqtt::ReasonCode;

void ShardCore::on_bad_bytes(Link& link, mqtt::DecodeError const& error) {
    if (link.state == LinkState::authenticating) {  // before CONNACK no DISCONNECT [MQTT-3.14.0-1]
        return refuse(link, link.version, {error.reason, error.rule});
    }
    close_link(link, error.reason, error.rule);
}

void ShardCore::close_link(Link& link, ReasonCode reason, std::string_view why, Will will) {
    if (link.state == LinkState::closing) return;
    bool was_connected = link.state == LinkState::connected;
    if (reason == ReasonCode::keep_alive_timeout) {
        counters_.keep_alive_timeouts.add();
    } else if (reason != ReasonCode::session_taken_over &&
               reason != ReasonCode::server_shutting_down && is_store_good()) {
        counters_.protocol_errors.add();
    }
    log_end(link, fmt::format("{} ({})", name_of(reason), why));
    if (was_connected) {
        // The will goes out as part of this, before anything the same client id does next.
        bool has_connack = !link.awaits_disk;
        bool is_taken_over = reason == ReasonCode::session_taken_over;
        LinkEnd end{.by = LinkEnd::By::broker, .reason = reason, .detail = why};
        detach(link, will, end, is_taken_over ? why::kTakenOver : why::kSessionEnded);
        if (link.is_v5() && has_connack) {  // 3.1.1 has no DISCONNECT from the server; before
                                            // CONNACK there is none either
            mqtt::Disconnect disconnect;
            disconnect.reason = reason;
            disconnect.reason_string = std::string{why};
            send(link, std::move(disconnect));
        }
    }
    link.state = LinkState::closing;
    forget(link);
    touch(link);
}

void ShardCore::linger(Link& link, std::chrono::milliseconds time) {
    wheel_.arm(link.timer, now_.steady + time);
}

void ShardCore::on_stream_failed(Link& link, std::string_view why) {
    if (link.state == LinkState::connected) {
        log_end(link, why);
        detach(link, Will::publish, {.detail = why});
    }
    link.state = LinkState::closing;
    link.timer.cancel();
    link.out.clear(segments_);
    touch(link);
}

void ShardCore::on_closed(Link& link) {
    if (link.state == LinkState::connected) {
        log_end(link, "connection lost");
        detach(link, Will::publish, {});
    }
    link.state = LinkState::closing;
    forget(link);
    link.out.clear(segments_);
    drop_deferred(link);
}

void ShardCore::log_end(Link const& link, std::string_view how) {
    if (!port_.logs(LogLevel::info)) return;
    if (link.session != nullptr) {
        port_.log(LogLevel::info, fmt::format("{} '{}': {}", port_.peer_of(link),
                                              escaped(link.session->client_id()), how));
    } else {
        port_.log(LogLevel::info, fmt::format("{}: {}", port_.peer_of(link), how));
    }
}

void ShardCore::detach(Link& link, Will will, LinkEnd const& end, std::string_view why) {
    tell_disconnected(link, end);
    Session& session = *link.session;
    counters_.connections.subtract();
    link.session = nullptr;
    link.timer.cancel();
    session.link = nullptr;
    session.inbound_qos2.end_connection();
    drop_deferred(link);
    // Its client was never told of it, and whoever connects next must not be told that it is there:
    // a crash could take it.
    if (std::exchange(link.awaits_disk, false)) session.expiry_interval = 0;
    if (will == Will::discard) session.will.reset();
    take_back(link, session);
    if (!session.is_kept()) return end_session(session, why);  // [MQTT-3.1.2-23]

    auto now = now_.wall.time_since_epoch().count();
    bool never = session.expiry_interval == mqtt::kSessionNeverExpires;
    session.expires_at = never ? kNever : now + Deadline{session.expiry_interval} * 1000;
    for (FilterNode const* node : session.subscriptions) {
        if (SubscriptionIndex::is_shared(node)) index_.set_connected(node, session.ref(), false);
    }
    if (session.will) {
        std::uint32_t delay = session.will->will_delay_interval.value_or(0);
        if (delay == 0) {
            publish_will(session);
        } else {
            session.will_at = std::min(now + Deadline{delay} * 1000, session.expires_at);
        }
    }
    schedule(session);
    store_session(session);
}

/// What may expire and did not reach the socket waits in the session, where it does expire; so does
/// what is to be told of, as it must not be written once it was told that it will not be.
void ShardCore::take_back(Link& link, Session& session) {
    using TimedToo = OutQueue::TimedToo;
    if (!link.out.has_apart()) return;
    taken_.clear();
    link.out.take_back(session.is_kept() ? TimedToo::yes : TimedToo::no, taken_);
    for (OutQueue::Taken const& taken : taken_) {
        if (taken.id.value == 0) {
            counters_.dropped.offline_qos0.add();
            tell(session, *taken.message, mqtt::Qos::at_most_once,
                 {.why = why::kConnectionLost, .was_sent = taken.begun});
        } else if (!taken.begun) {
            session.window.mark_unwritten(taken.id);
            if (Outbound const* outbound = session.window.find(taken.id))
                store_progress(session, *outbound);
        }
    }
}

void ShardCore::schedule(Session& session) {
    Deadline next = std::min(session.will_at, session.expires_at);
    if (next == kNever) return session.timer.cancel();
    auto wait = std::max<Deadline>(next - now_.wall.time_since_epoch().count(), 0);
    wheel_.arm(session.timer, now_.steady + std::chrono::milliseconds{wait});
}

void ShardCore::end_session(Session& session, std::string_view why) {
    MQ_ASSERT(session.link == nullptr);
    // First of all, so that nothing of what follows is sent to this session.
    for (FilterNode const* node : session.subscriptions) {
        if (stores(session)) store_.remove_subscription(session.number, index_.filter_of(node));
        index_.unsubscribe(node, session.ref());
    }
    pass_on(session, why);
    if (session.will) publish_will(session);  // [MQTT-3.1.2-8]: at the latest when the session ends
    std::erase(replaying_, &session);
    while (!session.queue.empty()) (void)take_queued(session);
    counters_.sessions.subtract();
    if (session.is_stored()) kept_[shard_].erase(session.ref());
    remove_stored(session);
    sessions_.remove(session);
}

/// What a share group gave this session and what is not done with goes to another member (4.8.2):
/// all but QoS 2 deliveries that have begun [MQTT-4.8.2-5].
void ShardCore::pass_on(Session& session, std::string_view why) {
    auto give = [&](Delivery const& delivery, Fate const& end) {
        auto member = delivery.share == ShareId{} ? std::nullopt : index_.choose(delivery.share);
        if (member && delivery.is_on_disk()) {
            pass_on_later(session, delivery, end);
            return true;
        }
        bool is_given = member && delivery.message;
        if (is_given) {
            Publication publication(delivery.message);
            is_given = route_to(publication, *member).rejected == 0;
        }
        if (is_given) {
            drop(session, delivery, {.why = why::kMoved, .was_sent = end.was_sent}, Removal::moved);
        } else {
            drop_at_end(session, delivery, end);
        }
        return is_given;
    };
    session.window.each_open([&](Outbound const& outbound) {
        bool may_go_on = outbound.state == OutboundState::awaiting_puback || outbound.unwritten;
        Fate end{.why = why, .was_sent = outbound.may_be_written()};
        if (may_go_on) {
            (void)give(outbound.delivery, end);
        } else {
            drop_at_end(session, outbound.delivery, end);
        }
    });
    for (std::uint32_t i = 0; i < session.queue.size(); ++i) {
        if (session.queue[i].is_over) continue;
        if (!give(session.queue[i], {.why = why})) counters_.dropped.session_ended.add();
    }
}

/// The same for a message that was on its way from another shard when the session ended.
void ShardCore::pass_on(Publication& publication, Grant const& grant, SessionNumber session) {
    bool is_shared = grant.share != ShareId{} && grant.qos != mqtt::Qos::at_most_once;
    auto member = is_shared ? index_.choose(grant.share) : std::nullopt;
    bool is_given = member && route_to(publication, *member).rejected == 0;
    if (!is_given) {
        if (is_shared) counters_.dropped.session_ended.add();
        return drop_for_nobody(publication, grant, session);
    }
    if (publication.wants_receipt) {
        tell(std::nullopt, *publication.share(), grant.qos, {.why = why::kMoved});
    }
    if (grant.as.is_stored()) store_.remove_delivery(session, grant.as, Removal::moved);
}

void ShardCore::publish_will(Session& session) {
    auto will = std::move(session.will);
    session.will_at = kNever;
    if (!session.may_publish(will->topic)) {  // now, whatever held at CONNECT
        counters_.publishes_denied.add();
        if (port_.logs(LogLevel::warning)) {
            port_.log(LogLevel::warning,
                      fmt::format("will of '{}' is not published: it may not publish to '{}'",
                                  escaped(session.client_id()), escaped(will->topic)));
        }
        return;
    }
    counters_.wills_published.add();
    mqtt::Publish packet;
    packet.topic = std::move(will->topic);
    packet.payload = std::move(will->payload);
    packet.qos = will->qos;
    auto seen_topic = std::string_view{packet.topic}.substr(session.settings->mount_point.size());
    packet.retain = will->retain && !is_command(settings_.command_topics, seen_topic);
    if (packet.retain != will->retain) counters_.retains_refused.add();
    packet.properties = std::move(will->properties);
    // Its expiry begins now, not at CONNECT.
    Deadline deadline = kNever;
    if (auto interval = packet.properties.message_expiry_interval) {
        deadline = now_.wall.time_since_epoch().count() + Deadline{*interval} * 1000;
    }
    Publication publication(Message::make(packet, deadline));
    publication.publisher = session.ref();
    publication.has_publisher = true;
    StoreTicket ticket;
    retain(publication, ticket);
    Routed routed = route(publication, Promised::yes);
    if (routed.rejected > 0 && port_.logs(LogLevel::warning)) {
        port_.log(
            LogLevel::warning,
            fmt::format("will of '{}' on '{}' is lost for {} receivers: their queues are full",
                        escaped(session.client_id()), escaped(publication.topic), routed.rejected));
    }
}

void ShardCore::on_link_timer(Link& link) {
    if (link.state == LinkState::awaiting_connect) {
        return close_link(link, ReasonCode::keep_alive_timeout, "no CONNECT in time");
    }
    if (link.state == LinkState::authenticating) {
        return close_link(link, ReasonCode::keep_alive_timeout, "not authenticated in time");
    }
    if (link.state == LinkState::closing) {
        link.linger_over = true;
        return touch(link);
    }
    if (link.paused) link.last_packet = now_.steady;
    auto deadline = link.last_packet + std::chrono::milliseconds{link.keep_alive * 1500LL};
    if (deadline > now_.steady) return wheel_.arm(link.timer, deadline);
    close_link(link, ReasonCode::keep_alive_timeout, "MQTT-3.1.2-22");
}

void ShardCore::on_session_timer(Session& session) {
    if (session.link != nullptr) return;
    auto now = now_.wall.time_since_epoch().count();
    if (session.expires_at <= now) {
        if (port_.logs(LogLevel::info)) {
            port_.log(LogLevel::info,
                      fmt::format("session of '{}' expired", escaped(session.client_id())));
        }
        return end_session(session, why::kSessionExpired);
    }
    if (session.will_at <= now) {
        publish_will(session);
        store_session(session);
    }
    schedule(session);
}

void ShardCore::shut_down() {
    sessions_.each([this](Session& session) {
        if (session.link == nullptr) return;
        shutting_down_.push_back(session.link);
    });
    for (Link* link : shutting_down_) {
        close_link(*link, ReasonCode::server_shutting_down, "the broker is stopping");
    }
    shutting_down_.clear();
}

}  // namespace spoke::broker
