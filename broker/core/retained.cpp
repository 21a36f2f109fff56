#include "broker/core/retained.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include "broker/core/child_table.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::broker {
namespace {

void drop(void* message) noexcept {
    MessagePtr::drop(static_cast<Message*>(message));
}

}  // namespace

/// One level of a topic. Parent and text never change.
struct RetainedMessages::Level {
    [[nodiscard]] static Level* make(Level* parent, LevelKey const& key) {
        auto* memory = ::operator new(sizeof(Level) + LevelText::room(key.text));
        auto* level = new (memory) Level{.parent = parent,
                                         .order = static_cast<std::uint32_t>(key.hash >> 32),
                                         .size = static_cast<std::uint16_t>(key.text.size())};
        LevelText::write(level + 1, key.text);
        return level;
    }
    static void free(void* memory) noexcept {
        auto* level = static_cast<Level*>(memory);
        MessagePtr::drop(level->message.load(std::memory_order_relaxed));
        level->children.free();
        ::operator delete(level);
    }

    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<char const*>(this + 1), size};
    }
    [[nodiscard]] bool is(LevelKey const& key) const noexcept { return LevelText::is(text(), key); }
    Level* parent;
    Children<Level> children{};
    std::atomic<Message*> message{nullptr};  // holds one count
    std::uint32_t order;  // upper half of the hash: children are read in order of it, then of text
    std::uint16_t size;
};

RetainedMessages::RetainedMessages(Reclaimer& reclaimer, Limits limits, std::uint64_t hash_seed)
    : reclaimer_(reclaimer),
      limits_(limits),
      hash_seed_(hash_seed),
      root_(Level::make(nullptr, {})) {}

RetainedMessages::~RetainedMessages() {
    std::vector<Level*> left{root_};
    while (!left.empty()) {
        auto* level = left.back();
        left.pop_back();
        level->children.view().each([&](Level& child) { left.push_back(&child); });
        Level::free(level);
    }
}

LevelHash RetainedMessages::hash() const noexcept {
    return {hash_seed_};
}

RetainedMessages::Level* RetainedMessages::level_of(std::string_view topic) const noexcept {
    LevelWalk walk{topic, hash_seed_};
    LevelKey key;
    auto* place = root_;
    while (place && walk.next(key)) place = place->children.view().find(key);
    return place;
}

MessagePtr RetainedMessages::find(std::string_view topic, WallTime now) const {
    auto const* level = level_of(topic);
    auto* message = level ? level->message.load(std::memory_order_acquire) : nullptr;
    if (!message || message->has_expired(now)) return nullptr;
    MessagePtr::retain(message);
    return MessagePtr::adopt(message);
}

RetainedMessages::Stored RetainedMessages::set(MessagePtr message) {
    if (message->payload().empty()) {
        return remove(message->topic(), nullptr) ? Stored::removed : Stored::nothing_to_remove;
    }
    if (auto* level = level_of(message->topic())) {
        if (auto stored = replace(*level, message)) return *stored;
    }
    return add(std::move(message));
}

bool RetainedMessages::take_bytes(std::size_t more) noexcept {
    if (bytes_.fetch_add(more, std::memory_order_relaxed) + more <= limits_.bytes_max) return true;
    bytes_.fetch_sub(more, std::memory_order_relaxed);
    return false;
}

std::optional<RetainedMessages::Stored> RetainedMessages::replace(Level& level,
                                                                  MessagePtr& message) {
    auto* old = level.message.load(std::memory_order_acquire);
    while (old) {
        auto need = message->footprint();
        auto had = old->footprint();
        auto more = need > had ? need - had : 0;
        if (more > 0 && !take_bytes(more)) return Stored::limit_reached;
        // A level whose message is gone may be gone itself, so nothing is ever put in place of null
        // here; only add() does that, with the mutex held.
        auto* fresh = message.release();
        if (level.message.compare_exchange_strong(old, fresh, std::memory_order_acq_rel,
                                                  std::memory_order_acquire)) {
            if (had > need) bytes_.fetch_sub(had - need, std::memory_order_relaxed);
            reclaimer_.retire(old, drop);
            return Stored::replaced;
        }
        message = MessagePtr::adopt(fresh);
        bytes_.fetch_sub(more, std::memory_order_relaxed);
    }
    return std::nullopt;
}

RetainedMessages::Stored RetainedMessages::add(MessagePtr message) {
    std::lock_guard lock{mutex_};
    auto topic = message->topic();
    if (auto* level = level_of(topic)) {
        if (auto stored = replace(*level, message)) return *stored;  // another was quicker
    }
    if (count_.load(std::memory_order_relaxed) >= limits_.messages_max)
        return Stored::limit_reached;
    if (!take_bytes(message->footprint())) return Stored::limit_reached;
    count_.fetch_add(1, std::memory_order_relaxed);
    store(topic, std::move(message));
    return Stored::stored;
}

