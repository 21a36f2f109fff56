#include "broker/auth/reloadable.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

FileResult<std::string> even_only(std::string_view text, std::string_view name) {
    if (text.size() % 2 != 0) return FileError{std::string{name}, 3, "odd"};
    return {boost::system::in_place_value, text};
}

}  // namespace

TEST_CASE("FileError: names file and line, and keeps to one line", "[auth]") {
    CHECK(FileError{"acl.conf", 12, "unknown word"}.text() == "acl.conf:12: unknown word");
    CHECK(FileError{"a\nb", 0, "No such file"}.text() == "a\\nb: No such file");
}

TEST_CASE("read_file: takes regular files up to the limit", "[auth]") {
    test::TempFolder folder;
    auto path = folder.write("f", std::string("a\0b", 3));
    auto text = read_file(path, 3);
    REQUIRE(text.has_value());
    CHECK(*text == std::string("a\0b", 3));
    auto large = read_file(path, 2);
    REQUIRE(large.has_error());
    CHECK(large.error().text() == path + ": is larger than 2 bytes");
    std::string megabyte(1 << 20, 'x');
    CHECK(*read_file(folder.write("m", megabyte), 1 << 20) == megabyte);
    CHECK(read_file(folder.write("empty", ""), 0)->empty());

    auto missing = read_file(folder / "none", 9);
    REQUIRE(missing.has_error());
    CHECK(missing.error().text() == (folder / "none") + ": No such file or directory");
    CHECK(read_file(folder.path().string(), 9).error().reason == "is not a regular file");
    CHECK(read_file("/dev/null", 9).error().reason == "is not a regular file");
    std::filesystem::create_symlink(path, folder / "link");
    CHECK(read_file(folder / "link", 9)->size() == 3);
}

TEST_CASE("Reloadable: the first content must be right", "[auth]") {
    test::TempFolder folder;
    auto path = folder.write("f", "odd");
    CHECK_THROWS_WITH((Reloadable<std::string>{path, 100, even_only}), path + ":3: odd");
    CHECK_THROWS_WITH((Reloadable<std::string>{folder / "none", 100, even_only}),
                      (folder / "none") + ": No such file or directory");
}

TEST_CASE("Reloadable: a good file replaces the content, a bad one keeps the old", "[auth]") {
    test::TempFolder folder;
    Reloadable<std::string> content{folder.write("f", "even"), 100, even_only};
    CHECK(content.path() == folder / "f");
    CHECK(content.generation() == 1);
    auto first = content.snapshot();
    CHECK(*first == "even");

    folder.write("f", "bad");
    auto error = content.reload();
    REQUIRE(error);
    CHECK(*error == FileError{folder / "f", 3, "odd"});
    CHECK(content.generation() == 1);
    CHECK(content.snapshot() == first);

    folder.write("f", std::string(101, 'x'));
    REQUIRE(content.reload());
    CHECK(content.snapshot() == first);

    folder.write("f", "better");
    CHECK_FALSE(content.reload());
    CHECK(content.generation() == 2);
    CHECK(*content.snapshot() == "better");
    CHECK(*first == "even");
}

TEST_CASE("Reloadable: is read while it is reloaded", "[auth]") {
    test::TempFolder folder;
    Reloadable<std::string> content{folder.write("f", "even"), 100, even_only};
    std::thread reader{[&content] {
        while (content.generation() < 50) {
            auto generation = content.generation();
            auto snapshot = content.snapshot();
            if (*snapshot != "even" || content.generation() < generation) return;
        }
    }};
    while (content.generation() < 50) {
        if (content.reload()) break;
    }
    reader.join();
    CHECK(content.generation() == 50);
}
