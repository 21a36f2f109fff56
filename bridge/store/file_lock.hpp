#pragma once

#include <string>

namespace spoke::bridge {

/// Holds `path` for this process, as long as it lives: two bridges must not write one store. The
/// lock is a file of its own beside the store, `path` and "-lock", with the process id in it; it
/// stays behind and means nothing without the process.
class FileLock {
public:
    /// Errors  std::runtime_error, one line with the path and who has it, or why it cannot be made.
    explicit FileLock(std::string const& path);
    ~FileLock();
    FileLock(FileLock const&) = delete;
    FileLock& operator=(FileLock const&) = delete;

private:
    int file_;
};

}  // namespace spoke::bridge
