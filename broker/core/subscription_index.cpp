#include "broker/core/subscription_index.hpp"

#include <new>
#include <utility>

#include "broker/core/child_table.hpp"
#include "broker/core/share_group.hpp"
#include "broker/core/subscriber_list.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::broker {

/// What both kinds of node have: a level of the trie and a share group, which hangs below the level
/// where its filter ends. Parent and text never change, so anyone may read them.
class FilterNode {
public:
    enum class Kind : std::uint8_t { level, level_with_own, group };

    FilterNode(FilterNode* parent, std::size_t size, Kind kind) noexcept
        : parent_(parent), size_(static_cast<std::uint16_t>(size)), kind_(kind) {}
    FilterNode(FilterNode const&) = delete;
    FilterNode& operator=(FilterNode const&) = delete;

    [[nodiscard]] FilterNode* parent() const noexcept { return parent_; }
    [[nodiscard]] Kind kind() const noexcept { return kind_; }

protected:
    FilterNode* parent_;  // nullptr for the root
    std::uint16_t size_;  // of the text, which stands behind the whole node
    Kind kind_;
    bool own_is_gone_ = false;  // writer only
};

struct SubscriptionIndex::Group : FilterNode {
    [[nodiscard]] static Group* make(Level* parent, std::string_view share_name);
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<char const*>(this + 1), size_};
    }
    [[nodiscard]] bool is(LevelKey const& key) const noexcept { return LevelText::is(text(), key); }
    static void free(void* group) noexcept;

    ShareGroup members;
    ShareId id{};

    using FilterNode::FilterNode;
};

/// What a level has beside a single subscriber and a single child; it shares a block of memory with
/// the table of children.
struct SubscriptionIndex::Content {
    static constexpr std::uint32_t kPlus = 1;
    static constexpr std::uint32_t kNumberSign = 2;

    void note(Level const& child) noexcept;
    void forget(Level const& child) noexcept;
    void take_over(Content const& other) noexcept {  // the wildcards have been noted by then
        subscribers.take_over(other.subscribers);
        groups.take_over(other.groups);
    }
    void start(Level const& owner) noexcept;
    [[nodiscard]] bool is_idle(Level const& owner) const noexcept;

    SubscriberList subscribers{};
    Children<Group> groups{};
    std::atomic<std::uint32_t> wildcards{0};  // which of '+' and '#' are among the children
};

/// One level of a filter. Most are leaves with one subscriber, so that one lies in the node. A
/// table is made when there is more to hold than that and one child.
struct SubscriptionIndex::Level : FilterNode {
    [[nodiscard]] static Level* make(Level* parent, std::string_view text, Subscriber const* own) {
        auto* memory = ::operator new(sizeof(Level) + LevelText::room(text));
        auto kind = own ? Kind::level_with_own : Kind::level;
        auto* level = new (memory) Level{parent, text.size(), kind};
        if (own) level->own = *own;
        LevelText::write(level + 1, text);
        return level;
    }
    static void free(void* memory) noexcept {
        auto* level = static_cast<Level*>(memory);
        if (auto* table = level->children.view().table()) {
            table->extra.subscribers.free();
            table->extra.groups.view().each([](Group& group) { Group::free(&group); });
            table->extra.groups.free();
            level->children.free();
        }
        ::operator delete(level);
    }

    [[nodiscard]] Level* parent() const noexcept { return static_cast<Level*>(parent_); }
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<char const*>(this + 1), size_};
    }
    [[nodiscard]] bool is(LevelKey const& key) const noexcept { return LevelText::is(text(), key); }
    [[nodiscard]] bool is_plus() const noexcept { return text() == "+"; }
    [[nodiscard]] bool is_number_sign() const noexcept { return text() == "#"; }
    /// Whether its own entry counts as long as there is no table.
    [[nodiscard]] bool has_own() const noexcept { return kind_ == Kind::level_with_own; }

    // The writer.
    [[nodiscard]] bool is_empty() const noexcept {
        auto now = children.view();
        if (now.is_none()) return own_is_gone_ || !has_own();
        auto const* table = now.table();
        return table && table->size() == 0 && table->extra.subscribers.is_empty() &&
               table->extra.groups.view().is_none();
    }
    /// Whether it was there. Leaves the level without a table only if nothing is left in it at all,
    /// because then the own entry would seem to count again.
    bool remove(SessionRef session, LevelHash hash, Reclaimer& reclaimer) {
        auto now = children.view();
        if (auto* table = now.table()) {
            return table->extra.subscribers.remove(session, own, reclaimer);
        }
        if (!has_own() || own.session() != session) return false;
        if (now.sole())
            return children.extra(*this, hash).subscribers.remove(session, own, reclaimer);
        own_is_gone_ = true;
        return true;
    }

    Subscriber own{};
    Children<Level, Content> children;

    using FilterNode::FilterNode;
};

