#pragma once

#include <memory>
#include <string>

#include "broker/auth/acl_file.hpp"
#include "broker/auth/password_file.hpp"
#include "broker/auth/reloadable.hpp"
#include "broker/auth/scram_file.hpp"

namespace spoke::broker {

// The files of users and rules, read for the first time.
// Errors  std::runtime_error with the file, the line and what is wrong.

[[nodiscard]] std::unique_ptr<Reloadable<PasswordFile>> open_password_file(
    std::string path, PasswordLimits const& limits = {});

[[nodiscard]] std::unique_ptr<Reloadable<AclFile>> open_acl_file(std::string path,
                                                                 AclLimits const& limits = {});

/// The secret that ScramFile needs is made here: it holds while the object lives.
[[nodiscard]] std::unique_ptr<Reloadable<ScramFile>> open_scram_file(
    std::string path, ScramLimits const& limits = {});

}  // namespace spoke::broker
