#include "broker/auth/access_control.hpp"

#include <algorithm>
#include <optional>

#include "broker/auth/open_files.hpp"

namespace spoke::broker {
namespace {

/// The file of this path, opened if it is not open yet; null for no path.
template <class Files, class Open>
auto* opened(Files& files, std::string const& path, Open open) {
    if (path.empty()) return static_cast<decltype(open(path).get())>(nullptr);
    auto& file = files[path];
    if (!file) file = open(path);
    return file.get();
}

template <class Files>
void add_items(Files const& files, std::vector<ReloadItem>& items) {
    for (auto const& [path, opened_file] : files) {
        auto* file = opened_file.get();
        items.push_back({{path}, [file]() -> std::optional<std::string> {
                             auto error = file->reload();
                             if (!error) return std::nullopt;
                             return error->text();
                         }});
    }
}

}  // namespace

AccessControl::AccessControl(std::vector<AccessSettings> const& listeners,
                             HashPool::Settings const& pool) {
    auto checks_passwords = [](auto const& settings) { return !settings.password_file.empty(); };
    if (std::any_of(listeners.begin(), listeners.end(), checks_passwords))
        pool_ = std::make_unique<HashPool>(pool);
    for (auto const& settings : listeners) listeners_.push_back(make(settings));
}

AccessControl::Listener AccessControl::make(AccessSettings const& settings) {
    auto open_users = [](auto const& path) { return open_password_file(path); };
    auto open_scram = [](auto const& path) { return open_scram_file(path); };
    auto open_rules = [](auto const& path) { return open_acl_file(path); };
    auto* passwords = opened(passwords_, settings.password_file, open_users);
    auto* scram = opened(scram_, settings.scram_file, open_scram);
    auto* rules = opened(rules_, settings.acl_file, open_rules);
    Listener listener;
    if (!settings.allow_anonymous || passwords || scram || rules)
        listener.authenticator = std::make_unique<FileAuthenticator>(
            FileAuthenticator::Sources{settings.allow_anonymous, passwords, scram, pool_.get()});
    if (rules) listener.authorizer = std::make_unique<FileAuthorizer>(*rules);
    return listener;
}

Authenticator* AccessControl::authenticator(std::size_t listener) const {
    return listeners_.at(listener).authenticator.get();
}

Authorizer const* AccessControl::authorizer(std::size_t listener) const {
    return listeners_.at(listener).authorizer.get();
}

std::vector<ReloadItem> AccessControl::reload_items() const {
    std::vector<ReloadItem> items;
    add_items(passwords_, items);
    add_items(scram_, items);
    add_items(rules_, items);
    return items;
}

void AccessControl::stop() {
    if (pool_) pool_->stop();
}

}  // namespace spoke::broker
