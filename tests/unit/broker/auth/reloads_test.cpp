#include "broker/auth/reloads.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/auth/open_files.hpp"
#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace std::chrono_literals;

namespace {

bool may_read(Reloadable<AclFile> const& rules, std::string_view topic) {
    return rules.snapshot()->access_of("c", std::nullopt)->may_receive(topic);
}

/// Takes the log and lets the test await a line of it.
class LogLines {
public:
    [[nodiscard]] Reloads::Log log() {
        return [this](LogLevel level, std::string const& text) {
            std::lock_guard lock{mutex_};
            lines_.emplace_back(level, text);
            changed_.notify_all();
        };
    }

    void await(LogLevel level, std::string const& text) {
        std::unique_lock lock{mutex_};
        auto is_there = [&] {
            for (; seen_ < lines_.size(); ++seen_) {
                if (lines_[seen_] == std::pair{level, text}) return true;
            }
            return false;
        };
        if (!changed_.wait_for(lock, 60s, is_there)) FAIL("not logged: " << text);
        ++seen_;
    }

    [[nodiscard]] std::size_t count(LogLevel level) {
        std::lock_guard lock{mutex_};
        std::size_t lines = 0;
        for (auto const& line : lines_) lines += line.first == level;
        return lines;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::pair<LogLevel, std::string>> lines_;
    std::size_t seen_ = 0;
};

}  // namespace

TEST_CASE("Reloads: changed files are read again, bad ones keep the old", "[auth][watch]") {
    test::TempFolder folder;
    auto path = folder.write("acl", "topic read a\n");
    auto other_path = folder.write("other", "topic read a\n");
    auto rules = open_acl_file(path);
    auto other_rules = open_acl_file(other_path);
    LogLines lines;
    Reloads reloads{
        {reload_item(*rules), reload_item(*other_rules)}, lines.log(), {20ms, 2'000ms, {}}};
    CHECK(may_read(*rules, "a"));

    std::filesystem::rename(folder.write("new", "topic read b\n"), path);
    lines.await(LogLevel::info, path + " read again");
    CHECK_FALSE(may_read(*rules, "a"));
    CHECK(may_read(*rules, "b"));

    folder.write("acl", "topic read a\ntopic\n");
    lines.await(LogLevel::error,
                path + ":2: no filter behind 'topic'; the old content still holds");
    CHECK(may_read(*rules, "b"));

    std::filesystem::remove(path);
    lines.await(LogLevel::error, path + ": No such file or directory; the old content still holds");
    CHECK(may_read(*rules, "b"));
    CHECK(other_rules->generation() == 2);
}

TEST_CASE("Reloads: all items are read when it begins and when asked to", "[auth][watch]") {
    test::TempFolder folder;
    auto path = folder.write("acl", "topic read a\n");
    auto rules = open_acl_file(path);
    folder.write("acl", "topic read b\n");
    LogLines lines;
    Reloads reloads{{reload_item(*rules)}, lines.log(), {1h, 1h, {}}};
    CHECK(may_read(*rules, "b"));
    CHECK(lines.count(LogLevel::debug) == 1);

    folder.write("acl", "topic read c\n");
    reloads.reload_all();
    lines.await(LogLevel::info, path + " read again");
    CHECK(may_read(*rules, "c"));
}

TEST_CASE("Reloads: an item is read again for each of its files, once for a burst",
          "[auth][watch]") {
    test::TempFolder folder;
    auto cert = folder.write("cert", "1");
    auto key = folder.write("key", "1");
    LogLines lines;
    auto reload = [&]() -> std::optional<std::string> {
        if (folder.read("cert") == folder.read("key")) return std::nullopt;
        return "they do not fit";
    };
    Reloads reloads{{{{cert, key}, reload}}, lines.log(), {500ms, 60s, {}}};
    folder.write("cert", "22");
    lines.await(LogLevel::error, "they do not fit; the old content still holds");
    folder.write("key", "22");
    lines.await(LogLevel::info, cert + ", " + key + " read again");
    folder.write("cert", "333");
    folder.write("key", "333");
    lines.await(LogLevel::info, cert + ", " + key + " read again");
    CHECK(lines.count(LogLevel::error) == 1);
    CHECK(lines.count(LogLevel::info) == 2);
}
