#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace rocksdb {
class Env;
}

namespace spoke::broker {

/// The files that hold the records of a database which nobody has open.
struct DatabaseFiles {
    std::string database{};             // its directory, where its logs are
    std::vector<std::string> tables{};  // paths
};

/// The tables that its manifest names, or, where that is not to be trusted, every table file that
/// lies in the directory.
[[nodiscard]] rocksdb::Status find_files(rocksdb::Env& env, std::string const& database,
                                         DatabaseFiles& files);

/// One change of a record, as it stands in a table or log.
struct FileChange {
    std::string_view key{};    // until the visitor returns
    std::string_view value{};  // empty for a removal
    std::uint64_t sequence = 0;
    bool is_removal = false;
    bool is_proven = false;  // see TableEntry
};

/// Tables that could not be read whole.
struct DamagedTables {
    std::vector<std::string> paths{};
    std::uint64_t pieces = 0;  // from which nothing could be read
};

/// Visits every change in the files, in no order between files, with no regard to what is newer.
/// A table that is not there has no changes.
/// Memory  the largest table.  Errors  of reading; damage is none.
[[nodiscard]] rocksdb::Status visit_changes(rocksdb::Env& env, DatabaseFiles const& files,
                                            std::function<void(FileChange const&)> const& visit,
                                            DamagedTables& damaged);

}  // namespace spoke::broker
