#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "broker/auth/file_watch.hpp"
#include "broker/auth/reloadable.hpp"
#include "protocol/base/log_level.hpp"

namespace spoke::broker {

/// Something that is read from files, and read again when one of them has changed.
struct ReloadItem {
    std::vector<std::string> paths;  // for a certificate: with its key
    /// nullopt: the new content holds. Else what is wrong; the old content still holds.
    std::function<std::optional<std::string>()> reload;
};

/// `file` outlives the item.
template <class T>
[[nodiscard]] ReloadItem reload_item(Reloadable<T>& file) {
    return {{file.path()}, [&file]() -> std::optional<std::string> {
                auto error = file.reload();
                if (!error) return std::nullopt;
                return error->text();
            }};
}

/// Reads items again when their files change, and all of them when asked to. Owns a thread. Says in
/// the log what it has done and what it could not do. One reload at a time.
class Reloads {
public:
    using Log = std::function<void(LogLevel level, std::string const& text)>;

    /// Reads all items once more when it has begun to watch: what has changed since they were read
    /// for the first time is not missed.
    /// Errors  std::system_error if the system has no inotify instance left.
    Reloads(std::vector<ReloadItem> items, Log log, FileWatchSettings settings = {});
    Reloads(Reloads const&) = delete;
    Reloads& operator=(Reloads const&) = delete;

    /// For SIGHUP. Any thread.
    void reload_all();

private:
    void reload_changed(std::vector<std::string> const& paths);
    void reload(ReloadItem const& item, LogLevel success);

    std::vector<ReloadItem> items_;
    Log log_;
    std::mutex mutex_;
    std::unique_ptr<FileWatch> watch_;  // the last member: ends before what it calls
};

}  // namespace spoke::broker
