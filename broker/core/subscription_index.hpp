#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/core/reclaimer.hpp"
#include "broker/core/session_ref.hpp"
#include "protocol/base/strong.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// One subscription as the index holds it: 12 bytes.
struct Subscriber {
    std::uint32_t slot = 0;
    std::uint32_t identifier : 28 = 0;  // subscription identifier, 0 for none
    std::uint32_t qos : 2 = 0;
    std::uint32_t no_local : 1 = 0;
    std::uint32_t retain_as_published : 1 = 0;
    std::uint16_t generation = 0;
    std::uint8_t shard = 0;
    bool is_kept = false;  // the session outlives its connection

    [[nodiscard]] SessionRef session() const noexcept { return {slot, generation, shard}; }
    friend bool operator==(Subscriber const&, Subscriber const&) = default;
};
static_assert(sizeof(Subscriber) == 12);

/// One topic filter in the index; what a session remembers of a subscription. Stays valid while
/// the session that got it is subscribed.
class FilterNode;

struct LevelHash;

/// A share group, as deliveries remember it: it may be gone when they ask. A hash of its filter,
/// the same in every index of the same seed. 0 for none.
using ShareId = Strong<std::uint64_t, struct ShareIdTag>;

/// The member of a share group whose turn it is.
struct ChosenMember : Subscriber {
    ShareId group{};
};

/// What matched one topic: views into the index, good until the reader's next quiescent state.
struct Matches {
    /// One span per matching filter; several for a filter of more than two thousand subscribers.
    std::vector<std::span<Subscriber const>> plain;
    /// How many filters these come from: if one, no session is in there twice.
    std::size_t plain_filters = 0;
    /// One entry per matching share group: the member chosen for this message.
    std::vector<ChosenMember> shared;
    void clear() noexcept {
        plain.clear();
        plain_filters = 0;
        shared.clear();
    }
};

/// The subscriptions of all sessions, by topic filter: a trie shared by all shards. match() takes
/// no lock and never waits; writers are serialised among themselves and replace what readers may
/// see.
class SubscriptionIndex {
public:
    /// `hash_seed`: a random number that no peer knows, so that none can choose levels which
    /// collide. The reclaimer outlives the index.
    explicit SubscriptionIndex(Reclaimer& reclaimer, std::uint64_t hash_seed = 0);
    ~SubscriptionIndex();
    SubscriptionIndex(SubscriptionIndex const&) = delete;
    SubscriptionIndex& operator=(SubscriptionIndex const&) = delete;

    struct Added {
        FilterNode const* node;
        bool was_new;  // false: replaced the options of this session's subscription
    };
    /// `filter`: valid; `$share/NAME/FILTER` makes a membership in group (NAME, FILTER). The
    /// session's shared memberships count as connected from here on. Any shard's thread.
    Added subscribe(std::string_view filter, Subscriber subscriber);

    /// Removes; gives the node, which is only good for comparing, or nullptr if there was no such
    /// subscription.
    FilterNode const* unsubscribe(std::string_view filter, SessionRef session);
    void unsubscribe(FilterNode const* node, SessionRef session);

    /// A member that is not connected is chosen only if none is. No effect on plain subscriptions.
    void set_connected(FilterNode const* node, SessionRef session, bool connected);

    /// The full filter, with "$share/NAME/" if shared.
    [[nodiscard]] std::string filter_of(FilterNode const* node) const;
    [[nodiscard]] static bool is_shared(FilterNode const* node) noexcept;
    /// The session's subscription at this node; it must be there. Any reader's thread, no lock.
    [[nodiscard]] Subscriber subscriber_at(FilterNode const* node, SessionRef session) const;

    /// Finds every subscription that matches `topic`.
    /// Spec    MQTT 5 4.7.1, 4.7.2: wildcards in the first level do not match names that begin
    ///         with '$' [MQTT-4.7.2-1]; 4.8.2: one member of each share group.
    /// In      `topic`: valid topic name.
    /// Out     appends to `out`.
    /// Errors  none.
    /// Cost    O(levels + nodes that match); no recursion, no allocation in steady state.
    /// Thread  any reader between two of its quiescent states.
    void match(std::string_view topic, Matches& out) const;
    /// The member of the group whose turn it is, if the group is there still. Any shard's thread.
    [[nodiscard]] std::optional<ChosenMember> choose(ShareId group);

    [[nodiscard]] std::size_t subscription_count() const noexcept {
        return count_.load(std::memory_order_relaxed);
    }
    /// Nodes of the trie: what is left when nobody subscribes is 0.
    [[nodiscard]] std::size_t level_count() const noexcept {
        return level_count_.load(std::memory_order_relaxed);
    }

private:
    struct Level;
    struct Group;
    struct Content;
    class Frontier;
    struct Search;

    // Any reader.
    [[nodiscard]] LevelHash hash() const noexcept;
    [[nodiscard]] Level* find(std::string_view filter) const noexcept;
    void collect(Level const& level, Matches& out) const;
    void match_all(Level const& place, Search search, Matches& out) const;
    void collect_rest(Level const& level, Matches& out) const;

    // The writer, with the mutex held.
    /// The node of `filter`, made if there is none, in that case with `own` if that is given.
    [[nodiscard]] Level& reach(std::string_view filter, Subscriber const* own, bool& is_made);
    [[nodiscard]] Added join(Level& level, std::string_view share_name, Subscriber subscriber);
    bool remove(FilterNode* node, SessionRef session);
    [[nodiscard]] Group& add_group(Level& level, std::string_view share_name);
    void remove_group(Group& group);
    /// Removes the node if nothing is left in it, and so on upwards.
    void prune(Level* level);

    Reclaimer& reclaimer_;
    std::uint64_t hash_seed_;
    std::uint64_t plus_hash_;
    std::uint64_t number_sign_hash_;
    Level* root_;
    // Readers use what stands above; writers change what stands below.
    alignas(64) std::atomic<std::size_t> count_{0};
    std::atomic<std::size_t> level_count_{0};
    std::mutex mutex_;
    std::unordered_map<ShareId, Group*> groups_;
};

}  // namespace spoke::broker
