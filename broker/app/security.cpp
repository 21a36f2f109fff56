#include "broker/app/security.hpp"

#include "broker/auth/open_files.hpp"
#include "broker/config/config.hpp"

namespace spoke::broker {

Security::Security(Config const& config)
    : config_(config), pool_(HashPool::Settings{config.auth.threads, config.auth.pending_max}) {}

Security::~Security() = default;

template <class T, class Open>
Reloadable<T>* Security::file(Files<T>& files, std::string const& path, Open open) {
    if (path.empty()) return nullptr;
    auto& place = files[path];
    if (!place) place = open(path);
    return place.get();
}

void Security::put_into(LinkSettings& settings, ListenerConfig const& listener) {
    auto const& all = config_.auth;
    auto* passwords = file(passwords_, listener.auth.password_file.value_or(all.password_file),
                           [](auto path) { return open_password_file(path); });
    auto* scram = file(scram_, listener.auth.scram_file.value_or(all.scram_file),
                       [](auto path) { return open_scram_file(path); });
    auto* rules = file(rules_, listener.auth.acl_file.value_or(all.acl_file),
                       [](auto path) { return open_acl_file(path); });
    bool anonymous = allows_anonymous(listener, all);
    // With rules a user name must be proved, or anyone could take the rights of another.
    if (passwords != nullptr || scram != nullptr || rules != nullptr || !anonymous) {
        FileAuthenticator::Sources sources{anonymous, passwords, scram, &pool_};
        authenticators_.push_back(std::make_unique<FileAuthenticator>(sources));
        settings.authenticator = authenticators_.back().get();
    }
    if (rules == nullptr) return;
    auto& authorizer = authorizers_[rules];
    if (!authorizer) authorizer = std::make_unique<FileAuthorizer>(*rules);
    settings.authorizer = authorizer.get();
}

std::vector<ReloadItem> Security::reload_items() {
    std::vector<ReloadItem> items;
    for (auto& [path, file] : passwords_) items.push_back(reload_item(*file));
    for (auto& [path, file] : scram_) items.push_back(reload_item(*file));
    for (auto& [path, file] : rules_) items.push_back(reload_item(*file));
    return items;
}

void Security::stop() {
    pool_.stop();
}

}  // namespace spoke::broker
