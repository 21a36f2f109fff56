#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// What a token or key allows. In text, separated by spaces: "devices:read command:unlock
/// publish:shop/#".
struct Scopes {
    bool devices_read = false;
    bool devices_write = false;
    bool audit = false;
    bool admin = false;
    std::vector<std::string> verbs{};    // of "command:<verb>"; "*" stands for all
    std::vector<std::string> filters{};  // of "publish:<filter>"
    std::vector<std::string> events{};   // of "events:<filter>"
    std::vector<std::string> inboxes{};  // of "inbox:<who>"; "*" stands for all
    bool inbox_write = false;            // to put messages into any inbox
    bool is_everything = false;
    friend bool operator==(Scopes const&, Scopes const&) = default;

    [[nodiscard]] bool may_command(std::string_view verb) const noexcept;

    /// Whether a filter covers the topic, by MQTT's rules (4.7).
    [[nodiscard]] bool may_publish(std::string_view topic) const noexcept;

    /// Whether a granted filter covers the filter: every topic in it may be read.
    [[nodiscard]] bool may_read(std::string_view filter) const noexcept;
    [[nodiscard]] bool may_read_inbox(std::string_view who) const noexcept;

    /// Whether everything that `other` allows is allowed here.
    [[nodiscard]] bool include(Scopes const& other) const noexcept;

    [[nodiscard]] static Scopes all();
};

/// Adds one scope. Out: false if there is no such scope; `out` is as it was.
[[nodiscard]] bool add_scope(std::string_view text, Scopes& out);

/// Every form a scope can have, for the help of an error.
[[nodiscard]] std::string_view scope_forms() noexcept;

/// Who asks, and what he may do.
struct Identity {
    std::string by;  // "user:7777", "key:ops", "anonymous"; what the audit trail and records say
    Scopes scopes{};
    std::optional<std::vector<std::string>> devices{};  // the only ones it may see; sorted
    bool is_limited = true;          // by the rate limit; false where the bridge has no keys
    std::optional<WallTime> ends{};  // of the credentials

    [[nodiscard]] bool may_see(std::string_view device) const noexcept;
};

}  // namespace spoke::bridge
