#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "bridge/event/event.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// Whether this can be the name of an inbox: 1 to 128 bytes, without '/', '+', '#' and control
/// characters.
[[nodiscard]] bool is_inbox_name(std::string_view who) noexcept;

/// "u/7777/in"
[[nodiscard]] std::string topic_of_inbox(std::string_view who);

/// The inbox whose topic this is; nullopt if it is none.
[[nodiscard]] std::optional<std::string_view> inbox_of(std::string_view topic) noexcept;

/// Types of the events that the bridge itself records in the topic of an inbox.
inline constexpr std::string_view kReadType = "read";
inline constexpr std::string_view kExpiredType = "expired";

/// Whether the event is the bridge's word on the inbox, not a message in it.
[[nodiscard]] bool is_notice(Event const& event) noexcept;

/// What is unread in one inbox: a message of its topic that is behind the mark, has not expired,
/// and has no newer one of its collapse key. The same events give the same state, whether they come
/// one by one or are read again from the log.
/// Bound   `unread_max` unread messages, the oldest at most `behind_max` events old: the mark moves
///         on beyond it, so that reading the log again has an end.
class Inbox {
public:
    struct Limits {
        std::size_t unread_max = 10'000;
        std::size_t behind_max = 100'000;
    };

    struct Message {
        std::uint64_t n = 0;
        std::string type{};
        std::string collapse{};
        std::optional<WallTime> expires_at{};
    };
    using Messages = std::map<std::uint64_t, Message>;  // by offset

    Inbox(Limits limits, std::uint64_t mark) : limits_(limits), mark_(mark) {}

    /// The next event of the topic. One that is not behind the last has no effect.
    void add(Event const& event);

    /// Everything up to there is read. Never goes back.
    void read_upto(std::uint64_t offset);

    /// The log has nothing of this topic up to there any more.
    /// Out     whether something unread went.
    bool remove_upto(std::uint64_t offset);

    /// Takes out what has expired.
    void expire(WallTime now);

    /// When the next one expires.
    [[nodiscard]] std::optional<WallTime> next_expiry() const;

    /// Something has expired since the bridge's last word.
    [[nodiscard]] bool has_untold() const noexcept { return last_expired_ > told_until_; }
    [[nodiscard]] WallTime last_expired() const noexcept { return last_expired_; }

    [[nodiscard]] Messages const& messages() const noexcept { return messages_; }
    [[nodiscard]] std::map<std::string, std::uint64_t> const& by_type() const noexcept {
        return by_type_;
    }
    [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }

    /// The last event, or the mark if there is none behind it.
    [[nodiscard]] std::uint64_t cursor() const noexcept { return last_ > mark_ ? last_ : mark_; }

    /// The number of the last event; 0: there was none behind the mark.
    [[nodiscard]] std::uint64_t last_n() const noexcept { return last_n_; }

    /// Where the mark can be put so that nothing changes but the log behind it is short; nullopt if
    /// that is not worth a write.
    [[nodiscard]] std::optional<std::uint64_t> wished_mark() const;
    void note_mark_kept();

    /// Memory, about.
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    void erase(Messages::iterator at);
    void take_out_excess();

    Limits limits_;
    std::uint64_t mark_;
    std::uint64_t last_ = 0;         // offset of the last event
    std::uint64_t last_n_ = 0;       // and its number
    std::uint64_t kept_mark_n_ = 0;  // number of the last event before the mark that is stored
    bool is_mark_moved_ = false;     // by the bounds
    Messages messages_;
    std::unordered_map<std::string, std::uint64_t> by_collapse_;  // the newest, if it is unread
    std::set<std::pair<WallTime, std::uint64_t>> by_expiry_;
    std::map<std::string, std::uint64_t> by_type_;
    std::size_t text_bytes_ = 0;
    WallTime last_expired_ = WallTime::min();
    WallTime told_until_ = WallTime::min();
};

}  // namespace spoke::bridge
