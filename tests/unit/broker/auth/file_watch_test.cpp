#include "broker/auth/file_watch.hpp"

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "broker/auth/path_trail.hpp"
#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Takes what a watch tells and lets the test await it.
class Told {
public:
    [[nodiscard]] FileWatch::Changed listener() {
        return [this](std::vector<std::string> const& paths) {
            std::lock_guard lock{mutex_};
            calls_.push_back(paths);
            changed_.notify_all();
        };
    }

    /// The next call's paths.
    std::vector<std::string> next() {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_for(lock, 60s, [this] { return seen_ < calls_.size(); }))
            FAIL("nothing is told");
        return calls_[seen_++];
    }

    [[nodiscard]] std::size_t calls() {
        std::lock_guard lock{mutex_};
        return calls_.size();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::vector<std::string>> calls_;
    std::size_t seen_ = 0;
};

using Paths = std::vector<std::string>;

FileWatchSettings const& quick() {
    static FileWatchSettings const settings{20ms, 2'000ms, {}};
    return settings;
}

}  // namespace

TEST_CASE("FileWatch: tells what is written in place", "[watch]") {
    test::TempFolder folder;
    auto one = folder.write("one", "1");
    auto two = folder.write("two", "2");
    Told told;
    FileWatch watch{{one, two}, told.listener(), quick()};
    folder.write("one", "1 more");
    CHECK(told.next() == Paths{one});
    folder.write("two", "2 more");
    CHECK(told.next() == Paths{two});
    // The same size again.
    folder.write("two", "2 less");
    CHECK(told.next() == Paths{two});
}

TEST_CASE("FileWatch: tells what a rename puts in place, again and again", "[watch]") {
    test::TempFolder folder;
    auto path = folder.write("f", "old");
    Told told;
    FileWatch watch{{path}, told.listener(), quick()};
    for (auto round = 0; round < 3; ++round) {
        fs::rename(folder.write("f.new", "new"), path);
        CHECK(told.next() == Paths{path});
    }
    folder.write("f", "in place");
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: one call for a burst, in the order of the paths", "[watch]") {
    test::TempFolder folder;
    auto one = folder.write("one", "1");
    auto two = folder.write("two", "2");
    auto end = folder.write("end", "");
    Told told;
    FileWatch watch{{two, one, end}, told.listener(), {500ms, 60s, {}}};
    for (auto round = 0; round < 20; ++round) {
        folder.write("one", std::string(100, 'a'));
        folder.write("two", std::to_string(round));
    }
    CHECK(told.next() == Paths{two, one});
    folder.write("end", "x");
    CHECK(told.next() == Paths{end});
    CHECK(told.calls() == 2);
}