void SubscriptionIndex::Content::note(Level const& child) noexcept {
    auto bit = child.is_plus() ? kPlus : child.is_number_sign() ? kNumberSign : 0;
    if (bit) wildcards.fetch_or(bit, std::memory_order_release);
}

void SubscriptionIndex::Content::forget(Level const& child) noexcept {
    auto bit = child.is_plus() ? kPlus : child.is_number_sign() ? kNumberSign : 0;
    if (bit) wildcards.fetch_and(~bit, std::memory_order_release);
}

void SubscriptionIndex::Content::start(Level const& owner) noexcept {
    if (owner.has_own()) subscribers.use_own();
}

bool SubscriptionIndex::Content::is_idle(Level const& owner) const noexcept {
    return groups.view().is_none() &&
           (owner.has_own() ? subscribers.is_own() : subscribers.is_empty());
}

SubscriptionIndex::Group* SubscriptionIndex::Group::make(Level* parent,
                                                         std::string_view share_name) {
    auto* memory = ::operator new(sizeof(Group) + LevelText::room(share_name));
    auto* group = new (memory) Group{parent, share_name.size(), Kind::group};
    LevelText::write(group + 1, share_name);
    return group;
}

void SubscriptionIndex::Group::free(void* memory) noexcept {
    auto* group = static_cast<Group*>(memory);
    group->members.free();
    ::operator delete(group);
}

SubscriptionIndex::SubscriptionIndex(Reclaimer& reclaimer, std::uint64_t hash_seed)
    : reclaimer_(reclaimer),
      hash_seed_(hash_seed),
      plus_hash_(level_key("+", hash_seed).hash),
      number_sign_hash_(level_key("#", hash_seed).hash),
      root_(Level::make(nullptr, {}, nullptr)) {
    static_assert(sizeof(Level) == 32 && sizeof(ChildTable<Level, Content>) == 32,
                  "see the figures per subscription");
}

SubscriptionIndex::~SubscriptionIndex() {
    std::vector<Level*> left{root_};
    while (!left.empty()) {
        auto* level = left.back();
        left.pop_back();
        level->children.view().each([&](Level& child) { left.push_back(&child); });
        Level::free(level);
    }
}

LevelHash SubscriptionIndex::hash() const noexcept {
    return {hash_seed_};
}

SubscriptionIndex::Added SubscriptionIndex::subscribe(std::string_view filter,
                                                      Subscriber subscriber) {
    std::lock_guard lock{mutex_};
    bool is_made = false;
    if (mqtt::is_shared(filter)) {
        auto shared = mqtt::parse_shared(filter);
        MQ_ASSERT(shared.has_value());
        return join(reach(shared->filter, nullptr, is_made), shared->share_name, subscriber);
    }
    auto& level = reach(filter, &subscriber, is_made);
    if (!is_made) {
        // What clients do when they come back; it should not cost a table.
        if (!level.children.view().table() && level.has_own() && level.own == subscriber) {
            return {&level, false};
        }
        auto& subscribers = level.children.extra(level, hash()).subscribers;
        auto put = subscribers.put(subscriber, level.own, reclaimer_);
        if (put != SubscriberList::Put::added) return {&level, false};
    }
    count_.fetch_add(1, std::memory_order_relaxed);
    return {&level, true};
}

SubscriptionIndex::Added SubscriptionIndex::join(Level& level, std::string_view share_name,
                                                 Subscriber subscriber) {
    auto& groups = level.children.extra(level, hash()).groups;
    auto* group = groups.view().find(level_key(share_name, hash_seed_));
    if (group) {
        auto was_new = group->members.put(subscriber, reclaimer_);
        if (was_new) count_.fetch_add(1, std::memory_order_relaxed);
        return {group, was_new};
    }
    group = &add_group(level, share_name);
    group->members.put(subscriber, reclaimer_);
    groups.insert(group, level, hash(), reclaimer_);
    count_.fetch_add(1, std::memory_order_relaxed);
    return {group, true};
}

SubscriptionIndex::Group& SubscriptionIndex::add_group(Level& level, std::string_view share_name) {
    auto* group = Group::make(&level, share_name);
    ShareId id{level_key(filter_of(group), hash_seed_).hash};
    while (id.value == 0 || !groups_.emplace(id, group).second) ++id.value;
    group->id = id;
    return *group;
}

std::optional<ChosenMember> SubscriptionIndex::choose(ShareId group) {
    std::lock_guard lock{mutex_};
    auto found = groups_.find(group);
    if (found == groups_.end()) return std::nullopt;
    return ChosenMember{*found->second->members.choose(), group};
}

