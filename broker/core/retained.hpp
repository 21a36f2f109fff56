#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/message.hpp"
#include "broker/core/reclaimer.hpp"

namespace spoke::broker {

struct LevelHash;

/// The retained messages of all topics, shared by all shards (MQTT 5, 3.3.1.3): a trie of topic
/// levels. Replacing the message of a topic that has one takes no lock; a new topic or the removal
/// of one is serialised among writers. Readers take no lock and never wait.
class RetainedMessages {
public:
    struct Limits {
        std::size_t messages_max;
        std::size_t bytes_max;  // of Message::footprint()
    };
    /// `hash_seed`: a random number that no peer knows, so that none can choose levels which
    /// collide. The reclaimer outlives this.
    RetainedMessages(Reclaimer& reclaimer, Limits limits, std::uint64_t hash_seed = 0);
    ~RetainedMessages();
    RetainedMessages(RetainedMessages const&) = delete;
    RetainedMessages& operator=(RetainedMessages const&) = delete;

    enum class Stored { stored, replaced, removed, nothing_to_remove, limit_reached };
    /// An empty payload removes [MQTT-3.3.1-6], [MQTT-3.3.1-7]. At a limit nothing changes: a
    /// message that was there stays. Any reader's thread.
    Stored set(MessagePtr message);

    /// Appends the retained messages that match `filter` (valid, without $share) and have not
    /// expired. Those found expired are removed, and appended to `expired`, if that is given.
    /// Appends at most `count_max` to `out`, at least 1; goes on behind `cursor` and leaves in it
    /// where to go on, empty when done, so that a wildcard over a million topics is read in slices.
    /// A slice also ends, perhaps with nothing found, when it has passed many more topics than it
    /// may append. Topics may come and go between slices: one that is there all the time is found
    /// exactly once. Thread  any reader between two of its quiescent states.
    void match(std::string_view filter, WallTime now, std::size_t count_max, std::string& cursor,
               std::vector<MessagePtr>& out, std::vector<MessagePtr>* expired = nullptr);

    /// The message of one topic, unless it has expired. Any reader's thread.
    [[nodiscard]] MessagePtr find(std::string_view topic, WallTime now) const;
    [[nodiscard]] std::size_t count() const noexcept {
        return count_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t bytes() const noexcept {
        return bytes_.load(std::memory_order_relaxed);
    }
    /// Nodes of the trie: what is left without messages is 0.
    [[nodiscard]] std::size_t level_count() const noexcept {
        return level_count_.load(std::memory_order_relaxed);
    }

private:
    struct Level;
    class Scan;

    // Any reader.
    [[nodiscard]] LevelHash hash() const noexcept;
    [[nodiscard]] Level* level_of(std::string_view topic) const noexcept;
    [[nodiscard]] bool take_bytes(std::size_t more) noexcept;
    /// nullopt if there is no message to replace.
    std::optional<Stored> replace(Level& level, MessagePtr& message);
    Stored add(MessagePtr message);
    /// Removes what the topic has, or only `expected` if that is not null.
    bool remove(std::string_view topic, Message const* expected);

    // The writer, with the mutex held.
    void store(std::string_view topic, MessagePtr message);
    void prune(Level* level);

    Reclaimer& reclaimer_;
    Limits limits_;
    std::uint64_t hash_seed_;
    Level* root_;
    std::atomic<std::size_t> count_{0};
    std::atomic<std::size_t> bytes_{0};
    std::atomic<std::size_t> level_count_{0};
    std::mutex mutex_;
};

}  // namespace spoke::broker
