#pragma once

#include <rocksdb/status.h>

#include <cstdint>
#include <functional>
#include <map>

namespace rocksdb {
class DB;
}

namespace spoke::broker {

/// Turns the records of a store of one version of the format into those of the next. May be cut
/// off anywhere and is then called again, so what it has done already must not disturb it.
using Upgrade = std::function<rocksdb::Status(rocksdb::DB& database)>;

/// From which version it leads to the next. FORMAT.md has a section for each.
using Upgrades = std::map<std::uint64_t, Upgrade>;

/// Those that there are.
[[nodiscard]] Upgrades const& known_upgrades();

}  // namespace spoke::broker
