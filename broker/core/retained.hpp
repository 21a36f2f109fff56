#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "broker/core/message.hpp"
#include "broker/core/reclaimer.hpp"

namespace spoke::broker {

/// The retained messages of all topics, shared by all shards (MQTT 5, 3.3.1.3). Replacing the message of a
/// topic that has one takes no lock; a new topic or the removal of one is serialised among writers. Readers
/// take no lock and never wait.
class RetainedMessages {
public:
    struct Limits {
        std::size_t messages_max;
        std::size_t bytes_max;
    };
    RetainedMessages(Reclaimer& reclaimer, Limits limits);
    ~RetainedMessages();

    enum class Stored { stored, replaced, removed, nothing_to_remove, limit_reached };
    /// An empty payload removes [MQTT-3.3.1-6], [MQTT-3.3.1-7]. Any reader's thread.
    Stored set(MessagePtr message);

    /// Appends the retained messages that match `filter` (valid, without $share) and have not expired. Those
    /// found expired are removed. Appends at most `count_max` of them; goes on behind `cursor` and leaves in it
    /// where to go on, empty when done, so that a wildcard over a million topics is read in slices.
    /// Thread  any reader between two of its quiescent states.
    void match(std::string_view filter, WallTime now, std::size_t count_max, std::string& cursor,
               std::vector<MessagePtr>& out);

    [[nodiscard]] MessagePtr find(std::string_view topic, WallTime now) const;
    [[nodiscard]] std::size_t count() const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept;
};

}  // namespace spoke::broker
