#include "broker/storage/store_reader.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <string>

#include "broker/storage/format_file.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/store_census.hpp"
#include "broker/storage/store_check.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/broker/storage/damaged_store.hpp"
#include "tests/unit/broker/storage/known_store.hpp"

namespace spoke::test {
namespace {

using namespace broker;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

Records records_by_reader(StoreReader& reader) {
    Records records;
    reader.for_each("", [&](std::string_view key, std::string_view value) {
        if (family_of(key) != RecordFamily::meta) records[std::string{key}] = value;
    });
    return records;
}

std::string refusal(std::string const& directory) {
    try {
        StoreReader reader{directory};
    } catch (StoreError const& error) {
        return error.what();
    }
    return "none: it was read";
}

/// Reads the store in every way, and nothing of it may change. Gives what check finds.
StoreCheck look_at(std::string const& directory, Records& records) {
    auto const before = files_below(directory);
    auto const changed = fs::last_write_time(directory + "/db");
    StoreCheck found;
    {
        StoreReader reader{directory};
        records = records_by_reader(reader);
        found = check_store(reader);
        static_cast<void>(take_census(reader, 3));
    }
    CHECK(files_below(directory) == before);
    CHECK(fs::last_write_time(directory + "/db") == changed);
    return found;
}

std::string text_of(StoreCheck const& check) {
    std::string text;
    for (auto const& line : check.problems) text += line + "\n";
    return text;
}

TEST_CASE("Reading a store: a sound one", "[store_reader]") {
    DamagedStore store;
    Records records;
    auto const found = look_at(store.directory(), records);
    CHECK(records == store.records());
    CHECK(text_of(found).empty());
    CHECK(found.notes.empty());
    CHECK(found.records == records.size() + 4);
    CHECK(found.tables == 2);
}

TEST_CASE(
    "Reading a store: finds what a broker that starts finds, whatever is damaged, and says so",
    "[store_reader]") {
    auto const seed = seed_or(5);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    DamagedStore store;
    store.for_each_file(4, [&](std::string const& name, std::string bytes, int time) {
        auto const at = random() % bytes.size();
        INFO(name << ", time " << time << ", byte " << at << " of " << bytes.size());
        if (time == 0) {
            store.remove(name);
        } else if (time == 1) {
            store.put(name, bytes.substr(0, at));
        } else {
            flip_bit(bytes, at, random);
            store.put(name, bytes);
        }
        Records records;
        auto const found = look_at(store.directory(), records);
        INFO(text_of(found));
        auto const opened = store.open();
        INFO(opened.warnings);
        CHECK(opened.records == records);
        if (!opened.warnings.empty()) CHECK_FALSE(found.problems.empty());
        if (found.problems.empty() && !is_wal(name)) CHECK(opened.lost == 0);
    });
}

TEST_CASE("Reading a store: records that do not belong together", "[store_reader]") {
    DamagedStore store;
    auto const session = SessionNumber{3};
    {
        StoreLines lines;
        StoreDirectory opened{settings_for(store.directory(), lines)};
        REQUIRE(opened.get()->Delete({}, session_key(session)).ok());
        auto const number = DeliveryNumber{(std::uint64_t{1} << 40) + 705};
        REQUIRE(opened.get()->Delete({}, message_key(SessionNumber{7}, {number, 0})).ok());
        REQUIRE(opened.get()
                    ->Delete({}, delivery_key(SessionNumber{8},
                                              DeliveryNumber{(std::uint64_t{1} << 40) + 801}))
                    .ok());
        REQUIRE(opened.get()->Delete({}, meta_key(MetaField::starts)).ok());
        std::string value;
        auto const key = session_key(SessionNumber{900});
        encode_session(key, {.number = SessionNumber{900}, .client_id = "client 9"}, value);
        REQUIRE(opened.get()->Put({}, key, value).ok());
        REQUIRE(opened.get()->Put({}, subscription_key(SessionNumber{9}, "a"), "nonsense").ok());
    }
    Records records;
    auto const found = look_at(store.directory(), records);
    auto const text = text_of(found);
    INFO(text);
    CHECK_THAT(text, Contains("subscriptions of session 3, which is not there"));
    CHECK_THAT(text, Contains("QoS 2 packet ids of session 3, which is not there"));
    CHECK_THAT(text, Contains("deliveries of session 3, which is not there"));
    CHECK_THAT(text, Contains("the message 1099511628481 of session 7 is not there"));
    CHECK_THAT(text, Contains("the meta record 's' is missing"));
    CHECK_THAT(text, Contains("client 'client 9' has two sessions, 9 and 900"));
    CHECK_THAT(text, Contains("the record with key 55000000000961 is damaged: "));
    CHECK(found.problems.size() == 7);
    REQUIRE(found.notes.size() == 1);
    CHECK_THAT(found.notes[0], Contains("1 messages wait for nobody"));
}

TEST_CASE("Reading a store: counts", "[store_reader]") {
    DamagedStore store;
    StoreReader reader{store.directory()};
    auto const census = take_census(reader, 3);
    CHECK(census.kinds.at('S').records == 40);
    CHECK(census.kinds.at('U').records == 40);
    CHECK(census.kinds.at('I').records == 40);
    CHECK(census.kinds.at('D').records == 480);
    CHECK(census.kinds.at('B').records == 480);
    CHECK(census.kinds.at('R').records == 38);
    CHECK(census.damaged == 0);
    REQUIRE(census.largest_queues.size() == 3);
    CHECK(census.largest_queues[0].messages == 12);
    CHECK(census.largest_queues[0].bytes == 3600);
    CHECK(census.oldest.client_id == "client 1");
    CHECK(census.oldest.oldest.value == (std::uint64_t{1} << 40) + 100);
    CHECK(census.tables.number == 2);
    CHECK(census.logs.number == 1);
    CHECK(census.quarantine.number == 0);
}

TEST_CASE("Reading a store: not while a broker has it, nor what is none", "[store_reader]") {
    TempFolder folder;
    auto const directory = folder / "store";
    CHECK(refusal(directory) ==
          "the store '" + directory + "' cannot be read: No such file or directory");
    fs::create_directory(directory);
    CHECK(refusal(directory) == "there is no store in '" + directory + "'");
    make_known_store(directory);
    {
        StoreLines lines;
        StoreDirectory opened{settings_for(directory, lines)};
        CHECK_THAT(refusal(directory), Contains("is in use by process "));
    }
    {
        StoreReader reader{directory};
        CHECK(refusal(directory) == "none: it was read");  // others may read at the same time
        StoreLines lines;
        CHECK_THROWS_WITH(StoreDirectory{settings_for(directory, lines)}, Contains("is in use"));
    }
    folder.write("store/FORMAT", format_file_text(1));
    CHECK(refusal(directory) == "none: it was read");  // its records are the same
    folder.write("store/FORMAT", format_file_text(3));
    CHECK(refusal(directory) ==
          "the store '" + directory + "' is of format 3, and this program reads 2");
}

}  // namespace
}  // namespace spoke::test
