// From a publication to its receivers (3.3.4, 4.8.2).
#include <algorithm>

#include "broker/core/shard_core.hpp"

namespace spoke::broker {

using mqtt::Qos;

namespace {

/// Those who get it later are not those whom its publisher wants to hear of.
MessagePtr without_receipt(Message const& message) {
    MessageParts parts = message.parts();
    parts.receipt = {};
    return Message::make(parts);
}

}  // namespace

ShardCore::Routed ShardCore::route(Publication& publication, Promised promised) {
    matches_.clear();
    index_.match(publication.topic, matches_);
    bool has_expired = publication.deadline <= now_.wall.time_since_epoch().count();
    if (publication.qos != Qos::at_most_once && !has_expired && has_kept_receiver()) {
        gather_targets(publication);
        return hand_out(publication, promised);
    }
    Routed routed;
    if (matches_.plain_filters == 1) {  // no session can be in it twice
        for (auto const& span : matches_.plain) {
            for (Subscriber const& subscriber : span) {
                if (is_own(publication, subscriber)) continue;
                ++routed.receivers;
                dispatch(publication, subscriber.session(), grant(publication, subscriber),
                         SubscriptionIds{subscriber.identifier});
            }
        }
    } else if (!matches_.plain.empty()) {
        routed.receivers += route_merged(publication);
    }
    // A shared subscription is apart: its receiver gets a copy of its own.
    for (ChosenMember const& member : matches_.shared) {
        ++routed.receivers;
        dispatch(publication, member);
    }
    if (routed.receivers == 0) counters_.no_subscriber.add();
    return routed;
}

bool ShardCore::has_kept_receiver() const noexcept {
    auto is_kept = [](Subscriber const& subscriber) {
        return subscriber.qos > 0 && subscriber.is_kept;
    };
    return std::ranges::any_of(
               matches_.plain,
               [&](auto const& span) { return std::ranges::any_of(span, is_kept); }) ||
           std::ranges::any_of(matches_.shared, is_kept);
}

void ShardCore::gather_targets(Publication const& publication) {
    targets_.clear();
    if (matches_.plain_filters == 1) {
        for (auto const& span : matches_.plain) {
            for (Subscriber const& subscriber : span) {
                if (is_own(publication, subscriber)) continue;
                targets_.push_back({subscriber.session(), grant(publication, subscriber),
                                    SubscriptionIds{subscriber.identifier}, subscriber.is_kept});
            }
        }
    } else if (!matches_.plain.empty()) {
        each_merged(publication, [this](Hit const& hit, Grant const& grant, SubscriptionIds ids) {
            targets_.push_back({hit.session, grant, std::move(ids), hit.is_kept});
        });
    }
    for (ChosenMember const& member : matches_.shared) {
        Grant granted = grant(publication, member);
        granted.share = member.group;
        targets_.push_back(
            {member.session(), granted, SubscriptionIds{member.identifier}, member.is_kept});
    }
}

/// To those in `targets_`. All that are stored get the message in one change of the store, before
/// any of them can say that it is done with it.
ShardCore::Routed ShardCore::hand_out(Publication& publication, Promised promised) {
    Routed routed;
    std::uint32_t kept = 0;
    for (Target& target : targets_) {
        if (!target.is_kept || target.grant.qos == Qos::at_most_once) continue;
        auto const known = kept_[target.session.shard].find(target.session);
        if (known.queue_full) {
            target.is_rejected = true;
            ++routed.rejected;
            counters_.dropped.queue_full.add();
        } else if (known.number.value != 0) {
            target.number = known.number;
            ++kept;
        }
    }
    if (is_durable_ && kept > 0) {
        if (promised == Promised::no && !is_store_good()) {
            routed.refused = true;
            return routed;
        }
        StoredAs as = store_.reserve(kept);
        stored_.clear();
        for (Target& target : targets_) {
            if (target.number.value == 0) continue;
            target.grant.as = as;
            as = following(as);
            stored_.push_back(first_stored(target.number, publication, target.grant, target.ids));
        }
        routed.ticket = store_.put_message(publication.share(), stored_);
    }
    for (Target& target : targets_) {
        ++routed.receivers;
        if (target.is_rejected) {
            if (publication.wants_receipt) tell_rejected(publication, target);
            continue;
        }
        dispatch(publication, target.session, target.grant, std::move(target.ids), target.number);
    }
    if (routed.receivers == 0) counters_.no_subscriber.add();
    return routed;
}

ShardCore::Routed ShardCore::route_to(Publication& publication, ChosenMember const& member) {
    Grant granted = grant(publication, member);
    granted.share = member.group;
    targets_.clear();
    targets_.push_back(
        {member.session(), granted, SubscriptionIds{member.identifier}, member.is_kept});
    return hand_out(publication, Promised::yes);
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
    return each_merged(publication, [&](Hit const& hit, Grant const& grant, SubscriptionIds ids) {
        dispatch(publication, hit.session, grant, std::move(ids));
    });
}

/// Overlapping subscriptions of one session make one copy: the highest QoS [MQTT-3.3.4-2], all
/// identifiers [MQTT-3.3.4-4], RETAIN as published if any of them asked for it.
template <class Visit>
std::uint32_t ShardCore::each_merged(Publication const& publication, Visit&& visit) {
    hits_.clear();
    for (auto const& span : matches_.plain) {
        for (Subscriber const& subscriber : span) {
            if (is_own(publication, subscriber)) continue;
            hits_.push_back({subscriber.session(), subscriber.identifier,
                             static_cast<Qos>(subscriber.qos), subscriber.retain_as_published != 0,
                             subscriber.is_kept});
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
        visit(*first, grant, SubscriptionIds{identifiers_});
        first = last;
    }
    return receivers;
}

void ShardCore::dispatch(Publication& publication, SessionRef to, Grant grant, SubscriptionIds ids,
                         SessionNumber number) {
    if (to.shard == shard_) {
        if (Session* session = sessions_.find(to)) {
            deliver(*session, publication, grant, std::move(ids));
        } else {
            drop_for_nobody(publication, grant, number);
        }
        return;
    }
    if (to.shard == kRemoteNode) return bus_.forward(to.slot, publication.share());
    batch(publication, to.shard,
          {.slot = to.slot,
           .generation = to.generation,
           .qos = grant.qos,
           .retain = grant.retain,
           .ids = std::move(ids),
           .share = grant.share,
           .session_number = number,
           .as = grant.as});
}

void ShardCore::batch(Publication& publication, std::uint8_t shard, Receiver receiver) {
    ShardBatch& batch = batches_[shard];
    MessagePtr const& message = publication.share();
    if (batch.routed.empty() || batch.routed.back().message != message) {
        batch.routed.push_back({message, 0});
    }
    ++batch.routed.back().receivers;
    batch.receivers.push_back(std::move(receiver));
}

bool ShardCore::retain(Publication& publication, StoreTicket& ticket) {
    if (!publication.retain) return true;
    auto stored = retained_.set(publication.wants_receipt ? without_receipt(*publication.share())
                                                          : publication.share());
    if (stored != RetainedMessages::Stored::limit_reached) {
        if (is_durable_) ticket = std::max(ticket, store_.put_retained(publication.topic));
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
