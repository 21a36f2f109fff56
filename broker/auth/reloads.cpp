#include "broker/auth/reloads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocol/base/escaped.hpp"

namespace spoke::broker {
namespace {

std::vector<std::string> all_paths(std::vector<ReloadItem> const& items) {
    std::vector<std::string> paths;
    for (auto const& item : items) paths.insert(paths.end(), item.paths.begin(), item.paths.end());
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    return paths;
}

std::string names_of(ReloadItem const& item) {
    std::string names;
    for (auto const& path : item.paths) names += (names.empty() ? "" : ", ") + escaped(path);
    return names;
}

}  // namespace

Reloads::Reloads(std::vector<ReloadItem> items, Log log, FileWatchSettings settings)
    : items_(std::move(items)), log_(std::move(log)) {
    settings.failed = [this](std::string const& what) { log_(LogLevel::warning, what); };
    watch_ = std::make_unique<FileWatch>(
        all_paths(items_), [this](auto const& paths) { reload_changed(paths); }, settings);
    std::lock_guard lock{mutex_};
    for (auto const& item : items_) reload(item, LogLevel::debug);
}

void Reloads::reload_all() {
    std::lock_guard lock{mutex_};
    for (auto const& item : items_) reload(item, LogLevel::info);
}

void Reloads::reload_changed(std::vector<std::string> const& paths) {
    auto has_changed = [&paths](std::string const& path) {
        return std::find(paths.begin(), paths.end(), path) != paths.end();
    };
    std::lock_guard lock{mutex_};
    for (auto const& item : items_) {
        if (std::any_of(item.paths.begin(), item.paths.end(), has_changed))
            reload(item, LogLevel::info);
    }
}

void Reloads::reload(ReloadItem const& item, LogLevel success) {
    if (auto error = item.reload()) {
        log_(LogLevel::error, fmt::format("{}; the old content still holds", *error));
    } else {
        log_(success, fmt::format("{} read again", names_of(item)));
    }
}

}  // namespace spoke::broker
