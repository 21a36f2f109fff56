#include "broker/storage/upgrade.hpp"

namespace spoke::broker {

Upgrades const& known_upgrades() {
    // Version 2 adds fields to records, which those of version 1 do not have.
    static Upgrades const upgrades{{1, [](rocksdb::DB&) { return rocksdb::Status::OK(); }}};
    return upgrades;
}

}  // namespace spoke::broker
