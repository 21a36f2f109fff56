#pragma once

#include <cstdint>
#include <string>

namespace spoke::fault {

enum class DiskAction : std::uint8_t { write, sync, name, read };

/// Which actions a disk refuses now, and with which error. It is told by a file that a test
/// replaces as it goes: one line with the actions (write, sync, name: to make, rename or remove a
/// file, read) and one of ENOSPC, EIO, EROFS, e.g. `write,name ENOSPC`. Nothing fails while the
/// file is empty or not there.
class DiskFaults {
public:
    /// Empty path: nothing ever fails.
    explicit DiskFaults(std::string path) : path_{std::move(path)} {}

    /// The errno that the action fails with now, 0 if it does not. Any thread.
    [[nodiscard]] int error_of(DiskAction action) const;

private:
    std::string path_;
};

}  // namespace spoke::fault
