#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/log_scan.hpp"

namespace rocksdb {
class Env;
}

namespace spoke::broker {

class Quarantine;

/// The write-ahead logs of a database, which hold what is not in its tables yet, and its other
/// changes of late.

/// A piece of one of them; a record is what one rocksdb::DB::Write wrote.
struct WalPiece {
    std::string_view path{};
    LogPiece piece{};
    std::uint64_t sequence = 0;  // of the first change of a record
    std::uint32_t count = 0;     // of its changes
};

/// Visits what is in the logs of a database, in order.
[[nodiscard]] rocksdb::Status scan_wals(rocksdb::Env& env, std::string const& database,
                                        std::function<void(WalPiece const&)> const& visit);

struct WalDamage {
    std::uint64_t pieces = 0;          // damaged, and whole records behind them
    std::uint64_t torn_bytes = 0;      // behind the last whole record of all
    std::vector<std::string> files{};  // with damaged pieces
};
[[nodiscard]] rocksdb::Status check_wals(rocksdb::Env& env, std::string const& database,
                                         WalDamage& damage);

/// Before a database is opened: writes logs with damaged pieces anew without these, since RocksDB
/// would drop whole records near them too. The files as they were go to quarantine, where each
/// piece is counted. A torn end is left alone, RocksDB cuts it.
[[nodiscard]] rocksdb::Status repair_wals(rocksdb::Env& env, std::string const& database,
                                          Quarantine& quarantine, WalDamage& damage);

}  // namespace spoke::broker