SubscriptionIndex::Level& SubscriptionIndex::reach(std::string_view filter, Subscriber const* own,
                                                   bool& is_made) {
    LevelWalk walk{filter, hash_seed_};
    LevelKey key;
    auto* place = root_;
    is_made = false;
    while (!is_made && walk.next(key)) {
        auto* child = place->children.view().find(key);
        is_made = !child;
        if (child) place = child;
    }
    if (!is_made) return *place;
    // The missing levels are strung together first: readers see all of them or none.
    auto make = [&](Level* parent) {
        level_count_.fetch_add(1, std::memory_order_relaxed);
        return Level::make(parent, key.text, walk.is_done() ? own : nullptr);
    };
    auto* first = make(place);
    auto* last = first;
    while (walk.next(key)) {
        auto* made = make(last);
        last->children.insert(made, *last, hash(), reclaimer_);
        last = made;
    }
    place->children.insert(first, *place, hash(), reclaimer_);
    return *last;
}

SubscriptionIndex::Level* SubscriptionIndex::find(std::string_view filter) const noexcept {
    LevelWalk walk{filter, hash_seed_};
    LevelKey key;
    auto* place = root_;
    while (place && walk.next(key)) place = place->children.view().find(key);
    return place;
}

FilterNode const* SubscriptionIndex::unsubscribe(std::string_view filter, SessionRef session) {
    std::lock_guard lock{mutex_};
    FilterNode* node = nullptr;
    if (auto shared = mqtt::parse_shared(filter)) {
        auto* level = find(shared->filter);
        auto* table = level ? level->children.view().table() : nullptr;
        if (!table) return nullptr;
        node = table->extra.groups.view().find(level_key(shared->share_name, hash_seed_));
    } else {
        node = find(filter);
    }
    return node && remove(node, session) ? node : nullptr;
}

void SubscriptionIndex::unsubscribe(FilterNode const* node, SessionRef session) {
    std::lock_guard lock{mutex_};
    remove(const_cast<FilterNode*>(node), session);
}

bool SubscriptionIndex::remove(FilterNode* node, SessionRef session) {
    if (is_shared(node)) {
        auto* group = static_cast<Group*>(node);
        if (!group->members.remove(session, reclaimer_)) return false;
        if (group->members.is_empty()) remove_group(*group);
    } else {
        auto* level = static_cast<Level*>(node);
        if (!level->remove(session, hash(), reclaimer_)) return false;
        prune(level);
    }
    count_.fetch_sub(1, std::memory_order_relaxed);
    return true;
}

void SubscriptionIndex::remove_group(Group& group) {
    auto* level = static_cast<Level*>(group.parent());
    level->children.view().table()->extra.groups.erase(&group, *level, hash(), reclaimer_);
    groups_.erase(group.id);
    reclaimer_.retire(&group, Group::free);
    prune(level);
}

void SubscriptionIndex::prune(Level* level) {
    while (level != root_ && level->is_empty()) {
        auto* parent = level->parent();
        parent->children.erase(level, *parent, hash(), reclaimer_);
        level_count_.fetch_sub(1, std::memory_order_relaxed);
        reclaimer_.retire(level, Level::free);
        level = parent;
    }
    level->children.simplify(*level, reclaimer_);
}

void SubscriptionIndex::set_connected(FilterNode const* node, SessionRef session, bool connected) {
    if (!is_shared(node)) return;
    std::lock_guard lock{mutex_};
    auto* group = static_cast<Group*>(const_cast<FilterNode*>(node));
    group->members.set_connected(session, connected);
}

std::string SubscriptionIndex::filter_of(FilterNode const* node) const {
    std::string filter;
    if (is_shared(node)) {
        filter.append("$share/").append(static_cast<Group const*>(node)->text()).push_back('/');
        node = node->parent();
    }
    auto const* last = static_cast<Level const*>(node);
    auto size = filter.size() + last->text().size();
    for (auto const* it = last->parent(); it != root_; it = it->parent())
        size += it->text().size() + 1;
    filter.resize(size, '/');
    for (auto const* it = last; it != root_; it = it->parent()) {
        size -= it->text().size();
        filter.replace(size, it->text().size(), it->text());
        --size;  // the '/' in front
    }
    return filter;
}

bool SubscriptionIndex::is_shared(FilterNode const* node) noexcept {
    return node->kind() == FilterNode::Kind::group;
}

Subscriber SubscriptionIndex::subscriber_at(FilterNode const* node, SessionRef session) const {
    Subscriber const* found = nullptr;
    if (is_shared(node)) {
        found = static_cast<Group const*>(node)->members.find(session);
    } else {
        auto const* level = static_cast<Level const*>(node);
        auto const* table = level->children.view().table();
        found = table ? table->extra.subscribers.find(session, level->own) : &level->own;
    }
    MQ_ASSERT(found && found->session() == session);
    return *found;
}

