// The Env of spoke-broker-fault: with SPOKE_POWER_LOSS=SEED in the environment, SIGKILL loses what
// was not synced; SPOKE_DISK_FAULTS=FILE names the file that says which actions fail now.

#include <rocksdb/env.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "broker/storage/store_env.hpp"
#include "tests/fault/disk/disk_faults.hpp"
#include "tests/fault/disk/fault_file_system.hpp"
#include "tests/fault/disk/volatile_disk.hpp"

namespace spoke::broker {
namespace {

std::string from_environment(char const* name) {
    auto const* value = std::getenv(name);
    return value ? value : "";
}

/// Keeps both for as long as the process lives: RocksDB's threads use them to the last.
struct FaultEnv {
    std::shared_ptr<fault::VolatileDisk> disk;
    std::unique_ptr<rocksdb::Env> env;
};

FaultEnv& fault_env(std::uint64_t seed) {
    static auto* made = [seed] {
        auto* fresh = new FaultEnv;
        fresh->disk = std::make_shared<fault::VolatileDisk>(seed, fault::Temper::from_seed(seed));
        fresh->env = rocksdb::NewCompositeEnv(std::make_shared<fault::FaultFileSystem>(
            fresh->disk, fault::DiskFaults{from_environment("SPOKE_DISK_FAULTS")}));
        // Who ends in peace leaves a disk that has everything.
        std::atexit([] { fault_env(0).disk->write_all(); });
        return fresh;
    }();
    return *made;
}

}  // namespace

rocksdb::Env* store_env() {
    auto seed = from_environment("SPOKE_POWER_LOSS");
    if (seed.empty() && from_environment("SPOKE_DISK_FAULTS").empty())
        return rocksdb::Env::Default();
    return fault_env(seed.empty() ? 0 : std::stoull(seed)).env.get();
}

}  // namespace spoke::broker