void RetainedMessages::store(std::string_view topic, MessagePtr message) {
    LevelWalk walk{topic, hash_seed_};
    LevelKey key;
    auto* place = root_;
    bool is_missing = false;
    while (!is_missing && walk.next(key)) {
        auto* child = place->children.view().find(key);
        is_missing = !child;
        if (child) place = child;
    }
    if (!is_missing) return place->message.store(message.release(), std::memory_order_release);
    // The missing levels are strung together first: readers see all of them or none.
    auto make = [&](Level* parent) {
        level_count_.fetch_add(1, std::memory_order_relaxed);
        return Level::make(parent, key);
    };
    auto* first = make(place);
    auto* last = first;
    while (walk.next(key)) {
        auto* made = make(last);
        last->children.insert(made, *last, hash(), reclaimer_);
        last = made;
    }
    last->message.store(message.release(), std::memory_order_release);
    place->children.insert(first, *place, hash(), reclaimer_);
}

bool RetainedMessages::remove(std::string_view topic, Message const* expected) {
    std::lock_guard lock{mutex_};
    auto* level = level_of(topic);
    if (!level) return false;
    auto* old = level->message.load(std::memory_order_acquire);
    do {
        if (!old || (expected && old != expected)) return false;
    } while (!level->message.compare_exchange_weak(old, nullptr, std::memory_order_acq_rel,
                                                   std::memory_order_acquire));
    count_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(old->footprint(), std::memory_order_relaxed);
    reclaimer_.retire(old, drop);
    prune(level);
    return true;
}

void RetainedMessages::prune(Level* level) {
    while (level != root_ && !level->message.load(std::memory_order_relaxed) &&
           level->children.view().is_none()) {
        auto* parent = level->parent;
        parent->children.erase(level, *parent, hash(), reclaimer_);
        level_count_.fetch_sub(1, std::memory_order_relaxed);
        reclaimer_.retire(level, Level::free);
        level = parent;
    }
}

/// One slice of a read with wildcards: walks the part of the trie that matches, each level before
/// those below it and children in order of (hash, text). That order does not depend on what else
/// is there or how large the tables are, so the topic where a slice ended is all the next one
/// needs.
class RetainedMessages::Scan {
public:
    Scan(RetainedMessages const& store, std::string_view filter) : store_(store) {
        mqtt::Levels levels{filter};
        for (auto level = levels.next(); level; level = levels.next()) filter_.push_back(*level);
        reads_all_below_ = filter_.back() == "#";
        if (reads_all_below_) filter_.pop_back();
    }

    /// Goes to where a slice ended: `path` and everything before it has been visited.
    void begin_behind(std::string_view path) {
        mqtt::Levels levels{path};
        auto* level = store_.root_;
        std::size_t depth = 0;
        for (auto text = levels.next(); text; text = levels.next(), ++depth) {
            if (!is_exact(depth)) open(*level, depth, &*text);
            level = child(*level, *text);
            if (!level) return;
        }
        descend(level, depth);
    }
    void begin() { descend(store_.root_, 0); }

    /// Visits the next level and those that must follow it; false if there is none.
    bool advance() {
        while (!open_.empty()) {
            auto& siblings = open_.back();
            if (waiting_.size() == siblings.first_waiting && !gather(siblings)) {
                open_.pop_back();
                continue;
            }
            auto* level = waiting_.back();
            waiting_.pop_back();
            auto depth = siblings.depth + 1;
            if (depth == 1 && level->text().starts_with('$')) continue;  // [MQTT-4.7.2-1]
            visit(level, depth);
            descend(level, depth);
            return true;
        }
        return false;
    }

    /// The message that the last begin() or advance() came to, or nullptr. Each brings one at most.
    [[nodiscard]] Message* take_found() noexcept { return std::exchange(found_, nullptr); }
    [[nodiscard]] std::size_t visited() const noexcept { return visited_; }
    /// The levels of the last one visited.
    [[nodiscard]] std::string path() const {
        std::vector<Level const*> levels;
        for (auto const* it = last_; it != store_.root_; it = it->parent) levels.push_back(it);
        std::string path;
        while (!levels.empty()) {
            path.append(levels.back()->text());
            levels.pop_back();
            if (!levels.empty()) path.push_back('/');
        }
        return path;
    }

private:
    /// Where a level stands among its siblings.
    using Place = std::pair<std::uint32_t, std::string_view>;

    /// The children of one level that are still to be visited.
    struct Siblings {
        Children<Level>::Table const* table;  // nullptr: none left to gather
        std::uint32_t next_slot;
        std::size_t depth;            // of the parent
        std::size_t first_waiting;    // its part of waiting_ begins here
        std::optional<Place> behind;  // those up to here have been visited in an earlier slice
    };