void SubscriptionIndex::collect(Level const& level, Matches& out) const {
    auto const* table = level.children.view().table();
    if (!table) {
        if (!level.has_own()) return;
        out.plain.emplace_back(&level.own, 1);
        ++out.plain_filters;
        return;
    }
    auto spans = out.plain.size();
    table->extra.subscribers.append_to(out.plain, level.own);
    if (out.plain.size() > spans) ++out.plain_filters;
    table->extra.groups.view().each([&](Group const& group) {
        if (auto const* chosen = group.members.choose()) {
            out.shared.push_back({*chosen, group.id});
        }
    });
}

/// Collects the child "#" of a level, if it has one.
void SubscriptionIndex::collect_rest(Level const& level, Matches& out) const {
    auto below = level.children.view();
    auto const* rest = below.sole();
    if (auto const* table = below.table()) {
        auto wildcards = table->extra.wildcards.load(std::memory_order_acquire);
        if (wildcards & Content::kNumberSign) rest = below.find({"#", number_sign_hash_, '#'});
    }
    if (rest && rest->is_number_sign()) collect(*rest, out);
}

/// The nodes that match the levels walked so far. More than a few are rare, so they lie on the
/// stack unless there are very many.
class SubscriptionIndex::Frontier {
public:
    /// Empties it, with room for `count`.
    void restart(std::size_t count) {
        size_ = 0;
        if (count <= room_) return;
        many_.resize(2 * count);
        nodes_ = many_.data();
        room_ = many_.size();
    }
    void add(Level const* level) noexcept { nodes_[size_++] = level; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] Level const& operator[](std::size_t i) const noexcept { return *nodes_[i]; }

private:
    static constexpr std::size_t kFew = 48;
    Level const* few_[kFew];
    Level const** nodes_ = few_;
    std::size_t size_ = 0;
    std::size_t room_ = kFew;
    std::vector<Level const*> many_{};
};

/// Where a search stands: `key` is the level that comes next.
struct SubscriptionIndex::Search {
    LevelWalk walk;
    LevelKey key;
    bool takes_wildcards;  // in that level
};

void SubscriptionIndex::match(std::string_view topic, Matches& out) const {
    // One node at a time as long as no wildcard stands beside it, which for many topics is to the
    // end.
    LevelWalk walk{topic, hash_seed_};
    LevelKey key;
    auto const* place = root_;
    while (walk.next(key)) {
        auto below = place->children.view();
        Level const* child = nullptr;
        bool has_wildcards = false;
        if (auto const* table = below.table()) {
            has_wildcards = table->extra.wildcards.load(std::memory_order_acquire) != 0;
            if (!has_wildcards) child = table->find(key);
        } else if (auto const* sole = below.sole()) {
            if (sole->is(key)) child = sole;
            has_wildcards = !child && (sole->is_plus() || sole->is_number_sign());
        }
        if (has_wildcards) {
            auto takes_them = place != root_ || !topic.starts_with('$');  // [MQTT-4.7.2-1]
            return match_all(*place, {walk, key, takes_them}, out);
        }
        if (!child) return;
        place = child;
    }
    collect(*place, out);
    collect_rest(*place, out);  // "a/#" matches "a" as well (4.7.1.2)
}

void SubscriptionIndex::match_all(Level const& place, Search search, Matches& out) const {
    Frontier frontiers[2];
    auto* now = &frontiers[0];
    auto* next = &frontiers[1];
    now->add(&place);
    do {
        next->restart(2 * now->size());
        for (std::size_t i = 0; i < now->size(); ++i) {
            auto below = (*now)[i].children.view();
            if (auto const* table = below.table()) {
                auto wildcards = table->extra.wildcards.load(std::memory_order_acquire);
                if (wildcards != 0 && search.takes_wildcards) {
                    collect_rest((*now)[i], out);
                    auto const* any =
                        wildcards & Content::kPlus ? table->find({"+", plus_hash_, '+'}) : nullptr;
                    if (any) next->add(any);
                }
                if (auto const* exact = table->find(search.key)) next->add(exact);
            } else if (auto const* sole = below.sole()) {
                if (sole->is(search.key) || (search.takes_wildcards && sole->is_plus())) {
                    next->add(sole);
                } else if (search.takes_wildcards && sole->is_number_sign()) {
                    collect(*sole, out);
                }
            }
        }
        std::swap(now, next);
        search.takes_wildcards = true;
        if (now->size() == 0) return;
    } while (search.walk.next(search.key));
    for (std::size_t i = 0; i < now->size(); ++i) {
        collect((*now)[i], out);
        collect_rest((*now)[i], out);
    }
}

}  // namespace spoke::broker
