#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rocksdb {
class Env;
}

namespace spoke::broker {

/// Files of a store, through the Env that RocksDB uses for them too. Paths have no '/' at the end.

[[nodiscard]] rocksdb::Status read_file(rocksdb::Env& env, std::string const& path,
                                        std::string& bytes);
/// Makes the file or puts a new one in its place: whole and durable, or as it was before.
[[nodiscard]] rocksdb::Status write_file(rocksdb::Env& env, std::string const& path,
                                         std::string_view bytes);
/// What was made, renamed and removed in the directory is durable.
[[nodiscard]] rocksdb::Status sync_directory(rocksdb::Env& env, std::string const& path);
/// Names in the directory, sorted, without "." and "..".
[[nodiscard]] rocksdb::Status list_directory(rocksdb::Env& env, std::string const& path,
                                             std::vector<std::string>& names);
/// With all that is in it. Good if there is none.
[[nodiscard]] rocksdb::Status remove_tree(rocksdb::Env& env, std::string const& path);
/// Whether it is there, where an error may count as no.
[[nodiscard]] bool exists(rocksdb::Env& env, std::string const& path);
/// The same, where it may not: an error is no answer.
[[nodiscard]] rocksdb::Status look_for(rocksdb::Env& env, std::string const& path, bool& is_there);

/// The number in the name of one of RocksDB's files: "000012.log" with suffix ".log". 0: it is
/// none.
[[nodiscard]] std::uint64_t file_number(std::string_view name, std::string_view suffix);

}  // namespace spoke::broker
