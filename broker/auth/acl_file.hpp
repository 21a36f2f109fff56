#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/auth/acl_rules.hpp"
#include "broker/auth/file_error.hpp"
#include "broker/core/ports/authorizer.hpp"

namespace spoke::broker {

/// What one client may do, worked out once when it connects. Immutable; any thread.
/// A topic that a deny filter matches is denied, whatever grants it; else it is granted if some
/// filter grants it; else denied.
class AclAccess final : public Access {
public:
    /// What holds for the client: the rules of its user, the patterns that are the same for all,
    /// and the patterns filled in for it. The first two may be shared; no pointer is null.
    AclAccess(std::shared_ptr<AclRules const> user, std::shared_ptr<AclRules const> common,
              AclRules own);

    /// Cost O(rules x length of the topic), no allocation. In: a valid topic name.
    [[nodiscard]] bool may_publish(std::string_view topic) const noexcept override;
    [[nodiscard]] bool may_receive(std::string_view topic) const noexcept override;

    /// Whether some topic that the filter matches may be received: it has topics in common with a
    /// read grant, and no single deny filter covers all of these. What several deny filters cover
    /// together is found at delivery, where every message is asked for with may_receive().
    /// In: a valid filter, without `$share/NAME/`. Cost O(grants x denials x length).
    [[nodiscard]] bool may_subscribe(std::string_view filter) const override;

private:
    [[nodiscard]] bool is_denied(std::string_view topic) const noexcept;
    [[nodiscard]] bool is_covered_by_denial(std::string_view filter) const noexcept;
    [[nodiscard]] std::array<AclRules const*, 3> parts() const noexcept;

    std::shared_ptr<AclRules const> user_;
    std::shared_ptr<AclRules const> common_;
    AclRules own_;
};

struct AclLimits {
    std::size_t bytes_max = 16U << 20;
    std::size_t rules_max = 100'000;
};

/// An access control list in mosquitto's format, read whole. Immutable; any thread.
///
///     # before any `user` line: for clients without a user name
///     topic read news/#
///     user bob
///     topic [read|write|readwrite|deny] FILTER      (readwrite)
///     pattern [read|write|readwrite|deny] FILTER    (for all clients; %c client id, %u user name)
///
/// Blank lines and lines that begin with '#' say nothing. A filter may hold blanks if an access
/// word stands before it. An empty file denies everything.
///
/// A pattern grants nothing to a client whose name cannot be put into it: one without a user name
/// (for %u), an empty name, one that holds '+', '#' or '/', and one that begins with '$' where it
/// would be the beginning of the filter. A deny pattern with such a name denies what it could deny
/// to anyone: '+' stands for each level with a name in it. Without a user name a deny pattern with
/// %u says nothing.
class AclFile {
public:
    /// Errors  the first line that is wrong; too many bytes or rules.
    [[nodiscard]] static FileResult<AclFile> parse(std::string_view text, std::string_view name,
                                                   AclLimits const& limits = {});

    /// Never null. Clients for which no pattern needs filling in share one object per user.
    [[nodiscard]] std::shared_ptr<AclAccess const> access_of(
        std::string_view client_id, std::optional<std::string_view> user_name) const;

    [[nodiscard]] std::size_t rules() const noexcept { return rules_; }

private:
    struct Pattern {
        AclWord word;
        std::string filter;
    };
    struct User {
        std::shared_ptr<AclRules const> rules;
        std::shared_ptr<AclAccess const> access;  // when there is nothing to fill in
    };
    class Parser;

    AclFile() = default;

    User anonymous_;
    User unlisted_;  // a user name that the file does not know
    std::map<std::string, User, std::less<>> users_;
    std::shared_ptr<AclRules const> common_;
    std::vector<Pattern> patterns_;  // those with %c or %u
    std::size_t rules_ = 0;
};

}  // namespace spoke::broker
