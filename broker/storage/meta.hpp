#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <optional>
#include <string>

namespace rocksdb {
class DB;
class Env;
}  // namespace rocksdb

namespace spoke::broker {

/// Writes those meta records that are missing or damaged: all of them for a new store. Marks behind
/// which numbers are free are set behind every number that is in use, so that none is given twice.
/// `version`: of the records, if none of them says so.
[[nodiscard]] rocksdb::Status complete_meta(rocksdb::DB& database, std::uint64_t version);

/// What the files of a database that nobody has open say its format is.
[[nodiscard]] std::optional<std::uint64_t> format_version_of_records(rocksdb::Env& env,
                                                                     std::string const& database);

}  // namespace spoke::broker
