#pragma once

#include <optional>
#include <string_view>

namespace spoke::mqtt {

/// Whether `name` may stand in PUBLISH: 1..65535 bytes, no wildcard (4.7.1, 4.7.3). UTF-8 is the
/// codec's check.
[[nodiscard]] bool is_valid_topic_name(std::string_view name) noexcept;

/// Whether `name` is a topic name of ASCII characters and holds no NUL: valid in every respect,
/// decided in one pass. False says nothing: ask is_valid_utf8() and is_valid_topic_name().
[[nodiscard]] bool is_ascii_topic_name(std::string_view name) noexcept;

/// Whether `filter` is a well-formed topic filter: 1..65535 bytes, '#' alone or last behind '/'
/// [MQTT-4.7.1-1],
/// '+' alone in its level [MQTT-4.7.1-2]. Takes no notice of $share.
[[nodiscard]] bool is_valid_topic_filter(std::string_view filter) noexcept;

/// Whether `name` matches `filter`, both valid (4.7). Wildcards in the first level do not match
/// names that begin with '$' [MQTT-4.7.2-1]. Cost O(length). The reference which the index is
/// tested against.
[[nodiscard]] bool matches(std::string_view filter, std::string_view name) noexcept;

/// `$share/NAME/FILTER` (MQTT 5, 4.8.2).
struct SharedFilter {
    std::string_view share_name;
    std::string_view filter;
};

/// Whether `filter` begins with "$share/" (or is "$share") and so must be a shared subscription.
[[nodiscard]] bool is_shared(std::string_view filter) noexcept;

/// The parts of a shared filter; nullopt if the share name is empty or holds '+', '#', or no valid
/// filter follows [MQTT-4.8.2-1] [MQTT-4.8.2-2]. Views into the argument.
[[nodiscard]] std::optional<SharedFilter> parse_shared(std::string_view filter) noexcept;

/// Walks the levels of a topic or filter from the left; a topic always has at least one, perhaps
/// empty, level.
class Levels {
public:
    explicit constexpr Levels(std::string_view topic) noexcept : rest_(topic) {}

    /// The next level without its '/', or nullopt behind the last.
    [[nodiscard]] constexpr std::optional<std::string_view> next() noexcept {
        if (done_) return std::nullopt;
        auto slash = rest_.find('/');
        auto level = rest_.substr(0, slash);
        if (slash == std::string_view::npos) {
            done_ = true;
        } else {
            rest_.remove_prefix(slash + 1);
        }
        return level;
    }

private:
    std::string_view rest_;
    bool done_ = false;
};

}  // namespace spoke::mqtt
