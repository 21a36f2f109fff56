#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// When which inbox has something that expires: one time for each, the next.
/// Bound   `inboxes_max`; of one more nobody is told by itself, only when it is looked at.
class Expiries {
public:
    explicit Expiries(std::size_t inboxes_max) : inboxes_max_(inboxes_max) {}

    /// A message at this offset expires then.
    void add(std::string_view who, WallTime when, std::uint64_t offset);

    /// The inbox is known: its next time is this, and no other.
    void set(std::string_view who, std::optional<WallTime> when, std::uint64_t offset);

    /// Takes out one whose time has come.
    [[nodiscard]] std::optional<std::string> take_due(WallTime now);

    [[nodiscard]] std::optional<WallTime> next() const;

    /// Messages before this offset are done with; nullopt if none is waited for.
    [[nodiscard]] std::optional<std::uint64_t> oldest() const;

    [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

private:
    struct Place {
        WallTime when{};
        std::uint64_t offset = 0;
    };
    using ByName = std::map<std::string, Place, std::less<>>;

    void put(ByName::iterator at, Place place);
    void forget(ByName::iterator at);

    std::size_t inboxes_max_;
    ByName by_name_;
    std::set<std::pair<WallTime, std::string_view>> by_time_;         // views of the names
    std::set<std::pair<std::uint64_t, std::string_view>> by_offset_;  // the same
    std::uint64_t refused_ = 0;
};

}  // namespace spoke::bridge
