#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "broker/auth/acl_file.hpp"
#include "broker/auth/reloadable.hpp"
#include "broker/core/ports/authorizer.hpp"

namespace spoke::broker {

/// Gives the rights that an ACL file grants, and new ones when it is reloaded. Any thread.
class FileAuthorizer final : public Authorizer {
public:
    /// `rules` outlives this.
    explicit FileAuthorizer(Reloadable<AclFile> const& rules) : rules_(rules) {}

    [[nodiscard]] std::shared_ptr<Access const> access_of(
        std::string_view client_id, std::optional<std::string_view> user_name) const override {
        return rules_.snapshot()->access_of(client_id, user_name);
    }

    [[nodiscard]] std::uint64_t generation() const noexcept override { return rules_.generation(); }

private:
    Reloadable<AclFile> const& rules_;
};

}  // namespace spoke::broker
