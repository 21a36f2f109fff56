#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "broker/auth/hash_pool.hpp"
#include "broker/auth/password_file.hpp"
#include "broker/auth/reloadable.hpp"
#include "broker/auth/scram_file.hpp"
#include "broker/core/ports/authenticator.hpp"

namespace spoke::broker {

/// Judges clients by the user files of a listener. Any thread.
///
/// | user name and password     | verdict                                                        |
/// |----------------------------|----------------------------------------------------------------|
/// | shown by the transport     | success                                                        |
/// | neither                    | success if anonymous clients are allowed, else not authorized  |
/// | one without the other      | bad user name or password                                      |
/// | both, no password file     | bad user name or password: a name that nobody checks is none   |
/// | both                       | what the file says; server busy if too many checks wait        |
class FileAuthenticator final : public Authenticator {
public:
    /// Everything pointed to outlives this and its exchanges. Null: there is no such file.
    struct Sources {
        bool allow_anonymous = false;
        Reloadable<PasswordFile> const* passwords = nullptr;
        Reloadable<ScramFile> const* scram = nullptr;
        HashPool* pool = nullptr;  // not null if there are passwords
    };

    explicit FileAuthenticator(Sources const& sources);

    [[nodiscard]] std::optional<AuthVerdict> authenticate(Credentials credentials,
                                                          Done done) override;

    /// Offers SCRAM-SHA-256 if there is a file for it.
    [[nodiscard]] std::unique_ptr<AuthExchange> begin(std::string_view method) override;

private:
    Sources sources_;
};

}  // namespace spoke::broker
