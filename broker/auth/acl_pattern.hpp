#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/auth/acl_rules.hpp"

namespace spoke::broker {

/// Who the names in a pattern are.
struct AclNames {
    std::string_view client_id;                 // %c
    std::optional<std::string_view> user_name;  // %u
};

/// Whether the pattern's filter holds %c or %u.
[[nodiscard]] bool has_names(std::string_view pattern) noexcept;

/// Adds to `rules` what the pattern means for one client, which may be nothing; see AclFile.
void fill_in(AclWord word, std::string_view pattern, AclNames const& names, AclRules& rules);

}  // namespace spoke::broker
