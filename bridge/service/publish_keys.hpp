#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace spoke::bridge {

/// Which message went to a topic under which key, until the log has it: it comes back from the
/// broker first.
/// Bound   `kRemembered` keys, each 1 KiB with its topic at most; the oldest go.  Thread  one.
class PublishKeys {
public:
    static constexpr std::size_t kRemembered = 10'000;

    /// Whether another message went to this topic under this key.
    [[nodiscard]] bool is_other(std::string_view topic, std::string_view key,
                                std::string_view payload) const;

    void remember(std::string_view topic, std::string_view key, std::string_view payload);

    /// It did not go.
    void forget(std::string_view topic, std::string_view key);

    [[nodiscard]] std::size_t size() const noexcept { return fingerprints_.size(); }

private:
    std::unordered_map<std::string, std::uint64_t> fingerprints_;  // by topic and key
    std::deque<std::string> order_;  // the oldest first; some are forgotten already
};

}  // namespace spoke::bridge
