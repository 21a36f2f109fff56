#include "broker/auth/access_control.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/temp_folder.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace std::chrono_literals;
using mqtt::ReasonCode;

namespace {

std::string password_line(std::string_view user, std::string_view password) {
    Sha512Hash form{"salt", std::string(64, '\0')};
    return std::string{user} + ":" + to_text(hash_like(form, password)) + "\n";
}

AuthVerdict verdict(Authenticator& authenticator, Credentials credentials) {
    std::promise<AuthVerdict> told;
    auto at_once = authenticator.authenticate(
        std::move(credentials), [&told](AuthVerdict later) { told.set_value(later); });
    return at_once ? *at_once : told.get_future().get();
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

TEST_CASE("AccessControl: a listener without files and with anonymous clients is open", "[auth]") {
    AccessControl access{{AccessSettings{}}, {}};
    CHECK(access.authenticator(0) == nullptr);
    CHECK(access.authorizer(0) == nullptr);
    CHECK(access.reload_items().empty());
    access.stop();
}

TEST_CASE("AccessControl: every listener has its own files, equal ones are read once", "[auth]") {
    test::TempFolder folder;
    auto users = folder.write("users", password_line("bob", "open"));
    auto others = folder.write("others", password_line("amy", "open"));
    auto rules = folder.write("acl", "user bob\ntopic read a\n");
    AccessControl access{
        {{false, users, "", rules}, {true, others, "", rules}, {false, "", "", ""}}, {}};
    Credentials bob{"c", "bob", to_buffer("open")};
    CHECK(verdict(*access.authenticator(0), bob) == ReasonCode::success);
    CHECK(verdict(*access.authenticator(0), {"c"}) == ReasonCode::not_authorized);
    CHECK(verdict(*access.authenticator(1), bob) == ReasonCode::bad_user_name_or_password);
    CHECK(verdict(*access.authenticator(1), {"c"}) == ReasonCode::success);
    CHECK(verdict(*access.authenticator(2), bob) == ReasonCode::bad_user_name_or_password);
    CHECK(access.authorizer(1)->access_of("c", "bob")->may_receive("a"));
    CHECK(access.authorizer(2) == nullptr);
    CHECK(access.reload_items().size() == 3);
    access.stop();
    CHECK(verdict(*access.authenticator(0), bob) == ReasonCode::server_busy);
}

TEST_CASE("AccessControl: rules alone do not let anyone take a name", "[auth][acl]") {
    test::TempFolder folder;
    AccessControl access{{{true, "", "", folder.write("acl", "user bob\ntopic #\n")}}, {}};
    REQUIRE(access.authenticator(0) != nullptr);
    CHECK(verdict(*access.authenticator(0), {"c"}) == ReasonCode::success);
    CHECK(verdict(*access.authenticator(0), {"c", "bob", to_buffer("x")}) ==
          ReasonCode::bad_user_name_or_password);
}

TEST_CASE("AccessControl: a bad file stops the start", "[auth]") {
    test::TempFolder folder;
    auto bad = folder.write("bad", "x\n");
    CHECK_THROWS_WITH((AccessControl{{{true, bad, "", ""}}, {}}),
                      bad + ":1: no ':' behind the user name");
    CHECK_THROWS_WITH((AccessControl{{{true, "", folder / "none", ""}}, {}}),
                      (folder / "none") + ": No such file or directory");
}

TEST_CASE("Reloads: changed files are read again, bad ones keep the old", "[auth][watch]") {
    test::TempFolder folder;
    auto users = folder.write("users", password_line("bob", "open"));
    auto rules = folder.write("acl", "pattern read a\n");
    AccessControl access{{{false, users, "", rules}}, {}};
    LogLines lines;
    Reloads reloads{access.reload_items(), lines.log(), {20ms, 2'000ms, {}}};
    Credentials bob{"c", "bob", to_buffer("shut")};
    CHECK(verdict(*access.authenticator(0), bob) == ReasonCode::bad_user_name_or_password);

    std::filesystem::rename(folder.write("new", password_line("bob", "shut")), users);
    lines.await(LogLevel::info, users + " read again");
    CHECK(verdict(*access.authenticator(0), bob) == ReasonCode::success);

    folder.write("acl", "pattern read a\npattern wrong b\n");
    lines.await(LogLevel::error,
                rules +
                    ":2: unknown access 'wrong'; expected read, write, readwrite or deny, which "
                    "must stand before a filter with blanks; the old content still holds");
    CHECK(access.authorizer(0)->access_of("c", "bob")->may_receive("a"));

    folder.write("acl", "pattern read b\n");
    lines.await(LogLevel::info, rules + " read again");
    CHECK_FALSE(access.authorizer(0)->access_of("c", "bob")->may_receive("a"));
    CHECK(access.authorizer(0)->access_of("c", "bob")->may_receive("b"));

    std::filesystem::remove(rules);
    lines.await(LogLevel::error,
                rules + ": No such file or directory; the old content still holds");
    CHECK(access.authorizer(0)->access_of("c", "bob")->may_receive("b"));
}

TEST_CASE("Reloads: all items are read when it begins and when asked to", "[auth][watch]") {
    test::TempFolder folder;
    auto rules = folder.write("acl", "pattern read a\n");
    AccessControl access{{{true, "", "", rules}}, {}};
    folder.write("acl", "pattern read b\n");
    LogLines lines;
    Reloads reloads{access.reload_items(), lines.log(), {1h, 1h, {}}};
    CHECK(access.authorizer(0)->access_of("c", std::nullopt)->may_receive("b"));
    CHECK(lines.count(LogLevel::debug) == 1);

    folder.write("acl", "pattern read c\n");
    reloads.reload_all();
    lines.await(LogLevel::info, rules + " read again");
    CHECK(access.authorizer(0)->access_of("c", std::nullopt)->may_receive("c"));
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
