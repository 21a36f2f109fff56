#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "broker/storage/records.hpp"
#include "broker/storage/store_directory.hpp"
#include "tests/support/seed.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/damaged_store.hpp"
#include "tests/unit/broker/storage/known_store.hpp"
#include "tests/unit/broker/storage/used_env.hpp"

namespace spoke::test {
namespace {

using namespace broker;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

/// How many of the known records are in a file: the stores of the test have four parts, of which
/// two are in one table each and two in the log.
std::size_t records_in_file(DamagedStore const& store, std::string_view name) {
    if (is_table(name)) return store.records().size() / 4 + 20;
    return is_wal(name) ? store.records().size() / 2 + 20 : 0;
}

TEST_CASE("Recovery: a bit flips in any file, and all but what it was in is served", "[recovery]") {
    auto const seed = seed_or(1);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    DamagedStore store;
    store.for_each_file(6, [&](std::string const& name, std::string bytes, int) {
        auto const at = random() % bytes.size();
        flip_bit(bytes, at, random);
        store.put(name, bytes);
        INFO(name << ", bit in byte " << at << " of " << bytes.size());
        auto const found = store.open();
        INFO(found.warnings);
        if (is_table(name)) {
            CHECK(found.lost <= kRestartInterval);
        } else if (is_wal(name)) {
            CHECK(found.lost <= kKnownBatch);
        } else {
            CHECK(found.lost == 0);
        }
        auto const is_torn_end = is_wal(name) && bytes.size() - at < 2'000;
        if (found.lost > 0 && !is_torn_end) {
            CHECK(found.quarantined > 0);
            CHECK_THAT(found.warnings, Contains("quarantine"));
        }
    });
}

TEST_CASE("Recovery: a bit flips in any byte of what says how files belong together",
          "[recovery]") {
    constexpr std::size_t kFooter = 53;  // of a table
    auto const seed = seed_or(12);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    DamagedStore store;
    auto const names = store.files();
    auto const table = std::find_if(names.begin(), names.end(), is_table);
    for (auto const& name : names) {
        if (is_wal(name) || (is_table(name) && name != *table)) continue;
        auto const bytes = store.file(name);
        auto const is_long = !is_table(name) && bytes.size() > 1000;  // OPTIONS: nobody reads them
        auto const begin = (is_table(name) ? bytes.size() - kFooter : 0) + random() % 5;
        for (auto at = begin; at < bytes.size(); at += is_long ? 1000 : 5) {
            store.restore();
            auto damaged = bytes;
            flip_bit(damaged, at, random);
            store.put(name, damaged);
            INFO(name << ", byte " << at << " of " << bytes.size());
            auto const found = store.open();
            CHECK(found.lost == 0);
        }
    }
}

TEST_CASE("Recovery: a page of any file is gone, and all but what was in it is served",
          "[recovery]") {
    constexpr std::size_t kPage = 4096;
    auto const seed = seed_or(2);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    DamagedStore store;
    store.for_each_file(4, [&](std::string const& name, std::string bytes, int time) {
        auto const begin = random() % bytes.size() / kPage * kPage;
        auto const end = std::min(begin + kPage, bytes.size());
        auto const is_random = time % 2 == 0;
        for (auto at = begin; at < end; ++at)
            bytes[at] = is_random ? static_cast<char>(random()) : '\0';
        store.put(name, bytes);
        INFO(name << ", bytes " << begin << " to " << end << " of " << bytes.size());
        auto const found = store.open();
        INFO(found.warnings);
        // The smallest records take some 30 bytes of it.
        if (is_table(name) || is_wal(name))
            CHECK(found.lost <= kPage / 30 + 2 * kRestartInterval);
        else
            CHECK(found.lost == 0);
    });
}

TEST_CASE("Recovery: any file ends too soon, and all that was before it is served", "[recovery]") {
    auto const seed = seed_or(3);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    DamagedStore store;
    store.for_each_file(4, [&](std::string const& name, std::string const& bytes, int time) {
        auto const size = time == 0 ? 0 : random() % bytes.size();
        store.put(name, bytes.substr(0, size));
        INFO(name << ", cut to " << size << " of " << bytes.size());
        auto const found = store.open();
        INFO(found.warnings);
        auto const in_file = records_in_file(store, name);
        CHECK(found.lost <= in_file);
        if (is_wal(name)) {
            // Records are of even size there.
            CHECK(found.lost <= in_file * (bytes.size() - size) / bytes.size() + 60);
        } else if (!is_table(name)) {
            CHECK(found.lost == 0);
        }
    });
}

TEST_CASE("Recovery: any file is missing, and what is in the others is served", "[recovery]") {
    DamagedStore store;
    for (auto const& name : store.files()) {
        store.restore();
        store.remove(name);
        INFO(name);
        auto const found = store.open();
        INFO(found.warnings);
        CHECK(found.lost <= records_in_file(store, name));
        if (is_table(name)) CHECK_THAT(found.warnings, Contains("is missing"));
        if (!is_table(name) && !is_wal(name)) CHECK(found.lost == 0);
    }
}

TEST_CASE("Recovery: all files but tables and log are gone", "[recovery]") {
    DamagedStore store;
    store.restore();
    for (auto const& name : store.files()) {
        if (!is_table(name) && !is_wal(name)) store.remove(name);
    }
    auto const found = store.open();
    CHECK(found.lost == 0);
    CHECK_THAT(found.warnings, Contains("made anew"));
}

TEST_CASE("Recovery: every file is rubbish, and the broker starts with nothing", "[recovery]") {
    DamagedStore store;
    store.restore();
    auto const size = GENERATE(0, 7, 70'000);
    std::mt19937_64 random{seed_or(4)};
    for (auto const& name : store.files()) {
        std::string bytes;
        for (int i = 0; i < size; ++i) bytes += static_cast<char>(random());
        store.put(name, bytes);
    }
    auto const found = store.open();
    CHECK(found.lost == store.records().size());
    CHECK_THAT(found.warnings, Contains("made anew with 0 records"));
    CHECK(fs::exists(store.directory() + "/quarantine"));
}

TEST_CASE("Recovery: the log ends in the middle of what was written last", "[recovery]") {
    DamagedStore store;
    std::string wal;
    for (auto const& name : store.files()) {
        if (is_wal(name)) wal = name;
    }
    auto const bytes = store.file(wal);
    for (std::size_t cut = 1; cut < 400; cut += 37) {
        store.restore();
        // What a file system may leave behind the end that was synced.
        for (auto const& rest : {std::string{}, std::string(9000, '\0'), std::string(300, 'x')}) {
            store.restore();
            store.put(wal, bytes.substr(0, bytes.size() - cut) + rest);
            INFO(cut << " bytes, and " << rest.size());
            auto const found = store.open();
            CHECK(found.lost <= 2 * kKnownBatch);
            CHECK(found.warnings.empty());
            CHECK(found.quarantined == 0);
        }
    }
}

TEST_CASE("Recovery: a database made anew is taken wherever the change was cut off", "[recovery]") {
    DamagedStore store;
    store.restore();
    auto const path = [&](std::string_view name) {
        return store.directory() + "/" + std::string{name};
    };
    SECTION("before it was whole") {
        fs::create_directory(path("db.partial"));
        store.put("db.partial/000012.sst", "begun");
        CHECK(store.open().lost == 0);
    }
    SECTION("before the old one was moved away") {
        fs::copy(path("db"), path("db.rebuilt"));
        store.put("db/CURRENT", "worthless");
        CHECK(store.open().lost == 0);
    }
    SECTION("before the new one was in its place") {
        fs::rename(path("db"), path("db.rebuilt"));
        CHECK(store.open().lost == 0);
    }
    CHECK_FALSE(fs::exists(path("db.partial")));
    CHECK_FALSE(fs::exists(path("db.rebuilt")));
}

/// A disk of which nothing can be learnt but what is in a file whose name is known.
class BlindEnv final : public rocksdb::EnvWrapper {
public:
    using EnvWrapper::EnvWrapper;
    static char const* kClassName() { return "BlindEnv"; }
    char const* Name() const override { return kClassName(); }
    rocksdb::Status FileExists(std::string const& path) override {
        return looks_ ? rocksdb::Status::IOError("blind") : EnvWrapper::FileExists(path);
    }
    rocksdb::Status GetChildren(std::string const& path, std::vector<std::string>* out) override {
        // The directory itself is looked at first, and that much is allowed.
        if (lists_ && path.ends_with("/db")) return rocksdb::Status::IOError("blind");
        return EnvWrapper::GetChildren(path, out);
    }
    bool looks_ = false;  // fail
    bool lists_ = false;
};

TEST_CASE("Recovery: an error of the disk is never taken for an empty store", "[recovery]") {
    DamagedStore store;
    auto const without_current = GENERATE(false, true);
    if (without_current) store.remove("db/CURRENT");
    BlindEnv env{rocksdb::Env::Default()};
    for (auto const& [looks, lists] : {std::pair{true, false}, {false, true}, {true, true}}) {
        env.looks_ = looks;
        env.lists_ = lists;
        UsedEnv const used{env};
        StoreLines lines;
        auto const before = files_below(store.directory() + "/db");
        CHECK_THROWS_AS(StoreDirectory{settings_for(store.directory(), lines)}, StoreError);
        CHECK(files_below(store.directory() + "/db") == before);
    }
    CHECK(store.open().lost == 0);
}

TEST_CASE("Recovery: a first start that was cut off is gone over again", "[recovery]") {
    TempFolder folder;
    StoreLines lines;
    { StoreDirectory opened{settings_for(folder / "store", lines)}; }
    fs::remove(folder / "store/db/CURRENT");
    for (auto const& [name, bytes] : files_below(folder / "store")) {
        if (is_wal(name)) fs::remove(folder / ("store/" + name));
    }
    StoreDirectory opened{settings_for(folder / "store", lines)};
    CHECK(records_in(opened).empty());
    CHECK(lines.from(LogLevel::info).empty());
}

TEST_CASE("Recovery: numbers are never given twice, though nobody knows any more which were",
          "[recovery]") {
    DamagedStore store;
    store.restore();
    StoreLines lines;
    {
        StoreDirectory opened{settings_for(store.directory(), lines)};
        for (auto field : {MetaField::hash_seed, MetaField::session_mark, MetaField::starts})
            REQUIRE(opened.get()->Delete({}, meta_key(field)).ok());
    }
    StoreDirectory opened{settings_for(store.directory(), lines)};
    auto const meta = [&](MetaField field) {
        std::string value;
        REQUIRE(opened.get()->Get({}, meta_key(field), &value).ok());
        return decode_meta(meta_key(field), value).value().number;
    };
    CHECK(meta(MetaField::session_mark) == 41);
    CHECK(meta(MetaField::starts) == 1);
    static_cast<void>(meta(MetaField::hash_seed));
}

TEST_CASE("Recovery: a record that makes no sense is taken out and kept as text", "[recovery]") {
    DamagedStore store;
    store.restore();
    StoreLines lines;
    auto const key = session_key(SessionNumber{3});
    {
        StoreDirectory opened{settings_for(store.directory(), lines)};
        opened.discard(key, "value", "no reason");
        CHECK(opened.quarantined() == 1);
        CHECK_FALSE(records_in(opened).contains(key));
    }
    CHECK_THAT(lines.from(LogLevel::warning), Contains("key 530000000003 is damaged (no reason)"));
    auto is_kept = false;
    for (auto const& [name, bytes] : files_below(store.directory())) {
        is_kept = is_kept || (name.starts_with("quarantine/") &&
                              bytes == "key=530000000003 value=76616c7565 no reason\n");
    }
    CHECK(is_kept);
}

}  // namespace
}  // namespace spoke::test
