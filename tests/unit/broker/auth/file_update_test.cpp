#include "broker/auth/file_update.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;
namespace fs = std::filesystem;

namespace {

EditFile becomes(std::string text) {
    return [text](std::optional<std::string_view>) -> FileResult<std::string> {
        return {boost::system::in_place_value, text};
    };
}

struct stat status_of(std::string const& path) {
    struct stat status {};
    REQUIRE(lstat(path.c_str(), &status) == 0);
    return status;
}

auto entries_in(fs::path const& folder) {
    return std::distance(fs::directory_iterator{folder}, fs::directory_iterator{});
}

}  // namespace

TEST_CASE("update_file: a new file is for its owner alone", "[passwd]") {
    test::TempFolder folder;
    auto seen_missing = false;
    auto edit = [&](std::optional<std::string_view> text) -> FileResult<std::string> {
        seen_missing = !text;
        return {boost::system::in_place_value, "new"};
    };
    CHECK_FALSE(update_file(folder / "f", 10, edit));
    CHECK(seen_missing);
    CHECK(folder.read("f") == "new");
    CHECK((status_of(folder / "f").st_mode & 07777) == 0600);
    CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("update_file: exchanges an existing file and keeps mode and owner", "[passwd]") {
    test::TempFolder folder;
    auto path = folder.write("f", "old");
    REQUIRE(chmod(path.c_str(), 0640) == 0);
    if (geteuid() == 0) REQUIRE(chown(path.c_str(), 1234, 2345) == 0);
    auto before = status_of(path);
    CHECK_FALSE(update_file(path, 10, becomes("new")));
    auto after = status_of(path);
    CHECK(folder.read("f") == "new");
    CHECK(after.st_ino != before.st_ino);
    CHECK(after.st_mode == before.st_mode);
    CHECK(after.st_uid == before.st_uid);
    CHECK(after.st_gid == before.st_gid);
    CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("update_file: of a symlink the target is exchanged", "[passwd]") {
    test::TempFolder folder;
    fs::create_directory(folder / "real");
    folder.write("real/f", "old");
    fs::create_symlink("real/f", folder / "link");
    CHECK_FALSE(update_file(folder / "link", 10, becomes("new")));
    CHECK(fs::is_symlink(folder / "link"));
    CHECK(folder.read("real/f") == "new");
    CHECK_FALSE(fs::is_symlink(folder / "real/f"));
}

TEST_CASE("update_file: what goes wrong leaves the file as it was", "[passwd]") {
    test::TempFolder folder;
    auto path = folder.write("f", "old");
    auto inode = status_of(path).st_ino;
    auto refuse = [](std::optional<std::string_view> text) -> FileResult<std::string> {
        return FileError{std::string{text.value()}, 7, "no"};
    };
    CHECK(update_file(path, 10, refuse)->text() == "old:7: no");
    CHECK(update_file(path, 2, becomes("new"))->reason == "is larger than 2 bytes");
    CHECK(folder.read("f") == "old");
    CHECK(status_of(path).st_ino == inode);
    CHECK(entries_in(folder.path()) == 1);

    CHECK(update_file(folder / "none/f", 10, becomes("new"))->reason ==
          "cannot open its folder: No such file or directory");
    CHECK(update_file(folder.path().string(), 10, becomes("new"))->reason ==
          "is not a regular file");
    CHECK(try_edit(path, 10, becomes("new")).value() == "new");
    CHECK(folder.read("f") == "old");
}

TEST_CASE("update_file: updates at once do not lose each other", "[passwd]") {
    test::TempFolder folder;
    auto append = [](std::optional<std::string_view> text) -> FileResult<std::string> {
        return {boost::system::in_place_value, std::string{text.value_or("")} + "x"};
    };
    std::vector<std::thread> writers;
    for (auto writer = 0; writer < 4; ++writer) {
        writers.emplace_back([&] {
            for (auto i = 0; i < 10; ++i) static_cast<void>(update_file(folder / "f", 100, append));
        });
    }
    for (auto& writer : writers) writer.join();
    CHECK(folder.read("f") == std::string(40, 'x'));
}

TEST_CASE("update_file: a bare name is a file of the folder one is in", "[passwd]") {
    test::TempFolder folder;
    auto before = fs::current_path();
    fs::current_path(folder.path());
    auto error = update_file("users", 1000, becomes("text"));
    fs::current_path(before);
    CHECK_FALSE(error);
    CHECK(folder.read("users") == "text");
}