    [[nodiscard]] static Place place_of(Level const& level) noexcept {
        return {level.order, level.text()};
    }
    [[nodiscard]] Level* child(Level const& level, std::string_view text) const noexcept {
        return level.children.view().find(level_key(text, store_.hash_seed_));
    }
    [[nodiscard]] bool is_exact(std::size_t depth) const noexcept {
        return depth < filter_.size() && filter_[depth] != "+";
    }
    void visit(Level* level, std::size_t depth) noexcept {
        ++visited_;
        last_ = level;
        if (depth >= filter_.size()) found_ = level->message.load(std::memory_order_acquire);
    }
    /// From a visited level on: down the levels that the filter names, then opens what is below.
    void descend(Level* level, std::size_t depth) {
        for (; is_exact(depth); ++depth) {
            level = child(*level, filter_[depth]);
            if (!level) return;
            visit(level, depth + 1);
        }
        if (depth < filter_.size() || reads_all_below_) open(*level, depth, nullptr);
    }
    void open(Level const& level, std::size_t depth, std::string_view const* behind) {
        auto below = level.children.view();
        if (below.is_none()) return;
        Siblings siblings{below.table(), 0, depth, waiting_.size(), std::nullopt};
        if (behind) {
            auto text_hash = level_key(*behind, store_.hash_seed_).hash;
            if (below.table()) siblings.next_slot = below.table()->home(text_hash);
            siblings.behind = Place{static_cast<std::uint32_t>(text_hash >> 32), *behind};
        }
        if (auto* sole = below.sole()) {
            if (siblings.behind && place_of(*sole) <= *siblings.behind) return;
            waiting_.push_back(sole);
        }
        open_.push_back(siblings);
    }
    /// Moves the next children into waiting_; false if there are no more.
    bool gather(Siblings& siblings) {
        while (siblings.table && siblings.next_slot < siblings.table->capacity()) {
            gather_run(siblings);
            if (waiting_.size() == siblings.first_waiting) continue;
            std::sort(waiting_.begin() + static_cast<std::ptrdiff_t>(siblings.first_waiting),
                      waiting_.end(), [](auto* a, auto* b) { return place_of(*a) > place_of(*b); });
            return true;
        }
        return false;
    }
    /// Takes the children whose searches begin in the slots from the next up to one that ends them:
    /// no child from before or behind lies in between, but those which begin near the last slot of
    /// the table may lie in its first ones.
    void gather_run(Siblings& siblings) {
        auto const& table = *siblings.table;
        auto const first = siblings.next_slot;
        auto at = first;
        std::uint32_t length = 0;
        for (; length < table.capacity() && !table.ends_search(at); ++length) {
            if (auto* child = table.at(at)) waiting_.push_back(child);
            if (++at == table.capacity()) at = 0;
        }
        auto end = std::min(first + std::max(length, 1u), table.capacity());
        auto is_elsewhere = [&](Level const* child) {
            auto home = table.home(std::uint64_t{child->order} << 32);
            return home < first || home >= end ||
                   (siblings.behind && place_of(*child) <= *siblings.behind);
        };
        waiting_.erase(
            std::remove_if(waiting_.begin() + static_cast<std::ptrdiff_t>(siblings.first_waiting),
                           waiting_.end(), is_elsewhere),
            waiting_.end());
        siblings.next_slot = end;
    }

    RetainedMessages const& store_;
    std::vector<std::string_view> filter_;
    bool reads_all_below_ = false;
    std::vector<Siblings> open_;
    std::vector<Level*> waiting_;  // gathered children, of each table in reverse order
    Level const* last_ = nullptr;
    Message* found_ = nullptr;
    std::size_t visited_ = 0;
};

void RetainedMessages::match(std::string_view filter, WallTime now, std::size_t count_max,
                             std::string& cursor, std::vector<MessagePtr>& out,
                             std::vector<MessagePtr>* expired) {
    MQ_ASSERT(count_max > 0);
    // As many as led to where the last slice ended, too: so a topic of many levels is walked in
    // time linear to its depth, however many slices that takes.
    auto const visits_max =
        1024 + 16 * count_max + static_cast<std::size_t>(std::ranges::count(cursor, '/'));
    auto const end = out.size() + count_max;
    std::vector<MessagePtr> over;

    // The cursor is the path with a '/' in front, because a path may be the one empty level.
    Scan scan{*this, filter};
    auto const path = std::exchange(cursor, {});
    if (path.empty()) {
        scan.begin();
    } else {
        scan.begin_behind(std::string_view{path}.substr(1));
    }
    do {
        if (auto* message = scan.take_found()) {
            MessagePtr::retain(message);
            auto& to = message->has_expired(now) ? over : out;
            to.push_back(MessagePtr::adopt(message));
        }
        if (out.size() == end || scan.visited() >= visits_max) {
            cursor = "/" + scan.path();
            break;
        }
    } while (scan.advance());
    for (auto& message : over) {
        bool is_removed = remove(message->topic(), message.get());
        if (is_removed && expired) expired->push_back(std::move(message));
    }
}

}  // namespace spoke::broker