TEST_CASE("FileWatch: a burst without end is told all the same", "[watch]") {
    test::TempFolder folder;
    auto path = folder.write("f", "");
    Told told;
    FileWatch watch{{path}, told.listener(), {60s, 100ms, {}}};
    for (auto round = 0; told.calls() == 0; ++round) folder.write("f", std::to_string(round));
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: follows the symlinks of Kubernetes", "[watch]") {
    test::TempFolder folder;
    auto publish = [&folder](std::string const& version, std::string_view text) {
        fs::create_directory(folder / version);
        folder.write(version + "/acl", text);
        fs::create_directory_symlink(version, folder / "..data_tmp");
        fs::rename(folder / "..data_tmp", folder / "..data");
    };
    publish("..1", "first");
    fs::create_symlink("..data/acl", folder / "acl");
    auto path = folder / "acl";
    Told told;
    FileWatch watch{{path}, told.listener(), quick()};
    publish("..2", "other");
    CHECK(told.next() == Paths{path});
    fs::remove_all(folder / "..1");
    publish("..3", "third");
    CHECK(told.next() == Paths{path});
    // What the symlinks lead to now is watched as well.
    folder.write("..3/acl", "in place");
    CHECK(told.next() == Paths{path});
    fs::rename(folder.write("..3/tmp", "renamed"), folder / "..3/acl");
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: a symlink to elsewhere, relative and absolute", "[watch]") {
    test::TempFolder folder;
    test::TempFolder elsewhere;
    auto target = elsewhere.write("cert", "1");
    auto path = folder / "cert";
    fs::create_symlink(target, path);
    Told told;
    FileWatch watch{{path}, told.listener(), quick()};
    elsewhere.write("cert", "12");
    CHECK(told.next() == Paths{path});
    folder.write("real", "123");
    fs::create_symlink("./real", folder / "tmp");
    fs::rename(folder / "tmp", path);
    CHECK(told.next() == Paths{path});
    folder.write("real", "1234");
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: a folder on the way may be exchanged", "[watch]") {
    test::TempFolder folder;
    fs::create_directories(folder / "conf");
    folder.write("conf/f", "old");
    fs::create_directory_symlink("conf", folder / "link");
    auto path = folder / "link/f";
    Told told;
    FileWatch watch{{path}, told.listener(), quick()};
    fs::create_directories(folder / "other");
    folder.write("other/f", "new");
    fs::remove(folder / "link");
    fs::create_directory_symlink("other", folder / "link");
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: a file that goes and comes, with its folder", "[watch]") {
    test::TempFolder folder;
    auto path = folder / "a/b/f";
    Told told;
    FileWatch watch{{path}, told.listener(), quick()};
    fs::create_directories(folder / "a/b");
    folder.write("a/b/f", "1");
    CHECK(told.next() == Paths{path});
    fs::remove_all(folder / "a");
    CHECK(told.next() == Paths{path});
    fs::create_directories(folder / "a/b");
    folder.write("a/b/f", "2");
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: other files of the folder do not count", "[watch]") {
    test::TempFolder folder;
    auto path = folder.write("f", "1");
    Told told;
    FileWatch watch{{path}, told.listener(), {200ms, 1h, {}}};
    folder.write("f", "12");
    // If these counted, it would not become quiet.
    auto deadline = std::chrono::steady_clock::now() + 30s;
    while (told.calls() == 0 && std::chrono::steady_clock::now() < deadline) {
        folder.write("log", "x");
        fs::rename(folder / "log", folder / "log.1");
    }
    REQUIRE(told.calls() == 1);
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: a path is told as it was given", "[watch]") {
    test::TempFolder folder;
    folder.write("f", "1");
    auto path = fs::relative(folder / "f").string();
    Told told;
    FileWatch watch{{path}, told.listener(), quick()};
    folder.write("f", "12");
    CHECK(told.next() == Paths{path});
}

TEST_CASE("FileWatch: ends at once, whatever it waits for", "[watch]") {
    test::TempFolder folder;
    auto path = folder.write("f", "1");
    Told told;
    {
        FileWatch watch{{path}, told.listener(), {60s, 60s, {}}};
        folder.write("f", "12");
    }
    CHECK(told.calls() == 0);
    FileWatch without_files{{}, told.listener(), quick()};
}

TEST_CASE("FileWatch: says which folder it cannot watch", "[watch]") {
    test::TempFolder folder;
    fs::create_directory(folder / "closed");
    auto path = folder.write("closed/f", "1");
    REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
    REQUIRE(chmod((folder / "closed").c_str(), 0111) == 0);
    std::vector<std::string> failures;
    auto settings = quick();
    settings.failed = [&failures](std::string const& what) { failures.push_back(what); };
    Told told;
    // To root nothing is closed.
    if (geteuid() == 0) setfsuid(65'534);
    { FileWatch watch{{path}, told.listener(), settings}; }
    if (geteuid() == 0) setfsuid(0);
    REQUIRE(chmod((folder / "closed").c_str(), 0755) == 0);
    REQUIRE(failures.size() >= 1);
    CHECK(failures.front() == "cannot watch " + (folder / "closed") + ": Permission denied");
}

TEST_CASE("Path trail: which names lead to a file", "[watch]") {
    test::TempFolder folder;
    auto root = fs::canonical(folder.path()).string();
    fs::create_directory(folder / "real");
    folder.write("real/f", "");
    fs::create_directory_symlink("real", folder / "link");
    fs::create_symlink("../link/f", folder / "real/g");
    using Entries = std::vector<PathTrail::Entry>;
    auto plain = follow(root + "/real/f");
    CHECK((plain.entries == Entries{{root + "/real", "f"}}));
    CHECK(plain.file == root + "/real/f");
    auto twice = follow(root + "/./real/../link//g");
    CHECK((twice.entries ==
           Entries{{root, "link"}, {root + "/real", "g"}, {root, "link"}, {root + "/real", "f"}}));
    CHECK(twice.file == root + "/real/f");
    auto missing = follow(root + "/none/f");
    CHECK((missing.entries == Entries{{root, "none"}}));
    CHECK_FALSE(missing.file);
    fs::create_symlink("loop", folder / "loop");
    CHECK_FALSE(follow(root + "/loop").file);
    CHECK(mark_of(root + "/none") == FileMark{});
    CHECK_FALSE(mark_of(root + "/real/f") == FileMark{});
}
