// From a message to its receivers.
#include <algorithm>

#include "tests/model/matching.hpp"
#include "tests/model/model.hpp"

namespace spoke::model {

using mqtt::Qos;

Model::Routed Model::route(MessageRef const& message, std::string const& from) {
    Routed routed;
    auto const full = rejecting(from);  // as all of them are asked first
    std::map<std::string, std::vector<Session*>> groups;
    for (auto& [client, session] : sessions_) {
        // Subscriptions that overlap make one copy.
        bool is_hit = false;
        Delivery delivery{.message = message};
        for (auto const& [filter, subscription] : session.subscriptions) {
            if (!matches(without_share(filter), message->topic)) continue;
            if (is_shared(filter)) {
                groups[filter].push_back(&session);
                continue;
            }
            if (subscription.options.no_local && client == message->publisher) continue;
            is_hit = true;
            delivery.qos = std::max(delivery.qos, subscription.options.qos);
            delivery.retain |= subscription.options.retain_as_published && message->retain;
            if (subscription.identifier != 0) {
                delivery.identifiers.push_back(subscription.identifier);
            }
        }
        if (!is_hit) continue;
        ++routed.receivers;
        delivery.qos = std::min(delivery.qos, message->qos);
        if (delivery.qos != Qos::at_most_once && full.contains(client)) {
            ++routed.rejected;
        } else {
            deliver(session, std::move(delivery));
        }
    }
    // Their order matters where a queue has room for some of them only.
    std::vector<std::string> order;
    for (auto const& [filter, members] : groups) order.push_back(filter);
    if (rules_.queue_messages_max < 100) shuffle(order);
    for (auto const& filter : order) {
        ++routed.receivers;
        bool is_taken = deliver_shared(filter, groups.at(filter), message, full);
        if (!is_taken) ++routed.rejected;
    }
    return routed;
}

/// A publisher is told of queues on its own shard as they are; a batch of messages for another
/// shard is routed before that can say that one of them has filled a queue.
std::set<std::string> Model::rejecting(std::string const& from) const {
    std::set<std::string> clients;
    if (rules_.when_full != WhenFull::reject) return clients;
    for (auto const& [client, session] : sessions_) {
        bool is_near = rules_.shards.at(client) == rules_.shards.at(from);
        bool is_rejecting = is_near ? is_full(session) : session.was_full;
        if (session.is_stored && is_rejecting) clients.insert(client);
    }
    return clients;
}

/// What must be read from disk before it is passed on meets the queues as they are then.
std::set<std::string> Model::rejecting_later(std::string const& from) {
    auto clients = rejecting(from);
    if (!rules_.is_durable || rules_.when_full != WhenFull::reject) return clients;
    for (auto const& [client, session] : sessions_) {
        if (!session.is_stored || is_full(session) == clients.contains(client)) continue;
        if (choose(2) == 0) continue;
        if (clients.erase(client) == 0) clients.insert(client);
    }
    return clients;
}

/// Any order, by choice.
void Model::shuffle(std::vector<std::string>& texts) {
    for (auto place = texts.begin(); place != texts.end(); ++place) {
        auto left = static_cast<std::size_t>(texts.end() - place);
        std::iter_swap(place, place + static_cast<std::ptrdiff_t>(choose(left)));
    }
}

/// The first of `count` possibilities, or the one that is given.
std::size_t Model::choose(std::size_t count) {
    if (count < 2) return 0;
    possibilities_.push_back(count);
    auto place = possibilities_.size() - 1;
    return place < choices_.size() ? choices_[place] : 0;
}

/// To one member: of those connected, or of all if none is.
bool Model::deliver_shared(std::string const& filter, std::vector<Session*> members,
                           MessageRef const& message, std::set<std::string> const& full,
                           bool comes_late) {
    if (std::ranges::any_of(members, [](auto* each) { return each->link.has_value(); })) {
        std::erase_if(members, [](auto* each) { return !each->link; });
    }
    Session& chosen = *members[choose(members, *message)];
    Subscription const& subscription = chosen.subscriptions.at(filter);
    Delivery delivery{.message = message, .share = filter, .comes_late = comes_late};
    delivery.qos = std::min(subscription.options.qos, message->qos);
    delivery.retain = subscription.options.retain_as_published && message->retain;
    if (subscription.identifier != 0) delivery.identifiers = {subscription.identifier};
    if (delivery.qos != Qos::at_most_once && full.contains(chosen.client)) return false;
    deliver(chosen, std::move(delivery));
    return true;
}

/// The session has ended: what a share group gave it goes to another member, but for QoS 2
/// deliveries that have begun.
void Model::pass_on(Session const& session) {
    auto give = [&](Delivery const& delivery) {
        if (delivery.share.empty()) return;
        std::vector<Session*> members;
        for (auto& [client, each] : sessions_) {
            if (each.subscriptions.contains(delivery.share)) members.push_back(&each);
        }
        if (members.empty()) return;  // that group has ended
        (void)deliver_shared(delivery.share, members, delivery.message,
                             rejecting_later(session.client), rules_.is_durable);
    };
    for (auto const& each : session.in_flight) {
        if (each.stage == Stage::awaiting_puback || each.is_new) give(each.delivery);
    }
    for (auto const& each : session.waiting) {
        bool has_begun = each.has_left && each.qos == Qos::exactly_once && !rules_.is_durable;
        if (each.qos != Qos::at_most_once && !has_begun) give(each);
    }
}

std::size_t Model::choose(std::vector<Session*> const& members, Message const& message) {
    std::size_t first = 0;  // where it is seen, if anywhere
    for (std::size_t i = members.size(); i-- > 0;) {
        std::pair copy{members[i]->client, message.payload};
        auto seen = copies_.find(copy);
        if (seen != copies_.end() && seen->second > used_[copy]) first = i;
    }
    return (first + choose(members.size())) % members.size();
}

void Model::deliver(Session& session, Delivery delivery) {
    if (has_expired(*delivery.message)) return;
    std::ranges::sort(delivery.identifiers);
    ++used_[{session.client, delivery.message->payload}];
    if (delivery.qos == Qos::at_most_once) {
        if (session.link) session.waiting.push_back(std::move(delivery));
        return;
    }
    // Whether queues that reject are full was asked before.
    bool is_counted = rules_.when_full != WhenFull::reject || !session.is_stored;
    if (is_counted && is_full(session)) {
        if (rules_.when_full != WhenFull::drop_oldest) return;
        drop_oldest(session);
    }
    session.waiting.push_back(std::move(delivery));
}

/// What waits beyond the free places of the window stands in the queue.
void Model::drop_oldest(Session& session) {
    auto ahead = room(session);
    for (auto each = session.waiting.begin(); each != session.waiting.end(); ++each) {
        if (!takes_room(*each) || ahead-- > 0) continue;
        session.waiting.erase(each);
        return;
    }
}

/// Whether one more QoS 1 or 2 message would be one too many.
bool Model::is_full(Session const& session) const {
    auto waiting = static_cast<std::uint64_t>(std::ranges::count_if(session.waiting, takes_room));
    return waiting >= room(session) + rules_.queue_messages_max;
}

/// Places in the window that deliveries may take.
std::uint64_t Model::room(Session const& session) const {
    if (!session.link) return 0;
    auto unsent =
        static_cast<std::uint64_t>(std::ranges::count_if(session.in_flight, [](auto const& each) {
            return !each.is_sent && !each.is_held && each.stage != Stage::awaiting_pubcomp;
        }));
    std::uint64_t used = used_window(session) + unsent;
    std::uint64_t window = connections_.at(*session.link).window;
    return window > used ? window - used : 0;
}

/// Takes over what RETAIN asks for.
void Model::retain(MessageRef const& message) {
    if (!message->retain) return;
    if (message->payload.empty()) {
        retained_.erase(message->topic);
    } else {
        retained_[message->topic] = message;
    }
    replay_changed(message);
}

/// Retained messages that wait for their turn are read when it comes: what changes meanwhile may
/// come in its old form, its new one, or not at all.
void Model::replay_changed(MessageRef const& message) {
    for (auto& [client, session] : sessions_) {
        for (auto& each : session.waiting) {
            if (each.is_replay && each.message->topic == message->topic) each.is_optional = true;
        }
        for (auto const& replay : session.replays) {
            if (message->payload.empty() || !matches(replay.filter, message->topic)) continue;
            Delivery delivery{.message = message, .retain = true, .replay = replay.filter};
            delivery.qos = std::min(message->qos, replay.qos);
            if (replay.identifier != 0) delivery.identifiers = {replay.identifier};
            delivery.is_replay = delivery.is_optional = true;
            session.waiting.push_back(std::move(delivery));
        }
    }
}

void Model::start_replay(Session& session, Replay const& replay) {
    session.replays.push_back(replay);
    for (auto const& [topic, message] : retained_) {
        if (!matches(replay.filter, topic) || has_expired(*message)) continue;
        Delivery delivery{.message = message, .retain = true, .replay = replay.filter};
        delivery.qos = std::min(message->qos, replay.qos);
        if (replay.identifier != 0) delivery.identifiers = {replay.identifier};
        delivery.is_replay = true;
        session.waiting.push_back(std::move(delivery));
    }
}

}  // namespace spoke::model
