#include "bridge/event/topic_index.hpp"

#include <algorithm>

#include "protocol/topic/topic.hpp"

namespace spoke::bridge {

struct TopicIndex::Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children{};
    std::vector<EventFollower*> here{};

    [[nodiscard]] bool is_empty() const noexcept { return children.empty() && here.empty(); }
    [[nodiscard]] Node const* child(std::string_view level) const {
        auto found = children.find(level);
        return found == children.end() ? nullptr : found->second.get();
    }

    /// Out: whether the follower was there.
    bool remove(mqtt::Levels levels, EventFollower* follower) {
        auto level = levels.next();
        if (!level) {
            auto found = std::ranges::find(here, follower);
            if (found == here.end()) return false;
            *found = here.back();
            here.pop_back();
            if (here.empty()) here.shrink_to_fit();
            return true;
        }
        auto found = children.find(*level);
        if (found == children.end() || !found->second->remove(levels, follower)) return false;
        if (found->second->is_empty()) children.erase(found);
        return true;
    }

    void match(mqtt::Levels levels, bool may_be_wildcard, std::vector<EventFollower*>& out) const {
        auto level = levels.next();
        auto const* all = may_be_wildcard ? child("#") : nullptr;
        // Also the level above it: a/# matches a (4.7.1.2).
        if (all != nullptr) out.insert(out.end(), all->here.begin(), all->here.end());
        if (!level) {
            out.insert(out.end(), here.begin(), here.end());
            return;
        }
        if (auto const* same = child(*level)) same->match(levels, true, out);
        if (auto const* any = may_be_wildcard ? child("+") : nullptr) any->match(levels, true, out);
    }
};

TopicIndex::TopicIndex() : root_(std::make_unique<Node>()) {}
TopicIndex::~TopicIndex() = default;

void TopicIndex::add(std::string_view filter, EventFollower* follower) {
    auto* node = root_.get();
    mqtt::Levels levels{filter};
    while (auto level = levels.next()) {
        auto found = node->children.find(*level);
        if (found == node->children.end()) {
            found = node->children.emplace(std::string{*level}, std::make_unique<Node>()).first;
        }
        node = found->second.get();
    }
    node->here.push_back(follower);
    ++size_;
}

void TopicIndex::remove(std::string_view filter, EventFollower* follower) {
    if (root_->remove(mqtt::Levels{filter}, follower)) --size_;
}

void TopicIndex::match(std::string_view topic, std::vector<EventFollower*>& out) const {
    // A wildcard in the first level does not match names that begin with '$' [MQTT-4.7.2-1].
    root_->match(mqtt::Levels{topic}, !topic.starts_with('$'), out);
}

}  // namespace spoke::bridge
