#include "broker/storage/table_scan.hpp"

#include <fmt/format.h>
#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "broker/storage/database_options.hpp"
#include "tests/support/seed.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/known_store.hpp"

namespace spoke::test {
namespace {

using namespace broker;

constexpr int kEntries = 1'000;

std::string key_of(int i) {
    return fmt::format("D {:06}", i);
}
std::string value_of(int i) {
    return i % 10 == 0 ? "" : fmt::format("value {} {:>60}", i, std::int64_t{i} * i);
}

/// A table as a store writes it; every 50th entry says that there is no record any more.
std::string make_table() {
    TempFolder folder;
    rocksdb::SstFileWriter writer{rocksdb::EnvOptions{}, database_options({})};
    REQUIRE(writer.Open(folder / "table").ok());
    for (int i = 0; i < kEntries; ++i)
        REQUIRE((i % 50 == 7 ? writer.Delete(key_of(i)) : writer.Put(key_of(i), value_of(i))).ok());
    REQUIRE(writer.Finish().ok());
    return folder.read("table");
}

struct Read {
    TableDamage damage{};
    int proven = 0;
    int right = 0;  // whether proven or not
    int wrong = 0;
};

Read read(std::string_view table) {
    Read result;
    result.damage = scan_table(table, [&](TableEntry const& entry) {
        int i = -1;
        if (entry.key.size() == 8) i = std::atoi(std::string{entry.key.substr(2)}.c_str());
        auto const is_right =
            i >= 0 && entry.key == key_of(i) &&
            (i % 50 == 7 ? entry.is_removal : !entry.is_removal && entry.value == value_of(i));
        if (entry.is_proven) ++result.proven;
        ++(is_right ? result.right : result.wrong);
        if (entry.is_proven) CHECK(is_right);
    });
    return result;
}

TEST_CASE("Table: a sound one is read whole", "[table_scan]") {
    auto const found = read(make_table());
    CHECK(found.proven == kEntries);
    CHECK(found.right == kEntries);
    CHECK_FALSE(found.damage.any());
}

TEST_CASE("Table: without index the blocks are found", "[table_scan]") {
    auto table = make_table();
    auto const is_cut = GENERATE(true, false);
    if (is_cut)
        table.resize(table.size() - 10);
    else
        table[table.size() - 1] = 'x';
    auto const found = read(table);
    CHECK(found.damage.has_no_index);
    CHECK(found.proven == kEntries);
}

TEST_CASE("Table: a flipped bit costs a few entries of one block", "[table_scan]") {
    auto const table = make_table();
    std::mt19937_64 random{seed_or(10)};
    for (int time = 0; time < 300; ++time) {
        auto damaged = table;
        auto const at = random() % table.size();
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << random() % 8);
        INFO("byte " << at << " of " << table.size());
        auto const found = read(damaged);
        CHECK(found.right >= kEntries - static_cast<int>(kRestartInterval));
        CHECK(found.wrong <= static_cast<int>(kRestartInterval));
        if (found.right < kEntries) CHECK(found.damage.any());
    }
}

TEST_CASE("Table: what is cut off is missing, and what is before it is there", "[table_scan]") {
    auto const table = make_table();
    auto before = 0;
    for (std::size_t size = 0; size < table.size(); size += 977) {
        auto const found = read(std::string_view{table}.substr(0, size));
        CHECK(found.damage.any() == (size > 0 || found.damage.has_no_index));
        CHECK(found.right >= before);
        before = found.right;
    }
    CHECK(before > kEntries * 9 / 10);
}

TEST_CASE("Table: any bytes can be read", "[table_scan]") {
    auto const table = make_table();
    std::mt19937_64 random{seed_or(11)};
    for (int time = 0; time < 300; ++time) {
        auto damaged = table;
        for (auto count = random() % 30; count > 0; --count) {
            auto const begin = random() % damaged.size();
            switch (random() % 4) {
                case 0:
                    damaged[begin] = static_cast<char>(random());
                    break;
                case 1:
                    damaged.erase(begin, random() % 100);
                    break;
                case 2:
                    damaged.insert(begin, random() % 100, static_cast<char>(random()));
                    break;
                default:
                    std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(begin),
                                std::min<std::size_t>(random() % 5'000, damaged.size() - begin),
                                static_cast<char>(random() % 2 == 0 ? 0xFF : 0x01));
            }
            if (damaged.empty()) damaged = "x";
        }
        static_cast<void>(read(damaged));
    }
}

}  // namespace
}  // namespace spoke::test
