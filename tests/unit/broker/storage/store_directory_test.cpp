#include "broker/storage/store_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "broker/storage/format_file.hpp"
#include "broker/storage/records.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/known_store.hpp"

namespace spoke::test {
namespace {

using namespace broker;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

/// What the operator reads who gives a broker this directory.
std::string refusal(std::string const& directory, Upgrades const& upgrades = known_upgrades()) {
    StoreLines lines;
    try {
        StoreDirectory opened{settings_for(directory, lines), upgrades};
    } catch (StoreError const& error) {
        return error.what();
    }
    return "none: it was opened";
}

std::uint64_t meta(StoreDirectory& opened, MetaField field) {
    auto const key = meta_key(field);
    std::string value;
    REQUIRE(opened.get()->Get({}, key, &value).ok());
    return decode_meta(key, value).value().number;
}

TEST_CASE("Opening a store: a directory that is not there is made, for its owner alone",
          "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "var/lib/spoke";
    StoreLines lines;
    StoreDirectory opened{settings_for(directory, lines)};
    CHECK(meta(opened, MetaField::format_version) == kFormatVersion);
    CHECK(meta(opened, MetaField::session_mark) == 1);
    CHECK(meta(opened, MetaField::starts) == 0);
    struct stat found {};
    REQUIRE(stat(directory.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0700);
    CHECK(lines.from(LogLevel::info).empty());
    CHECK(opened.quarantined() == 0);
}

TEST_CASE("Opening a store: what was written is there again, from tables and from the log",
          "[store_directory]") {
    TempFolder folder;
    auto const records = make_known_store(folder / "store");
    StoreLines lines;
    for (int time = 0; time < 2; ++time) {
        StoreDirectory opened{settings_for(folder / "store", lines)};
        CHECK(records_in(opened) == records);
    }
    CHECK(lines.from(LogLevel::info).empty());
    CHECK_FALSE(fs::exists(folder / "store/quarantine"));
}

TEST_CASE("Opening a store: reopen() finds what is there", "[store_directory]") {
    TempFolder folder;
    auto const records = make_known_store(folder / "store");
    StoreLines lines;
    StoreDirectory opened{settings_for(folder / "store/", lines)};
    REQUIRE(opened.reopen().ok());
    CHECK(records_in(opened) == records);
    CHECK(lines.from(LogLevel::info).empty());
}

TEST_CASE("Opening a store: one process at a time, and the second is told who has it",
          "[store_directory]") {
    TempFolder folder;
    StoreLines lines;
    auto const directory = folder / "store";
    {
        StoreDirectory opened{settings_for(directory, lines)};
        CHECK(refusal(directory) ==
              fmt::format("the store '{}' is in use by process {}: stop that, "
                          "or name another directory",
                          directory, getpid()));
    }
    CHECK(refusal(directory) == "none: it was opened");
}

TEST_CASE("Opening a store: a file is no directory", "[store_directory]") {
    TempFolder folder;
    auto const path = folder.write("file", "text");
    CHECK(refusal(path) == "the store '" + path + "' is not a directory: name another");
    CHECK(folder.read("file") == "text");
}

TEST_CASE("Opening a store: below a file no directory can be made", "[store_directory]") {
    TempFolder folder;
    auto const path = folder.write("file", "text") + "/store";
    CHECK_THAT(refusal(path), Contains("'" + path + "' cannot be made: Not a directory"));
}

TEST_CASE("Opening a store: a directory with other files is left alone", "[store_directory]") {
    TempFolder folder;
    folder.write("notes.txt", "mine");
    CHECK(refusal(folder.path().string()) ==
          "the directory '" + folder.path().string() +
              "' holds 'notes.txt', which is not of a store: name one that is empty");
    CHECK(files_below(folder.path().string()).size() == 1);
}

TEST_CASE("Opening a store: what a file system or a cut off first start leaves does not matter",
          "[store_directory]") {
    TempFolder folder;
    fs::create_directories(folder / "lost+found");
    folder.write("LOCK", "");
    folder.write("FORMAT.new", "spoke");
    CHECK(refusal(folder.path().string()) == "none: it was opened");
    CHECK(folder.read("FORMAT") == format_file_text(kFormatVersion));
}

TEST_CASE("Opening a store: a directory that cannot be written", "[store_directory]") {
    if (geteuid() == 0) return;  // who may do anything
    TempFolder folder;
    auto const directory = folder / "store";
    fs::create_directory(directory);
    fs::permissions(directory, fs::perms::owner_read | fs::perms::owner_exec);
    CHECK(refusal(directory) == fmt::format("the store '{}' cannot be written: Permission denied: "
                                            "let user {} do so, or name another directory",
                                            directory, geteuid()));
    fs::permissions(directory, fs::perms::none);
    CHECK_THAT(refusal(directory), Contains("cannot be read"));
    fs::permissions(directory, fs::perms::owner_all);
}

TEST_CASE("Format of a store: a newer one is refused and not changed in any way",
          "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_known_store(directory);
    folder.write("store/FORMAT", format_file_text(kFormatVersion + 7));
    auto const before = files_below(directory);
    auto const changed = fs::last_write_time(directory);
    CHECK(refusal(directory) ==
          fmt::format("the store '{}' is of format 9, and this broker knows up to 2: run the newer "
                      "broker that wrote it, or name another directory; nothing was changed",
                      directory));
    CHECK(files_below(directory) == before);
    CHECK(fs::last_write_time(directory) == changed);
}

TEST_CASE("Format of a store: without FORMAT the records say what it is", "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "store";
    auto const records = make_known_store(directory);
    auto const text = GENERATE(as<std::string>{}, "missing", "", "spoke-broker store, format 9\n");
    if (text == "missing")
        fs::remove(directory + "/FORMAT");
    else
        folder.write("store/FORMAT", text);
    StoreLines lines;
    StoreDirectory opened{settings_for(directory, lines)};
    CHECK(records_in(opened) == records);
    CHECK_THAT(lines.from(LogLevel::warning), Contains("the records are of format 2"));
    CHECK(folder.read("store/FORMAT") == format_file_text(kFormatVersion));
}

TEST_CASE("Format of a store: without FORMAT, a newer one is still refused", "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "store";
    {
        StoreLines lines;
        StoreDirectory opened{settings_for(directory, lines)};
        auto const key = meta_key(MetaField::format_version);
        std::string value;
        encode_meta(key, kFormatVersion + 1, value);
        REQUIRE(opened.get()->Put({}, key, value).ok());
    }
    fs::remove(directory + "/FORMAT");
    CHECK_THAT(refusal(directory), Contains("is of format 3, and this broker knows up to 2"));
    CHECK_FALSE(fs::exists(directory + "/FORMAT"));
}

// Version 0 never was: the version that a test makes up for it names clients in capitals.

std::string const kOldKey = session_key(SessionNumber{5});

void make_store_of_version_0(std::string const& directory) {
    StoreLines lines;
    StoreDirectory opened{settings_for(directory, lines)};
    std::string value;
    encode_session(kOldKey, {.number = SessionNumber{5}, .client_id = "BIKE"}, value);
    REQUIRE(opened.get()->Put({}, kOldKey, value).ok());
    auto const key = meta_key(MetaField::format_version);
    encode_meta(key, 0, value);
    REQUIRE(opened.get()->Put({}, key, value).ok());
    std::ofstream{directory + "/FORMAT"} << format_file_text(0);
}

std::string client_of(StoreDirectory& opened) {
    std::string value;
    REQUIRE(opened.get()->Get({}, kOldKey, &value).ok());
    return decode_session(kOldKey, value).value().client_id;
}

TEST_CASE("Format of a store: an older one is brought up to date, once", "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store_of_version_0(directory);
    int calls = 0;
    auto succeeds = false;
    Upgrades const upgrades{
        {0,
         [&](rocksdb::DB& database) {
             ++calls;
             std::string value;
             encode_session(kOldKey, {.number = SessionNumber{5}, .client_id = "bike"}, value);
             auto const status = database.Put({}, kOldKey, value);
             return succeeds ? status : rocksdb::Status::IOError("cut off");
         }},
        *known_upgrades().find(1)};
    StoreLines lines;
    CHECK_THAT(refusal(directory, upgrades),
               Contains("cannot be brought to format 1: IO error: cut"));
    succeeds = true;
    {
        StoreDirectory opened{settings_for(directory, lines), upgrades};
        CHECK(client_of(opened) == "bike");
        CHECK(meta(opened, MetaField::format_version) == kFormatVersion);
        CHECK(folder.read("store/FORMAT") == format_file_text(kFormatVersion));
    }
    CHECK(lines.from(LogLevel::info) ==
          "store: brought from format 0 to 1\nstore: brought from format 1 to 2\n");
    CHECK(calls == 2);
    StoreDirectory again{settings_for(directory, lines), upgrades};
    CHECK(client_of(again) == "bike");
    CHECK(calls == 2);
}

TEST_CASE("Format of a store: one that is too old is refused and not changed",
          "[store_directory]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store_of_version_0(directory);
    auto before = files_below(directory);
    CHECK_THAT(refusal(directory), Contains("is of format 0, which this broker does not know"));
    CHECK(files_below(directory) == before);
}

TEST_CASE("Format of a store: the line in FORMAT proves itself", "[store_directory]") {
    auto const text = format_file_text(1);
    CHECK(format_version_in(text) == 1);
    CHECK(format_version_in(text + "what a later version adds\n") == 1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            auto damaged = text;
            damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
            CHECK_FALSE(format_version_in(damaged).has_value());
        }
        CHECK_FALSE(format_version_in(text.substr(0, i)).has_value());
    }
}

}  // namespace
}  // namespace spoke::test
