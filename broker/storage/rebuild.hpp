#pragma once

#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "broker/storage/file_changes.hpp"

namespace spoke::broker {

class Quarantine;

struct RebuildResult {
    std::uint64_t records = 0;  // that were kept
    DamagedTables damaged{};
};

/// Makes a database at `target` of what can be read of the files of another: of each key the latest
/// change, of these the records whose own checksum is right; the others go to quarantine. What is
/// at `target` is removed first. The new database is closed, and whole on the disk. Memory  16
/// bytes for each change in the source, the largest table, twice kRebuildMemtable.
[[nodiscard]] rocksdb::Status rebuild(rocksdb::Options const& options, DatabaseFiles const& source,
                                      std::string const& target, Quarantine& quarantine,
                                      RebuildResult& result);

inline constexpr std::size_t kRebuildMemtable = 16U << 20;

}  // namespace spoke::broker
