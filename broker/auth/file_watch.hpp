#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace spoke::broker {

struct FileWatchSettings {
    /// A burst of changes is told once it has been quiet for so long ...
    std::chrono::milliseconds quiet{100};
    /// ... but at the latest so long after it began.
    std::chrono::milliseconds burst_max{2'000};
    /// Called with a text for the log when a folder or file on the way cannot be watched, so that
    /// its changes may go unseen; once as long as it stays so. On the watch's thread, or in the
    /// constructor. May be empty.
    std::function<void(std::string const& what)> failed{};
};

/// Tells when files may have new content: written in place, replaced by a rename, or reached
/// through a symlink (anywhere in the path) that now leads elsewhere. Owns a thread.
class FileWatch {
public:
    /// Called on the watch's thread with those of the paths, as they were given, whose file is
    /// another or was changed (also: has gone). Must not throw.
    using Changed = std::function<void(std::vector<std::string> const& paths)>;

    /// Tells changes from the moment on when the constructor returns: files that were read before
    /// may have changed before. A path need not exist.
    /// Errors  std::system_error if the system has no inotify instance left.
    FileWatch(std::vector<std::string> paths, Changed changed,
              FileWatchSettings const& settings = {});
    ~FileWatch();  // awaits a running `changed`
    FileWatch(FileWatch const&) = delete;
    FileWatch& operator=(FileWatch const&) = delete;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace spoke::broker
