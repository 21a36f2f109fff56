#include <rocksdb/file_system.h>

#include <fmt/format.h>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "broker/storage/format_file.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/store_directory.hpp"
#include "tests/fault/disk/fault_file_system.hpp"
#include "tests/fault/disk/volatile_disk.hpp"
#include "tests/support/seed.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/damaged_store.hpp"
#include "tests/unit/broker/storage/known_store.hpp"
#include "tests/unit/broker/storage/step_env.hpp"
#include "tests/unit/broker/storage/used_env.hpp"

namespace spoke::test {
namespace {

using namespace broker;
namespace fs = std::filesystem;

/// What ends the work of a store at any point.
enum class Cut { kill, power_loss };
std::ostream& operator<<(std::ostream& out, Cut cut) {
    return out << (cut == Cut::kill ? "kill" : "power loss");
}

/// Keeps copies of a directory as it would be found if the process, or the power, had ended at
/// each of the steps in which something is done to it.
class Snapshots {
public:
    Snapshots(std::string directory, Cut cut, std::uint64_t seed)
        : directory_(std::move(directory)), random_(seed) {
        auto below = rocksdb::FileSystem::Default();
        if (cut == Cut::power_loss) {
            auto temper = fault::Temper::from_seed(seed);
            temper.sync_us_max = 0;
            disk_ = std::make_shared<fault::VolatileDisk>(seed, temper);
            below = std::make_shared<fault::FaultFileSystem>(disk_, fault::DiskFaults{""});
        }
        env_ = make_step_env(below, [this] { take(); });
    }

    /// All steps are counted, some of them are kept.
    void watch(std::function<void()> const& work) {
        UsedEnv used{*env_};
        work();
    }
    [[nodiscard]] std::vector<std::string> const& taken() const { return taken_; }
    [[nodiscard]] int steps() const { return steps_; }

private:
    void take() {
        ++steps_;
        if (random_() % 5 != 0) return;
        std::unique_lock<std::mutex> frozen;
        if (disk_) frozen = disk_->freeze();
        auto const copy = folder_ / std::to_string(steps_);
        fs::copy(directory_, copy, fs::copy_options::recursive);
        taken_.push_back(copy);
    }

    std::string directory_;
    std::mt19937_64 random_;
    TempFolder folder_{};
    std::shared_ptr<fault::VolatileDisk> disk_{};
    std::unique_ptr<rocksdb::Env> env_{};
    std::vector<std::string> taken_{};
    int steps_ = 0;
};

/// Opens the store; cut off at any step, it must come to the same records when it is opened anew.
void check_cuts(std::string const& directory, Cut cut, int steps_min,
                Upgrades const& upgrades = known_upgrades()) {
    auto const seed = seed_or(static_cast<std::uint64_t>(cut) + 7);
    INFO("SPOKE_SEED=" << seed << ", " << cut);
    Snapshots snapshots{directory, cut, seed};
    Records records;
    snapshots.watch([&] {
        StoreLines lines;
        StoreDirectory opened{settings_for(directory, lines), upgrades};
        records = records_in(opened);
    });
    CHECK(snapshots.steps() >= steps_min);
    auto const hasty = make_hasty_env();
    UsedEnv const used{*hasty};
    for (auto const& copy : snapshots.taken()) {
        StoreLines lines;
        StoreDirectory opened{settings_for(copy, lines), upgrades};
        INFO(copy << "\n" << lines.from(LogLevel::info));
        CHECK(records_in(opened) == records);
    }
}

TEST_CASE("Cut off: a store that is made", "[cut_off]") {
    auto const cut = GENERATE(Cut::kill, Cut::power_loss);
    TempFolder folder;
    auto const directory = folder / "store";
    fs::create_directory(directory);
    check_cuts(directory, cut, 15);
}

TEST_CASE("Cut off: a sound store that is opened", "[cut_off]") {
    auto const cut = GENERATE(Cut::kill, Cut::power_loss);
    DamagedStore store;
    check_cuts(store.directory(), cut, 15);
}

TEST_CASE("Cut off: a log that is mended", "[cut_off]") {
    auto const cut = GENERATE(Cut::kill, Cut::power_loss);
    DamagedStore store;
    for (auto const& name : store.files()) {
        if (!is_wal(name)) continue;
        auto bytes = store.file(name);
        for (auto at : {bytes.size() / 4, bytes.size() / 2})
            bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
        store.put(name, bytes);
    }
    check_cuts(store.directory(), cut, 20);
}

TEST_CASE("Cut off: a database that is made anew", "[cut_off]") {
    auto const cut = GENERATE(Cut::kill, Cut::power_loss);
    auto const damage = GENERATE(as<std::string>{}, "no CURRENT", "a table, met while it is read");
    DamagedStore store;
    for (auto const& name : store.files()) {
        if (damage == "no CURRENT" && name.ends_with("CURRENT")) store.remove(name);
        if (damage == "no CURRENT" || !is_table(name)) continue;
        auto bytes = store.file(name);
        bytes[100] = static_cast<char>(bytes[100] ^ 0x10);
        store.put(name, bytes);
    }
    INFO(damage);
    check_cuts(store.directory(), cut, 40);
}

TEST_CASE("Cut off: a store that is brought up to date", "[cut_off]") {
    auto const cut = GENERATE(Cut::kill, Cut::power_loss);
    DamagedStore store;
    auto const key = meta_key(MetaField::format_version);
    {
        StoreLines lines;
        StoreDirectory opened{settings_for(store.directory(), lines)};
        std::string value;
        encode_meta(key, 0, value);
        REQUIRE(opened.get()->Put({}, key, value).ok());
    }
    std::ofstream{store.directory() + "/FORMAT"} << format_file_text(0);
    Upgrades const upgrades{{0,
                             [](rocksdb::DB& database) {
                                 // Version 0 did not know session 1.
                                 return database.Delete({}, session_key(SessionNumber{1}));
                             }},
                            *known_upgrades().find(1)};
    check_cuts(store.directory(), cut, 15, upgrades);
}

}  // namespace
}  // namespace spoke::test
