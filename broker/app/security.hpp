#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/auth/file_authenticator.hpp"
#include "broker/auth/file_authorizer.hpp"
#include "broker/auth/hash_pool.hpp"
#include "broker/auth/reloadable.hpp"
#include "broker/auth/reloads.hpp"
#include "broker/core/settings.hpp"

namespace spoke::broker {

struct Config;
struct ListenerConfig;

/// Who may connect through which listener and what they may do there: every file of users and
/// rules, read once however many listeners name it, and what judges by them. It outlives the server
/// that uses it; stop() comes before that server's end.
class Security {
public:
    /// Errors  std::runtime_error with the file, the line and what is wrong.
    explicit Security(Config const& config);
    ~Security();
    Security(Security const&) = delete;
    Security& operator=(Security const&) = delete;

    /// What the connections of this listener are judged by.
    void put_into(LinkSettings& settings, ListenerConfig const& listener);

    /// Every file there is, to be read again when it changes. They refer to this.
    [[nodiscard]] std::vector<ReloadItem> reload_items();

    /// No verdict is given any more.
    void stop();

private:
    template <class T>
    using Files = std::map<std::string, std::unique_ptr<Reloadable<T>>>;

    template <class T, class Open>
    [[nodiscard]] Reloadable<T>* file(Files<T>& files, std::string const& path, Open open);

    Config const& config_;
    HashPool pool_;
    Files<PasswordFile> passwords_;
    Files<ScramFile> scram_;
    Files<AclFile> rules_;
    std::vector<std::unique_ptr<FileAuthenticator>> authenticators_;
    std::map<Reloadable<AclFile> const*, std::unique_ptr<FileAuthorizer>> authorizers_;
};

}  // namespace spoke::broker
