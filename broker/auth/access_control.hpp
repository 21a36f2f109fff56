#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/auth/acl_file.hpp"
#include "broker/auth/file_authenticator.hpp"
#include "broker/auth/file_authorizer.hpp"
#include "broker/auth/hash_pool.hpp"
#include "broker/auth/password_file.hpp"
#include "broker/auth/reloadable.hpp"
#include "broker/auth/reloads.hpp"
#include "broker/auth/scram_file.hpp"

namespace spoke::broker {

/// Who may connect through one listener, and what they may do there. Empty: no such file.
struct AccessSettings {
    bool allow_anonymous = true;
    std::string password_file{};
    std::string scram_file{};
    std::string acl_file{};
};

/// Authenticators and authorizers of all listeners, and what they stand on: each file once, however
/// many listeners name it, and the threads that check passwords. Outlives the shards.
class AccessControl {
public:
    /// Errors  std::runtime_error with file, line and what is wrong.
    AccessControl(std::vector<AccessSettings> const& listeners, HashPool::Settings const& pool);

    /// For the listener of this place in the list. Null: everyone may connect; that is so for
    /// anonymous clients without any file. With an ACL file but none of users, a client that gives
    /// a user name is refused, since nobody could say whether it is its own.
    [[nodiscard]] Authenticator* authenticator(std::size_t listener) const;

    /// Null: everyone may do everything; that is so without an ACL file.
    [[nodiscard]] Authorizer const* authorizer(std::size_t listener) const;

    /// The files, to be read again when they change. The items refer to this object.
    [[nodiscard]] std::vector<ReloadItem> reload_items() const;

    /// No verdict is told after it. Before the shards end.
    void stop();

private:
    template <class T>
    using Files = std::map<std::string, std::unique_ptr<Reloadable<T>>>;

    struct Listener {
        std::unique_ptr<FileAuthenticator> authenticator;
        std::unique_ptr<FileAuthorizer> authorizer;
    };

    [[nodiscard]] Listener make(AccessSettings const& settings);

    Files<PasswordFile> passwords_;
    Files<ScramFile> scram_;
    Files<AclFile> rules_;
    std::unique_ptr<HashPool> pool_;  // null: nothing to check
    std::vector<Listener> listeners_;
};

}  // namespace spoke::broker
