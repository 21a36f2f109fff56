#pragma once

#include <stdexcept>
#include <string>

namespace spoke::broker {

/// Why a store cannot be opened: one line that tells an operator what to do.
class StoreError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Holds `DIRECTORY/LOCK`, so that one process at a time has a store. The file stays when the lock
/// is given back, as it is when the process dies; in it stands the process that had it last.
class StoreLock {
public:
    enum class Kind : unsigned char {
        exclusive,  // makes the file if it is not there
        shared,     // with others that only read; changes nothing, and holds nothing if there is
                    // no file
    };
    /// Errors  StoreError: another process has the store, or the directory cannot be written.
    StoreLock(std::string const& directory, Kind kind);
    ~StoreLock();
    StoreLock(StoreLock const&) = delete;
    StoreLock& operator=(StoreLock const&) = delete;

private:
    int descriptor_ = -1;
};

}  // namespace spoke::broker
