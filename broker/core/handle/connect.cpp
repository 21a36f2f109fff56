// CONNECT: judged on the shard that accepted the connection, carried out on the session's home
// shard (3.1).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "broker/core/receipt.hpp"
#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {

namespace {

using mqtt::ReasonCode;

/// The reasons 3.1.1 has a return code for; for others its connections close in silence
/// [MQTT-3.2.2-6].
bool has_return_code(ReasonCode reason) noexcept {
    constexpr std::array kKnown{
        ReasonCode::unsupported_protocol_version,
        ReasonCode::client_identifier_not_valid,
        ReasonCode::server_unavailable,
        ReasonCode::server_busy,
        ReasonCode::quota_exceeded,
        ReasonCode::bad_user_name_or_password,
        ReasonCode::not_authorized,
    };
    return std::ranges::find(kKnown, reason) != kKnown.end();
}

/// In 3.1.1 "server unavailable" is the one word for all that is not the client's fault.
ReasonCode as_return_code(ReasonCode reason) noexcept {
    if (reason == ReasonCode::server_busy || reason == ReasonCode::quota_exceeded) {
        return ReasonCode::server_unavailable;
    }
    return reason;
}

std::string fill_in(std::string text, std::string_view client_id) {
    for (auto at = text.find("%c"); at != std::string::npos;
         at = text.find("%c", at + client_id.size())) {
        text.replace(at, 2, client_id);
    }
    return text;
}

/// What the client asked for; 3.1.1 has the extremes alone.
std::uint32_t wanted_expiry(mqtt::Connect const& packet, LinkSettings const& limits) noexcept {
    if (packet.version == mqtt::Version::v5) return packet.session_expiry_interval.value_or(0);
    return packet.clean_start ? 0 : limits.session_expiry_max;
}

bool is_limited(std::uint16_t keep_alive, LinkSettings const& limits) noexcept {
    return limits.keep_alive_max != 0 && (keep_alive == 0 || keep_alive > limits.keep_alive_max);
}

bool may_ask_receipts(ReceiptSettings const& settings, CheckedConnect const& connect) {
    if (std::ranges::binary_search(settings.clients, connect.packet.client_id)) return true;
    return connect.user_name && std::ranges::binary_search(settings.users, *connect.user_name);
}

bool asks_for_deliveries(mqtt::Connect const& packet) {
    return std::ranges::any_of(packet.user_properties, [](mqtt::UserProperty const& property) {
        return property.name == kDeliveriesProperty && property.value == "1";
    });
}

/// What CONNACK says of the listener's limits; absent means all that MQTT 5 knows (3.2.2.3).
mqtt::ConnAck offer(LinkSettings const& limits, CheckedConnect const& connect) {
    mqtt::Connect const& packet = connect.packet;
    mqtt::ConnAck connack;
    if (connect.id_assigned && packet.version == mqtt::Version::v5)
        connack.assigned_client_identifier = packet.client_id;
    connack.authentication_method = packet.authentication_method;  // [MQTT-4.12.0-5]
    connack.authentication_data = connect.authentication_data;
    if (limits.receive_maximum != 65'535) connack.receive_maximum = limits.receive_maximum;
    if (limits.maximum_qos != mqtt::Qos::exactly_once) connack.maximum_qos = limits.maximum_qos;
    if (!limits.retain_available) connack.retain_available = false;
    if (limits.packet_size_max < mqtt::kVariableByteIntegerMax) {
        connack.maximum_packet_size = limits.packet_size_max;
    }
    if (limits.topic_alias_max > 0) connack.topic_alias_maximum = limits.topic_alias_max;
    if (!limits.wildcard_subscription_available) connack.wildcard_subscription_available = false;
    if (!limits.subscription_identifiers_available)
        connack.subscription_identifiers_available = false;
    if (!limits.shared_subscription_available) connack.shared_subscription_available = false;
    if (packet.request_response_information.value_or(false) &&
        !limits.response_information.empty()) {
        connack.response_information = fill_in(limits.response_information, packet.client_id);
    }
    if (wanted_expiry(packet, limits) > limits.session_expiry_max)
        connack.session_expiry_interval = limits.session_expiry_max;
    if (is_limited(packet.keep_alive, limits))
        connack.server_keep_alive = limits.keep_alive_max;  // [MQTT-3.2.2-21]
    return connack;
}

}  // namespace

std::optional<CheckedConnect> ShardCore::admit(Link& link, Bytes frame) {
    if (link.state == LinkState::authenticating) return on_auth_before_connack(link, frame);
    auto checked = check_connect(link, frame);
    return checked ? authenticate(link, std::move(*checked)) : std::nullopt;
}

std::optional<CheckedConnect> ShardCore::check_connect(Link& link, Bytes frame) {
    auto decoded = mqtt::decode(frame, mqtt::Version::v5, mqtt::Sender::client);
    if (!decoded) {
        auto version = mqtt::connack_version(frame);
        auto const& error = decoded.error();
        // A malformed CONNECT of 3.1.1 is closed without a byte [MQTT-3.1.4-1].
        if (version) {
            refuse(link, *version, {error.reason, error.rule});
        } else {
            close_link(link, error.reason, error.rule);
        }
        return std::nullopt;
    }
    auto* connect = std::get_if<mqtt::Connect>(&decoded.value());
    if (connect == nullptr) {
        close_link(link, ReasonCode::protocol_error, "MQTT-3.1.0-1");
        return std::nullopt;
    }
    CheckedConnect checked{.packet = std::move(*connect)};
    link.request_problem_information = checked.packet.request_problem_information.value_or(true);
    link.maximum_packet_size =
        checked.packet.maximum_packet_size.value_or(link.maximum_packet_size);
    if (auto refusal = judge_connect(*link.settings, checked.packet, checked.id_assigned)) {
        refuse(link, checked.packet.version, *refusal);
        return std::nullopt;
    }
    return checked;
}

std::optional<ShardCore::Refusal> ShardCore::judge_connect(LinkSettings const& settings,
                                                           mqtt::Connect& connect,
                                                           bool& id_assigned) {
    bool v5 = connect.version == mqtt::Version::v5;
    if (connect.version == mqtt::Version::v3_1 && !settings.mqtt_3_1) {
        return Refusal{ReasonCode::unsupported_protocol_version, "MQTT 3.1 is switched off"};
    }
    if (connect.will) {
        if (connect.will->qos > settings.maximum_qos) {
            return Refusal{ReasonCode::qos_not_supported, "MQTT-3.2.2-12"};
        }
        if (connect.will->retain && !settings.retain_available) {
            return Refusal{ReasonCode::retain_not_supported, "MQTT-3.2.2-13"};
        }
        if (is_reserved(settings, connect.will->topic)) {
            return Refusal{ReasonCode::not_authorized, "will topic that is the broker's own"};
        }
        // A 3.1.1 client would not know why it is refused: its will is published without RETAIN.
        if (v5 && connect.will->retain &&
            is_command(settings_.command_topics, connect.will->topic)) {
            counters_.retains_refused.add();
            return Refusal{ReasonCode::not_authorized, "no RETAIN on a command topic"};
        }
        if (settings.mount_point.size() + connect.will->topic.size() > kTopicSizeMax) {
            return Refusal{ReasonCode::topic_name_invalid, "will topic too long to be mounted"};
        }
    }
    if (connect.client_id.size() > settings.client_id_size_max) {
        return Refusal{ReasonCode::client_identifier_not_valid, "client id is longer than allowed"};
    }
    if (!connect.client_id.empty()) return std::nullopt;
    if (connect.version == mqtt::Version::v3_1) {
        return Refusal{ReasonCode::client_identifier_not_valid, "MQTT 3.1 needs a client id"};
    }
    if (!v5 && !connect.clean_start) {
        return Refusal{ReasonCode::client_identifier_not_valid, "MQTT-3.1.3-8"};
    }
    connect.client_id = new_client_id();
    id_assigned = true;
    return std::nullopt;
}

std::string ShardCore::new_client_id() {
    // 128 random bits: not in use anywhere, and not to be guessed. Drawn until this shard is its
    // home, which spares the move.
    for (;;) {
        auto id = fmt::format("auto-{:016x}{:016x}", random_(), random_());
        if (home_shard(id, shard_count_) == shard_) return id;
    }
}

void ShardCore::refuse(Link& link, mqtt::Version version, Refusal const& refusal) {
    counters_.connects_refused.add();
    link.version = version;
    if (port_.logs(LogLevel::info)) {
        port_.log(LogLevel::info, fmt::format("{} refused: {} ({})", port_.peer_of(link),
                                              name_of(refusal.reason), escaped(refusal.text)));
    }
    link.state = LinkState::closing;
    forget(link);
    touch(link);
    if (!link.is_v5() && !has_return_code(refusal.reason)) return;
    mqtt::ConnAck connack;
    connack.reason = link.is_v5() ? refusal.reason : as_return_code(refusal.reason);
    if (link.is_v5()) connack.reason_string = std::string{refusal.text};
    send(link, std::move(connack));
}

void ShardCore::on_connect(Link& link, CheckedConnect connect) {
    mqtt::Connect& packet = connect.packet;
    link.version = packet.version;
    link.request_problem_information = packet.request_problem_information.value_or(true);
    link.maximum_packet_size = packet.maximum_packet_size.value_or(link.maximum_packet_size);

    mqtt::ConnAck connack = offer(*link.settings, connect);
    link.may_ask_receipts =
        packet.version == mqtt::Version::v5 && may_ask_receipts(settings_.receipts, connect);
    if (link.may_ask_receipts) {
        connack.user_properties.push_back({std::string{kReceiptsProperty}, "1"});
    }
    link.names_deliveries = link.may_ask_receipts && asks_for_deliveries(packet);
    if (link.names_deliveries) {
        connack.user_properties.push_back({std::string{kDeliveriesProperty}, "1"});
    }
    if (!encode_fitting(connack, link.version, link.maximum_packet_size, packet_)) {
        // Nothing may be said to this client, so it goes before anything of its session is touched.
        log_end(link, "CONNACK above maximum packet size");
        counters_.connects_refused.add();
        link.state = LinkState::closing;
        forget(link);
        return touch(link);
    }
    Session* session = sessions_.find(packet.client_id);
    bool is_kept =
        wanted_expiry(packet, *link.settings) > 0 && link.settings->session_expiry_max > 0;
    bool begins = session == nullptr || !goes_on(*session, link, packet);
    bool was_stored = session != nullptr && stores(*session);
    bool needs_store = is_kept || was_stored || ended_.contains(packet.client_id);
    if (begins && needs_store && is_durable_ && !is_store_good()) {
        counters_.store_refused.add();
        return refuse(link, packet.version, {ReasonCode::server_unavailable, store_refusal().text});
    }
    if (session == nullptr && sessions_.size() * shard_count_ >= settings_.sessions_max) {
        return refuse(link, packet.version,
                      {ReasonCode::quota_exceeded, "sessions_max is reached"});
    }
    if (session != nullptr && session->link != nullptr) {
        take_over(*session, link, packet);
        session = sessions_.find(packet.client_id);
    }
    bool will_is_due = session != nullptr && session->will &&
                       session->will_at <= now_.wall.time_since_epoch().count();
    if (will_is_due) publish_will(*session);  // although its timer did not run yet
    if (session != nullptr && !goes_on(*session, link, packet)) {
        end_session(*session, packet.clean_start ? why::kClean : why::kSessionExpired);
        // [MQTT-3.1.2-4]
        session = nullptr;
    }
    connack.session_present = session != nullptr;  // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
    // Who was told that a session is gone must not find it again after a restart.
    StoreTicket gone;
    if (session == nullptr) {
        auto ended = ended_.find(packet.client_id);
        if (ended != ended_.end()) gone = ended->second;
        session = &sessions_.add(packet.client_id);
        counters_.sessions.add();
    }
    accept(link, *session, connect, connack, gone);
    if (connack.session_present) resume(*session);
}

bool ShardCore::goes_on(Session const& session, Link const& link,
                        mqtt::Connect const& connect) const noexcept {
    if (connect.clean_start || session.has_expired(now_.wall)) return false;
    // One that ends with its connection, as does one whose CONNACK waits for the disk.
    if (session.is_connected() && (!session.is_kept() || session.link->awaits_disk)) return false;
    // A session belongs to its part of the topic tree: under another mount point it begins anew.
    return session.settings->mount_point == link.settings->mount_point;
}

void ShardCore::take_over(Session& session, Link const& link, mqtt::Connect const& connect) {
    counters_.takeovers.add();
    // The old network connection ends as by a failure. A will with a delay is called off if its
    // session goes on in the new connection [MQTT-3.1.3-9]; detach() only schedules it, accept()
    // takes it back.
    Link& old = *session.link;
    bool called_off = goes_on(session, link, connect);
    bool delayed = old.is_v5() && session.will && session.will->will_delay_interval.value_or(0) > 0;
    close_link(old, ReasonCode::session_taken_over, "client id connected again",
               called_off && delayed ? Will::discard : Will::publish);  // [MQTT-3.1.4-3]
}

void ShardCore::accept(Link& link, Session& session, CheckedConnect const& connect,
                       mqtt::ConnAck const& connack, StoreTicket gone) {
    mqtt::Connect const& packet = connect.packet;
    LinkSettings const& limits = *link.settings;
    session.expiry_interval =
        connack.session_expiry_interval.value_or(wanted_expiry(packet, limits));
    if (!connack.session_present && session.is_kept()) {
        session.number = store_.new_session_number();
        kept_[shard_].put(session.ref(), session.number, false);
    }
    link.keep_alive = connack.server_keep_alive.value_or(packet.keep_alive);
    link.receive_maximum = std::min(packet.receive_maximum.value_or(65'535), limits.inflight_max);
    std::uint16_t aliases =
        std::min(packet.topic_alias_maximum.value_or(0), limits.topic_alias_out_max);
    if (aliases > 0) link.aliases_out = std::make_unique<OutboundAliases>(aliases);

    StoreTicket ticket = attach(link, session, connect);
    log_connected(link, connect, connack.session_present);
    number(link);
    tell_connected(link, connect, connack.session_present);
    if (connack.session_present) ticket = kNothingToWaitFor;  // it is there already
    ticket = std::max(ticket, gone);
    link.awaits_disk = ticket > durable_;
    bool sent = send(link, connack, ticket);
    MQ_ASSERT(sent);  // on_connect() has made it fit
}

StoreTicket ShardCore::attach(Link& link, Session& session, CheckedConnect const& connect) {
    session.settings = link.settings;
    session.set_user(link.settings->authorizer, connect.user_name);
    session.link = &link;
    session.timer.cancel();
    session.expires_at = session.will_at = kNever;
    session.will.reset();
    if (connect.packet.will) {
        session.will = std::make_unique<mqtt::Will>(*connect.packet.will);
        session.will->topic.insert(0, link.settings->mount_point);
    }
    link.session = &session;
    link.state = LinkState::connected;
    link.last_packet = now_.steady;
    link.timer.cancel();
    if (link.keep_alive > 0) {
        wheel_.arm(link.timer, now_.steady + std::chrono::milliseconds{link.keep_alive * 1500LL});
    }
    for (FilterNode const* node : session.subscriptions) {
        if (SubscriptionIndex::is_shared(node)) index_.set_connected(node, session.ref(), true);
    }
    counters_.connections.add();
    return store_session(session);
}

void ShardCore::log_connected(Link const& link, CheckedConnect const& connect,
                              bool session_present) {
    if (!port_.logs(LogLevel::info)) return;
    Session const& session = *link.session;
    port_.log(LogLevel::info,
              fmt::format(
                  "{} connected as '{}' ({}MQTT {}, keep alive {} s, session {}, expiry {} s)",
                  port_.peer_of(link), escaped(session.client_id()),
                  connect.user_name ? fmt::format("user '{}', ", escaped(*connect.user_name)) : "",
                  link.is_v5()                          ? "5"
                  : link.version == mqtt::Version::v3_1 ? "3.1"
                                                        : "3.1.1",
                  link.keep_alive, session_present ? "resumed" : "new", session.expiry_interval));
}

void ShardCore::resume(Session& session) {
    session.window.begin_resume();
    // A PUBREC that came on the last connection may be on its way to the disk; see handle_pubrec().
    StoreTicket ticket = stores(session) ? store_.last_ticket() : kNothingToWaitFor;
    for (mqtt::PacketId id : session.window.releases()) {
        send_ack(*session.link, mqtt::PacketType::pubrel, id, ReasonCode::success, ticket);
    }
    if (!session.replays.empty() && !session.replaying) {
        session.replaying = true;
        replaying_.push_back(&session);
    }
    pump(session);
}

}  // namespace spoke::broker
