#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "bridge/store/audit_file.hpp"
#include "bridge/store/fault_point.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/bridge/store/forms.hpp"
#include "tests/unit/bridge/store/random_writes.hpp"

// ThreadSanitizer does not let a child of a process that had threads begin a thread.
#if defined(SPOKE_FAULT_POINTS) && !defined(__SANITIZE_THREAD__)

namespace spoke::bridge::test {
namespace {

constexpr std::size_t kSteps = 250;

/// Every point that the sources of the store name: those of the retention, or the others.
std::vector<std::string> fault_points(bool of_retention) {
    std::set<std::string> points;
    std::regex const pattern{R"re(SPOKE_FAULT_POINT\("([^"]+)"\))re"};
    for (auto const& entry : std::filesystem::directory_iterator{SPOKE_STORE_SOURCES}) {
        if (entry.path().extension() != ".cpp") continue;
        std::ostringstream text;
        text << std::ifstream{entry.path()}.rdbuf();
        auto source = text.str();
        for (std::sregex_iterator at{source.begin(), source.end(), pattern}, end; at != end; ++at) {
            auto point = (*at)[1].str();
            if (point.starts_with("store-retention") == of_retention) points.insert(point);
        }
    }
    return {points.begin(), points.end()};
}

/// So that a run of some hundred writes comes by every point: it cleans and copies the log all the
/// time.
SqliteStore::Settings busy_settings(std::string const& path) {
    SqliteStore::Settings settings;
    settings.path = path;
    settings.classes = RandomWrites::classes();
    settings.clean_every = 0ms;
    settings.clean_rows = 3;
    settings.keep = 100h;
    settings.log_pages_max = 32;
    return settings;
}

struct Report {
    std::uint32_t step;
    std::uint32_t stored;
};

/// In the child: asks for writes and reports each outcome, until it is killed or is done.
[[noreturn]] void be_the_victim(std::string const& path, std::uint64_t seed, int pipe) {
    {
        SqliteForm form{busy_settings(path)};
        RandomWrites script{seed};
        std::mt19937_64 random{seed};
        std::size_t reported = 0;
        auto report = [&] {
            for (; reported < form.outcomes.size(); ++reported) {
                auto const& [step, stored] = form.outcomes[reported];
                Report line{static_cast<std::uint32_t>(step), stored};
                if (write(pipe, &line, sizeof line) != sizeof line) std::_Exit(2);
            }
        };
        for (std::size_t i = 0; i < kSteps; ++i) {
            script.next().run(form.both(), form.done());
            if (random() % 4 == 0) {
                auto enough = form.outcomes.size() + random() % 3;
                form.tasks.run_until([&] {
                    report();
                    return form.outcomes.size() >= std::min(enough, form.asked);
                });
            }
        }
        form.await_all();
        report();
    }
    std::_Exit(0);
}

struct Victim {
    std::vector<Outcome> outcomes;
    bool was_killed = false;
};

/// Runs a child until it dies in the N-th passage of `point`, or, without a point, some time after
/// its N-th report.
Victim run_victim(std::string const& path, std::uint64_t seed, char const* point, long pass) {
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    auto child = fork();
    if (child == 0) {
        close(ends[0]);
        if (point != nullptr) arm_fault_point(point, pass);
        be_the_victim(path, seed, ends[1]);
    }
    close(ends[1]);
    Victim victim;
    victim.outcomes.resize(kSteps);
    Report line{};
    for (auto count = 1L; read(ends[0], &line, sizeof line) == sizeof line; ++count) {
        victim.outcomes.at(line.step) = line.stored != 0;
        if (point == nullptr && count == pass) kill(child, SIGKILL);
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    victim.was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!victim.was_killed) CHECK(status == 0);
    return victim;
}

void check_what_is_left(std::string const& path, std::uint64_t seed, Victim const& victim) {
    auto settings = busy_settings(path);
    settings.clean_every = 1h;
    SqliteForm form{settings};
    RandomWrites script{seed};
    std::vector<RandomWrites::Step> steps;
    for (std::size_t i = 0; i < kSteps; ++i) steps.push_back(script.next());
    CHECK(judge(form.both(), script, steps, victim.outcomes) == "");
    // And it goes on from there.
    form.store().append({}, form.done());
    form.await_all();
    CHECK(form.outcomes.back().second);
}

}  // namespace

TEST_CASE("SQLite store: killed at every point of a write, it has what it told",
          "[bridge][store]") {
    auto points = fault_points(false);
    REQUIRE(points.size() >= 10);
    auto seed = spoke::test::seed_or(9'000);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (auto const& point : points) {
        auto passes = {1L, 2L + static_cast<long>(random() % 25)};
        auto killed = 0;
        for (auto pass : passes) {
            INFO(point << ":" << pass);
            spoke::test::TempFolder folder;
            auto path = folder / "store.db";
            auto victim =
                run_victim(path, seed + static_cast<std::uint64_t>(pass), point.c_str(), pass);
            killed += victim.was_killed ? 1 : 0;
            check_what_is_left(path, seed + static_cast<std::uint64_t>(pass), victim);
        }
        INFO(point);
        CHECK(killed > 0);  // else nothing was tested here
    }
}

TEST_CASE("SQLite store: killed while old rows are removed, it has them in full or not",
          "[bridge][store]") {
    auto seed = spoke::test::seed_or(9'050);
    INFO("SPOKE_SEED=" << seed);
    for (auto const& point : fault_points(true)) {
        for (auto pass : {1L, 4L}) {
            INFO(point << ":" << pass);
            spoke::test::TempFolder folder;
            auto settings = busy_settings(folder / "store.db");
            settings.clean_every = 1h;
            auto open_before = std::size_t{0};
            {
                SqliteForm form{settings};
                RandomWrites script{seed};
                for (std::size_t i = 0; i < kSteps; ++i)
                    script.next().run(form.both(), form.done());
                form.await_all();
                open_before = contents_of(form.both(), script).open.size();
            }
            // All that is settled is old now, and so are all lines.
            settings.clean_every = 0ms;
            settings.audit_keep = 1h;
            auto child = fork();
            if (child == 0) {
                arm_fault_point(point.c_str(), pass);
                SqliteForm form{settings};
                form.close();
                form.clock = [] {
                    return Now{FakeClock{}.now.steady, FakeClock{}.now.wall + 1'000h};
                };
                form.open();
                for (;;) pause();
            }
            int status = 0;
            waitpid(child, &status, 0);
            CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
            settings.clean_every = 1h;
            SqliteForm form{settings};
            CHECK_FALSE(AuditFile{settings.path}.verify().problem);
            SqliteConnection connection{settings.path, SqliteAccess::read_only};
            CHECK(connection.number("SELECT count(*) FROM commands WHERE settled_at IS NULL") ==
                  static_cast<std::int64_t>(open_before));
            CHECK(
                connection.number("SELECT count(*) FROM keys WHERE command NOT IN (SELECT id FROM "
                                  "commands)") == 0);
            CHECK(connection.number("SELECT count(*) FROM commands WHERE settled_at IS NOT NULL") >
                  0);
        }
    }
}

TEST_CASE("SQLite store: killed at random, it has what it told", "[bridge][store]") {
    auto seed = spoke::test::seed_or(9'100) + static_cast<std::uint64_t>(GENERATE(range(0, 15)));
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    spoke::test::TempFolder folder;
    auto path = folder / "store.db";
    auto victim = run_victim(path, seed, nullptr, 1 + static_cast<long>(random() % 200));
    check_what_is_left(path, seed, victim);
}

}  // namespace spoke::bridge::test

#endif
