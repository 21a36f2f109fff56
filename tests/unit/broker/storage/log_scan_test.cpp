#include "broker/storage/log_scan.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "broker/storage/crc32c.hpp"
#include "broker/storage/little_endian.hpp"
#include "broker/storage/quarantine.hpp"
#include "broker/storage/store_directory.hpp"
#include "broker/storage/wal_repair.hpp"
#include "tests/support/seed.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/damaged_store.hpp"

namespace spoke::test {
namespace {

using namespace broker;

constexpr std::size_t kBlock = 32'768;
constexpr std::size_t kHeader = 7;

/// What is in a log, as text: "record 12", with its size, and "damaged 100..200".
std::vector<std::string> scan(std::string_view bytes, LogForm const& form = {}) {
    TempFolder folder;
    auto const path = folder.write("000005.log", bytes);
    std::vector<std::string> pieces;
    auto const status = scan_log(*rocksdb::Env::Default(), path, form, [&](LogPiece const& piece) {
        pieces.push_back(piece.kind == LogPiece::Kind::record
                             ? fmt::format("record {}", piece.payload.size())
                             : fmt::format("damaged {}..{}", piece.offset, piece.end));
    });
    REQUIRE(status.ok());
    return pieces;
}

using Pieces = std::vector<std::string>;

std::string log_of(std::vector<std::size_t> const& sizes) {
    std::string log;
    for (auto size : sizes) append_log_record(log, std::string(size, 'x'));
    return log;
}

TEST_CASE("Log: records of any size are read as they were written", "[log_scan]") {
    std::mt19937_64 random{seed_or(8)};
    std::vector<std::size_t> sizes{0, 1, kBlock - kHeader, kBlock, kBlock - 2 * kHeader, 200'000};
    for (int i = 0; i < 60; ++i) sizes.push_back(random() % (i % 2 == 0 ? 300 : 40'000));
    Pieces expected;
    for (auto size : sizes) expected.push_back(fmt::format("record {}", size));
    CHECK(scan(log_of(sizes)) == expected);
    CHECK(scan("").empty());
}

TEST_CASE("Log: what RocksDB writes is read, and the other way round", "[log_scan]") {
    TempFolder folder;
    auto const path = folder / "db";
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* opened = nullptr;
    REQUIRE(rocksdb::DB::Open(options, path, &opened).ok());
    {
        std::unique_ptr<rocksdb::DB> database{opened};
        for (int i = 0; i < 50; ++i)
            REQUIRE(database->Put({}, std::to_string(i), std::string(3'000, 'v')).ok());
    }
    auto& env = *rocksdb::Env::Default();
    std::string copy;
    std::string log;
    REQUIRE(scan_wals(env, path, [&](WalPiece const& wal) {
                REQUIRE(wal.piece.kind == LogPiece::Kind::record);
                CHECK(wal.count == 1);
                append_log_record(copy, wal.piece.payload);
                log = wal.path;
            }).ok());
    CHECK(copy == folder.read(log.substr(folder.path().string().size() + 1)));
}

TEST_CASE("Log: damage costs the record it is in, and no other", "[log_scan]") {
    auto const log = log_of({100, 200, 300});
    auto damaged = log;
    SECTION("in its payload") {
        damaged[107 + 50] ^= 1;
        CHECK(scan(damaged) == Pieces{"record 100", "damaged 107..314", "record 300"});
    }
    SECTION("in its checksum") {
        damaged[107] ^= 1;
        CHECK(scan(damaged) == Pieces{"record 100", "damaged 107..314", "record 300"});
    }
    SECTION("in its length") {
        damaged[107 + 4] ^= 8;
        CHECK(scan(damaged) == Pieces{"record 100", "damaged 107..314", "record 300"});
    }
    SECTION("in its type") {
        damaged[107 + 6] = 100;
        CHECK(scan(damaged) == Pieces{"record 100", "damaged 107..314", "record 300"});
    }
    SECTION("in the last") {
        damaged[314 + 20] ^= 1;
        CHECK(scan(damaged) == Pieces{"record 100", "record 200", "damaged 314..621"});
    }
    SECTION("and the end is missing") {
        damaged.resize(314 + 20);
        CHECK(scan(damaged) == Pieces{"record 100", "record 200", "damaged 314..334"});
    }
    SECTION("of the header, too") {
        damaged.resize(314 + 3);
        CHECK(scan(damaged) == Pieces{"record 100", "record 200", "damaged 314..317"});
    }
}

TEST_CASE("Log: a record that lies in several blocks is whole or damaged", "[log_scan]") {
    auto log = log_of({100, 3 * kBlock, 50});
    auto const end = log.size() - 57;
    auto const at = GENERATE(std::size_t{200}, kBlock + 500, 3 * kBlock + 20);
    log[at] ^= 1;
    CHECK(scan(log) == Pieces{"record 100", fmt::format("damaged 107..{}", end), "record 50"});
}

TEST_CASE("Log: a lost page of zeros is damage if records lie behind it, else space",
          "[log_scan]") {
    auto log = log_of({100, 9'000, 50});
    std::fill_n(log.begin() + 4'096, 4'096, '\0');
    CHECK(scan(log) == Pieces{"record 100", "damaged 107..9114", "record 50"});
    CHECK(scan(log_of({100}) + std::string(70'000, '\0')) == Pieces{"record 100"});
    auto hole = log_of({100});
    hole += std::string(2 * kBlock - hole.size(), '\0');
    CHECK(scan(hole + log_of({50})) == Pieces{"record 100", "damaged 107..65536", "record 50"});
}

TEST_CASE("Log: fragments of a record do not come together over a hole", "[log_scan]") {
    auto log = log_of({3 * kBlock});
    std::fill_n(log.begin() + kBlock, kBlock, '\0');
    CHECK(scan(log + log_of({})) == Pieces{fmt::format("damaged 0..{}", log.size())});
}

TEST_CASE("Log: what a file held before it was used again is no record", "[log_scan]") {
    // A fragment as RocksDB writes it into files that it uses again: with the number of the log.
    auto const recyclable = [](std::uint32_t number, std::string const& payload) {
        std::string body(1, '\5');
        append_little_endian(body, number);
        body += payload;
        std::string fragment;
        append_little_endian(fragment, masked_crc32c(crc32c(body)));
        append_little_endian(fragment, static_cast<std::uint16_t>(payload.size()));
        return fragment + body;
    };
    auto const log = recyclable(5, "now") + recyclable(5, "and now") + recyclable(4, "before");
    CHECK(scan(log, {.number = 5}) == Pieces{"record 3", "record 7", "damaged 32..49"});
}

TEST_CASE("Log: a payload that looks like a record does not become one", "[log_scan]") {
    // A client has published a whole log; then the header of the record around it is damaged.
    std::string log = log_of({100});
    std::string const forged = log_of({64});
    append_log_record(log, std::string(20, 'y') + forged + std::string(20, 'y'));
    log += log_of({50});
    log[107 + 4] ^= 64;
    LogForm const form{
        .number = 0, .is_plausible = [](std::string_view payload) { return payload.size() != 64; }};
    CHECK(scan(log, form) == Pieces{"record 100", "damaged 107..225", "record 50"});
    CHECK(scan(log) ==
          Pieces{"record 100", "damaged 107..134", "record 64", "damaged 205..225", "record 50"});
}

TEST_CASE("Log: any bytes can be read", "[log_scan]") {
    std::mt19937_64 random{seed_or(9)};
    for (int time = 0; time < 30; ++time) {
        std::string log;
        while (log.size() < 80'000) {
            if (random() % 3 == 0) log += log_of({random() % 20'000});
            // Bytes that often are lengths and types.
            for (auto i = random() % 3'000; i > 0; --i) log += static_cast<char>(random() % 10);
        }
        std::uint64_t last = 0;
        TempFolder folder;
        auto const path = folder.write("log", log);
        REQUIRE(scan_log(*rocksdb::Env::Default(), path, {}, [&](LogPiece const& piece) {
                    REQUIRE(piece.offset >= last);
                    REQUIRE(piece.end > piece.offset);
                    REQUIRE(piece.end <= log.size());
                    last = piece.end;
                }).ok());
    }
}

TEST_CASE("Log: a record with a sequence number that cannot follow is not found in damage",
          "[log_scan]") {
    DamagedStore store;
    std::string name;
    for (auto const& file : store.files()) {
        if (is_wal(file)) name = file;
    }
    // The header of one record is damaged, and behind it stands one that a client made up.
    auto log = store.file(name);
    std::string forged;
    std::string batch;
    append_little_endian(batch, std::uint64_t{1} << 50);
    append_little_endian(batch, std::uint32_t{0});
    append_log_record(forged, batch);
    auto const at = std::size_t{20'000};
    std::copy(forged.begin(), forged.end(), log.begin() + at);
    store.put(name, log);
    int records = 0;
    REQUIRE(
        scan_wals(*rocksdb::Env::Default(), store.directory() + "/db", [&](WalPiece const& wal) {
            if (wal.piece.kind == LogPiece::Kind::record) {
                ++records;
                CHECK(wal.sequence < std::uint64_t{1} << 50);
            }
        }).ok());
    CHECK(records > 80);
}

TEST_CASE("Log: what a client made up does not come in when a damaged log is written anew",
          "[log_scan]") {
    auto batch = [](std::uint64_t sequence, std::string_view more) {
        std::string bytes;
        append_little_endian(bytes, sequence);
        append_little_endian(bytes, std::uint32_t{1});
        return bytes.append(more);
    };
    auto log = [](std::initializer_list<std::string> records) {
        std::string bytes;
        for (auto const& record : records) append_log_record(bytes, record);
        return bytes;
    };
    // The first record of the second log holds what looks like one, and its header is damaged.
    auto second = log({batch(11, log({batch(1, "forged")})), batch(12, "last")});
    second[4] ^= 64;
    TempFolder folder;
    std::filesystem::create_directory(folder / "db");
    folder.write("db/000005.log", log({batch(10, "first")}));
    folder.write("db/000007.log", second);
    auto& env = *rocksdb::Env::Default();
    StoreLines lines;
    Quarantine quarantine{env, folder / "store", lines.log()};
    WalDamage damage;
    REQUIRE(repair_wals(env, folder / "db", quarantine, damage).ok());
    CHECK(damage.pieces == 1);
    CHECK(folder.read("db/000007.log") == log({batch(12, "last")}));
}

}  // namespace
}  // namespace spoke::test
