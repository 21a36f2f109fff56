#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <map>
#include <string>

namespace rocksdb {
class Env;
}

namespace spoke::broker {

/// What the file that CURRENT names says a database consists of.
struct Manifest {
    std::map<std::uint64_t, std::uint64_t> tables{};  // number -> size
    std::uint64_t last_sequence = 0;                  // no change in the tables has a higher one
};

/// Reads CURRENT and the manifest it names.
/// Errors  Corruption: these files are missing, damaged, or say what this reader does not know.
[[nodiscard]] rocksdb::Status read_manifest(rocksdb::Env& env, std::string const& database,
                                            Manifest& manifest);

/// Whether the files of a database belong together, before RocksDB opens it, since it removes
/// tables that its manifest does not name: each table that is named is there, as long as it is to
/// be and with a footer that makes sense, and none that is not named holds changes which are
/// nowhere else. That happens when the manifest has lost its end, and with it what the last flush
/// wrote there.
/// Errors  Corruption, with what is wrong; those of reading.
[[nodiscard]] rocksdb::Status check_files(rocksdb::Env& env, std::string const& database);

}  // namespace spoke::broker
