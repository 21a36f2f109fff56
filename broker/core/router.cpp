// From a publication to its receivers (3.3.4, 4.8.2).
#include <algorithm>

#include "broker/core/shard_core.hpp"

namespace spoke::broker {

using mqtt::Qos;

std::uint32_t ShardCore::route(Publication& publication, StoreTicket* ticket) {
    matches_.clear();
    index_.match(publication.topic, matches_);
    std::uint32_t receivers = 0;
    route_ticket_ = ticket;
    if (matches_.plain_filters == 1) {  // no session can be in it twice
        for (auto const& span : matches_.plain) {
            for (Subscriber const& subscriber : span) {
                if (is_own(publication, subscriber)) continue;
                ++receivers;
                dispatch(publication, subscriber.session(), grant(publication, subscriber),
                         SubscriptionIds{subscriber.identifier});
            }
        }
    } else if (!matches_.plain.empty()) {
        receivers += route_merged(publication);
    }
    // A shared subscription is apart: its receiver gets a copy of its own.
    for (ChosenMember const& member : matches_.shared) {
        ++receivers;
        dispatch(publication, member);
    }
    route_ticket_ = nullptr;
    if (receivers == 0) counters_.no_subscriber.add();
    return receivers;
}

ShardCore::Grant ShardCore::grant(Publication const& publication,
                                  Subscriber const& subscriber) noexcept {
    return {std::min(publication.qos, static_cast<Qos>(subscriber.qos)),
            publication.retain && subscriber.retain_as_published};  // [MQTT-3.3.1-12]
}

void ShardCore::dispatch(Publication& publication, ChosenMember const& member) {
    auto granted = grant(publication, member);
    granted.share = member.group;
    dispatch(publication, member.session(), granted, SubscriptionIds{member.identifier});
}

bool ShardCore::is_own(Publication const& publication, Subscriber const& subscriber) noexcept {
    return subscriber.no_local && publication.has_publisher &&
           subscriber.session() == publication.publisher;  // [MQTT-3.8.3-3]
}

std::uint32_t ShardCore::route_merged(Publication& publication) {
    // Overlapping subscriptions of one session make one copy: the highest QoS [MQTT-3.3.4-2], all
    // identifiers [MQTT-3.3.4-4], RETAIN as published if any of them asked for it.
    hits_.clear();
    for (auto const& span : matches_.plain) {
        for (Subscriber const& subscriber : span) {
            if (is_own(publication, subscriber)) continue;
            hits_.push_back({subscriber.session(), subscriber.identifier,
                             static_cast<Qos>(subscriber.qos),
                             subscriber.retain_as_published != 0});
        }
    }
    std::ranges::sort(hits_, {}, &Hit::session);
    std::uint32_t receivers = 0;
    for (auto first = hits_.begin(); first != hits_.end();) {
        auto last = std::find_if(first, hits_.end(),
                                 [&](Hit const& hit) { return hit.session != first->session; });
        Grant grant{Qos::at_most_once, false};
        identifiers_.clear();
        for (auto hit = first; hit != last; ++hit) {
            grant.qos = std::max(grant.qos, hit->qos);
            grant.retain = grant.retain || hit->retain_as_published;
            if (hit->identifier != 0) identifiers_.push_back(hit->identifier);
        }
        grant.qos = std::min(grant.qos, publication.qos);
        grant.retain = grant.retain && publication.retain;
        ++receivers;
        dispatch(publication, first->session, grant, SubscriptionIds{identifiers_});
        first = last;
    }
    return receivers;
}

void ShardCore::dispatch(Publication& publication, SessionRef to, Grant grant,
                         SubscriptionIds ids) {
    if (to.shard == shard_) {
        if (Session* session = sessions_.find(to))
            deliver(*session, publication, grant, std::move(ids));
        return;
    }
    if (to.shard == kRemoteNode) return bus_.forward(to.slot, publication.share());
    ShardBatch& batch = batches_[to.shard];
    MessagePtr const& message = publication.share();
    if (batch.routed.empty() || batch.routed.back().message != message) {
        batch.routed.push_back({message, 0});
    }
    ++batch.routed.back().receivers;
    batch.receivers.push_back(
        {to.slot, to.generation, grant.qos, grant.retain, std::move(ids), grant.share});
}

bool ShardCore::retain(Publication& publication) {
    if (!publication.retain) return true;
    if (retained_.set(publication.share()) != RetainedMessages::Stored::limit_reached) {
        return true;
    }
    counters_.retained_refused.add();
    bool said = retained_full_logged_ + std::chrono::minutes{1} > now_.steady;
    if (said || !port_.logs(LogLevel::warning)) return false;
    retained_full_logged_ = now_.steady;
    port_.log(LogLevel::warning, "the retained store is full: new retained messages are not kept");
    return false;
}

}  // namespace spoke::broker
