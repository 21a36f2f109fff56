#include "tests/fault/disk/fault_file_system.hpp"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "tests/support/seed.hpp"
#include "tests/support/temp_folder.hpp"

using namespace spoke::fault;
using spoke::test::TempFolder;

namespace {

/// RocksDB on a disk whose power can be cut.
class Database {
public:
    Database(std::string path, std::uint64_t seed, std::string faults = {})
        : path_{std::move(path)},
          disk_{std::make_shared<VolatileDisk>(seed, Temper::from_seed(seed))},
          env_{rocksdb::NewCompositeEnv(
              std::make_shared<FaultFileSystem>(disk_, DiskFaults{std::move(faults)}))} {
        options_.env = env_.get();
        options_.create_if_missing = true;
        options_.write_buffer_size = 64U << 10;  // so that tables are written too
        options_.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
        rocksdb::DB* opened = nullptr;
        auto status = rocksdb::DB::Open(options_, path_, &opened);
        INFO(status.ToString());
        REQUIRE(status.ok());
        database_.reset(opened);
    }

    rocksdb::Status put(std::uint64_t number, bool sync) {
        rocksdb::WriteOptions options;
        options.sync = sync;
        return database_->Put(options, key(number), std::string(100 + number % 900, 'v'));
    }
    /// How many of the keys from 0 on are there; the rest must not be.
    std::uint64_t count(std::uint64_t end) {
        std::string value;
        std::uint64_t found = 0;
        while (found < end && database_->Get({}, key(found), &value).ok()) ++found;
        for (auto number = found; number < end; ++number)
            REQUIRE(database_->Get({}, key(number), &value).IsNotFound());
        return found;
    }

    /// Puts what a power cut leaves right now into another folder.
    void cut_power(std::string const& to) {
        auto frozen = disk_->freeze();
        std::filesystem::remove_all(to);
        std::filesystem::copy(path_, to);
    }

private:
    static std::string key(std::uint64_t number) { return "key" + std::to_string(number); }

    std::string path_;
    std::shared_ptr<VolatileDisk> disk_;
    std::unique_ptr<rocksdb::Env> env_;
    rocksdb::Options options_{};
    std::unique_ptr<rocksdb::DB> database_{};
};

}  // namespace

TEST_CASE("fault file system: RocksDB has each synced write after a power cut, and no gap",
          "[fault]") {
    auto first = spoke::test::seed_or(20261126);
    std::mt19937_64 random{first};
    for (std::uint64_t round = 0; round < 12; ++round) {
        TempFolder folder;
        auto living = folder / "living";
        auto found = folder / "found";
        Database database{living, first + round};
        std::uint64_t written = 0;
        std::uint64_t synced = 0;
        for (int step = 0; step < 5; ++step) {
            for (auto count = random() % 100; count > 0; --count) {
                bool sync = random() % 4 == 0;
                REQUIRE(database.put(written++, sync).ok());
                if (sync) synced = written;
            }
            database.cut_power(found);
            auto there = Database{found, first}.count(written);
            INFO("seed " << first + round << ", written " << written);
            REQUIRE(there >= synced);
        }
    }
}

TEST_CASE("fault file system: a disk without syncs loses writes", "[fault]") {
    TempFolder folder;
    Database database{folder / "living", 1};  // lets a little through early, or nothing
    for (std::uint64_t number = 0; number < 20; ++number) REQUIRE(database.put(number, false).ok());
    database.cut_power(folder / "found");
    REQUIRE(Database{folder / "found", 1}.count(20) < 20);
}

TEST_CASE("fault file system: fails as it is told, for as long as it is told", "[fault]") {
    auto [line, is_no_space] =
        GENERATE(table<std::string, bool>({{"write ENOSPC", true},
                                           {"write EIO", false},
                                           {"sync EIO", false},
                                           {"write,sync,name EROFS", false}}));
    TempFolder folder;
    auto faults = folder.write("faults", "");
    {
        Database database{folder / "living", 1, faults};
        REQUIRE(database.put(0, true).ok());
        folder.write("faults", line);
        auto status = database.put(1, true);
        INFO(line << ": " << status.ToString());
        REQUIRE_FALSE(status.ok());
        REQUIRE(status.IsNoSpace() == is_no_space);
        folder.write("faults", "");
    }
    Database again{folder / "living", 1, faults};
    REQUIRE(again.count(1) == 1);
    REQUIRE(again.put(2, true).ok());
}
