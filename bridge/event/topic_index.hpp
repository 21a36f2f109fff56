#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spoke::bridge {

class EventFollower;

/// Who follows which topic filters. Matches as MQTT does (4.7).
/// Thread  one.
class TopicIndex {
public:
    TopicIndex();
    TopicIndex(TopicIndex const&) = delete;
    TopicIndex& operator=(TopicIndex const&) = delete;
    ~TopicIndex();

    void add(std::string_view filter, EventFollower* follower);
    void remove(std::string_view filter, EventFollower* follower);

    /// Appends the followers of every filter that matches; one that has several may come several
    /// times.
    void match(std::string_view topic, std::vector<EventFollower*>& out) const;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct Node;

    std::unique_ptr<Node> root_;
    std::size_t size_ = 0;
};

}  // namespace spoke::bridge
