#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace rocksdb {
class Env;
}

namespace spoke::broker {

/// A piece of a file in RocksDB's log form: write-ahead logs (`NNNNNN.log`) and `MANIFEST-NNNNNN`.
/// Such a file is cut into blocks of 32 KiB; a record lies in one or more fragments, none of which
/// crosses a block, each with checksum, length and type before it.
struct LogPiece {
    enum class Kind : std::uint8_t {
        record,   // whole, every checksum right
        damaged,  // bytes that belong to no whole record; zeros at the end of a file are none
    };
    Kind kind{};
    std::uint64_t offset = 0;  // in the file
    std::uint64_t end = 0;
    std::string_view payload{};  // of a record; until the visitor returns
};

/// What the reader of a file knows about its records.
struct LogForm {
    /// In the name of the file: fragments of a file that was used before carry another one.
    std::uint64_t number = 0;
    /// Where the header of a fragment is damaged, its end is looked for byte by byte, and a payload
    /// that some client made up could look like a record. Says whether `payload` can be one.
    std::function<bool(std::string_view payload)> is_plausible{};
};

/// Visits what is in the file, in order. Unlike RocksDB's own reader, which drops the rest of a
/// block behind the first wrong byte, it goes on behind the fragment that is damaged.
/// Memory  a block and the largest record.
/// Errors  those of reading; damage is none.
[[nodiscard]] rocksdb::Status scan_log(rocksdb::Env& env, std::string const& path,
                                       LogForm const& form,
                                       std::function<void(LogPiece const&)> const& visit);

/// Appends a record to the contents of a log file that is made anew.
void append_log_record(std::string& file, std::string_view payload);

}  // namespace spoke::broker
