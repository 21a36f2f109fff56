// What is told of clients that come and go.
#include <algorithm>

#include "broker/core/client_event.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"

namespace spoke::broker {

std::int64_t ShardCore::now_us() const noexcept {
    return (std::chrono::microseconds{now_.wall.time_since_epoch()} + below_ms_).count();
}

/// The time, so that numbers rise over a restart too; of several of one moment each is higher. The
/// remainder tells the shard, so that no two shards give the same.
void ShardCore::number(Link& link) noexcept {
    std::int64_t step = shard_count_;
    auto next = std::max(now_us(), last_connection_ + 1);
    next += (shard_ - next % step + step) % step;
    link.connection = last_connection_ = next;
    link.connected_at_us = now_us();
}

/// Whether anybody is subscribed to the topic, which is left in `event_topic_`.
bool ShardCore::has_listener(std::string_view client_id, std::string_view what) {
    if (!settings_.client_events.enabled) return false;
    write_client_topic(settings_.client_events.node, client_id, what, event_topic_);
    if (event_topic_.size() > kTopicSizeMax) return false;
    listeners_.clear();
    index_.match(event_topic_, listeners_);
    if (listeners_.plain.empty() && listeners_.shared.empty()) return false;
    counters_.client_events.add();
    return true;
}

void ShardCore::tell_connected(Link const& link, CheckedConnect const& connect,
                               bool session_present) {
    std::string const& id = link.session->client_id();
    if (!has_listener(id, "connected")) return;
    auto address = port_.peer_of(link);
    ClientConnected event{.client_id = id,
                          .address = address,
                          .version = link.version,
                          .keep_alive = link.keep_alive,
                          .clean_start = connect.packet.clean_start,
                          .session_present = session_present,
                          .connection = link.connection,
                          .at_us = now_us()};
    if (connect.user_name) event.user_name = *connect.user_name;
    news_.push_back(make_event(event_topic_, event));
}

void ShardCore::tell_disconnected(Link const& link, LinkEnd const& end) {
    std::string const& id = link.session->client_id();
    if (!has_listener(id, "disconnected")) return;
    news_.push_back(make_event(event_topic_, {.client_id = id,
                                              .end = end,
                                              .connection = link.connection,
                                              .connected_at_us = link.connected_at_us,
                                              .at_us = now_us()}));
}

}  // namespace spoke::broker
