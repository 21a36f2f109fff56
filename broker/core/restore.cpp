#include "broker/core/restore.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/topic_space.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {

LinkSettings const& Restore::settings_of(StoredSession const& session) {
    auto is_same_place = [&](LinkSettings const& settings) {
        return settings.mount_point == session.mount_point;
    };
    for (LinkSettings const* settings : listeners_) {
        if (settings->name == session.listener && is_same_place(*settings)) return *settings;
    }
    for (LinkSettings const* settings : listeners_) {
        if (is_same_place(*settings)) return *settings;
    }
    auto found = std::ranges::find_if(made_, is_same_place);
    if (found != made_.end()) return *found;
    LinkSettings settings = *listeners_.front();
    settings.mount_point = session.mount_point;
    return made_.emplace_back(std::move(settings));
}

Restore::Place const& Restore::place_of(SessionNumber session) {
    auto found = places_.find(session);
    MQ_ASSERT(found != places_.end());
    return found->second;
}

void Restore::on_session(StoredSession session) {
    auto home = home_shard(session.client_id, static_cast<std::uint8_t>(cores_.size()));
    LinkSettings const& settings = settings_of(session);
    SessionNumber number = session.number;
    Session& made = cores_[home]->restore_session(std::move(session), settings);
    places_.emplace(number, Place{cores_[home], &made});
}

void Restore::on_subscription(SessionNumber session, std::string_view filter,
                              StoredSubscription const& subscription) {
    Place const& place = place_of(session);
    place.core->restore_subscription(*place.session, filter, subscription);
}

void Restore::on_inbound(SessionNumber session, mqtt::PacketId id) {
    ShardCore::restore_inbound(*place_of(session).session, id);
}

void Restore::on_delivery(StoredDelivery delivery, std::optional<StoredProgress> progress) {
    if (!sent_.empty() && sent_.front().delivery.session != delivery.session) restore_sent();
    if (progress) {
        sent_.push_back({std::move(delivery), *progress});
    } else {
        Place const& place = place_of(delivery.session);
        place.core->restore_queued(*place.session, std::move(delivery));
    }
}

void Restore::restore_sent() {
    if (sent_.empty()) return;
    Place const& place = place_of(sent_.front().delivery.session);
    std::ranges::sort(sent_, {}, [](Sent const& sent) { return sent.progress.send_number; });
    std::uint64_t last = 0;
    for (Sent& sent : sent_) {
        // No two have the same number, unless a damaged store has kept one that was done with.
        last = sent.progress.send_number = std::max(sent.progress.send_number, last + 1);
        ShardCore::restore_sent(*place.session, std::move(sent.delivery), sent.progress);
    }
    sent_.clear();
}

/// Behind the mount point of some listener, or of a session whose listener is gone.
bool Restore::is_command_somewhere(std::string_view topic) const {
    auto const& settings = cores_.front()->settings().command_topics;
    auto is_command_of = [&](LinkSettings const& listener) {
        auto const& mount = listener.mount_point;
        return topic.starts_with(mount) && is_command(settings, topic.substr(mount.size()));
    };
    return std::ranges::any_of(listeners_, [&](auto const* one) { return is_command_of(*one); }) ||
           std::ranges::any_of(made_, is_command_of);
}

void Restore::on_retained(MessagePtr message) {
    restore_sent();
    if (is_command_somewhere(message->topic())) {
        ++commands_dropped_;
        return cores_.front()->drop_retained(message->topic());
    }
    retained_.set(std::move(message));
}

void Restore::finish() {
    restore_sent();
    for (auto const& [number, place] : places_) place.core->finish_restore(*place.session);
}

}  // namespace spoke::broker
