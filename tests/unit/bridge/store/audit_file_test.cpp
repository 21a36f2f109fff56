#include "bridge/store/audit_file.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/bridge/store/forms.hpp"
#include "tests/unit/bridge/store/random_writes.hpp"

namespace spoke::bridge::test {
namespace {

/// Some hundred random lines.
std::size_t fill(SqliteForm& form, RandomWrites& script, int steps = 150) {
    std::size_t lines = 0;
    for (auto i = 0; i < steps; ++i) {
        auto step = script.next();
        lines += step.lines.size();
        step.run(form.both(), form.done());
    }
    form.await_all();
    return lines;
}

/// As somebody would who has the file and wants to hide something.
void tamper(SqliteForm& form, std::string const& sql) {
    form.close();
    SqliteConnection connection{form.settings.path, SqliteAccess::read_write};
    connection.execute("DROP TRIGGER audit_update; DROP TRIGGER audit_delete; " + sql);
}

}  // namespace

TEST_CASE("audit trail: the hash of a line is SHA-256 of the bytes that SCHEMA.md tells",
          "[bridge][store][audit]") {
    AuditEntry entry;
    entry.at = WallTime{std::chrono::milliseconds{1'795'374'000'000}};
    entry.who = "user:7777";
    entry.what = "command.queued";
    entry.device = "b42";
    AuditChain chain;
    // Computed by Python's hashlib:
    //   h = lambda p, n, at, *t: sha256(p + n.to_bytes(8, 'big') + at.to_bytes(8, 'big') +
    //   b''.join(
    //       len(x).to_bytes(4, 'big') + x for x in t)).hexdigest()
    //   h(bytes(32), 1, 1795374000000, b'user:7777', b'', b'command.queued', b'b42', b'', b'', b'',
    //   b'')
    CHECK(hex(chain.add(entry)) ==
          "8d9b7a1d38da4864f5a27e89f47759a87e0b2b93b86cef336c4cc42cf6dc0a1b");
    entry.why = "r1";
    CHECK(hex(chain.add(entry)) ==
          "6daa93ec65b592f777ee7e0bbb2249056b481661ae710237eb3b9ab4cd6d452b");
    CHECK(chain.number() == 2);
    CHECK(parse_audit_hash(hex(chain.hash())) == chain.hash());
    CHECK_FALSE(parse_audit_hash("12"));
    CHECK_FALSE(parse_audit_hash(std::string(64, 'g')));
}

TEST_CASE("audit trail: what the store wrote is verified, while it is open and after",
          "[bridge][store][audit]") {
    SqliteForm form;
    CHECK(AuditFile{form.settings.path}.verify().lines == 0);
    RandomWrites script{1};
    auto lines = fill(form, script);
    auto verdict = AuditFile{form.settings.path}.verify();
    CHECK_FALSE(verdict.problem);
    CHECK(verdict.lines == lines);
    CHECK(verdict.head.number() == lines);
    CHECK(verdict.first == 1);
    auto noted = verdict.head.hash();
    lines += fill(form, script);
    form.close();
    AuditFile file{form.settings.path};
    CHECK(file.verify(0, noted).knows_head);
    CHECK(file.verify(0, noted).head.number() == lines);
    CHECK(file.verify(100).lines == lines - 99);
    CHECK_FALSE(file.verify(0, AuditHash{std::byte{1}}).knows_head);
    CHECK_THROWS_WITH(static_cast<void>(file.verify(lines + 2)), Catch::Contains("no line"));
}

TEST_CASE("audit trail: each change of it is found at its line", "[bridge][store][audit]") {
    struct Change {
        char const* sql;
        std::uint64_t line;  // 0: only the noted hash finds it
    };
    auto change =
        GENERATE(Change{"UPDATE audit SET who = 'user:0' WHERE number = 17", 17},
                 Change{"UPDATE audit SET at = at + 1 WHERE number = 1", 1},
                 Change{"UPDATE audit SET at_high = at_high + 1 WHERE number = 20", 20},
                 Change{"UPDATE audit SET hash = zeroblob(32) WHERE number = 40", 40},
                 Change{"UPDATE audit SET hash = 'x' WHERE number = 40", 40},
                 Change{"UPDATE audit SET why = '', device = device || why WHERE number = 30", 30},
                 Change{"DELETE FROM audit WHERE number = 23", 23},
                 Change{"DELETE FROM audit WHERE number = 1", 1},
                 Change{"DELETE FROM audit WHERE number > 100", 0});
    INFO(change.sql);
    SqliteForm form;
    RandomWrites script{2};
    fill(form, script);
    auto noted = AuditFile{form.settings.path}.verify().head.hash();
    // STRICT tables take no text for a hash, and the row that is changed must say something.
    if (std::string_view{change.sql}.find("'x'") != std::string_view::npos) {
        CHECK_THROWS_AS(tamper(form, change.sql), SqliteError);
        return;
    }
    tamper(form, std::string{"DROP TRIGGER audit_insert; "} + change.sql);
    auto verdict = AuditFile{form.settings.path}.verify(0, noted);
    if (change.line == 0) {
        CHECK_FALSE(verdict.problem);
        CHECK_FALSE(verdict.knows_head);
        CHECK(verdict.head.number() == 100);
    } else {
        REQUIRE(verdict.problem);
        CHECK(verdict.problem->line == change.line);
        CHECK(verdict.lines == change.line - 1);
    }
}

TEST_CASE("audit trail: SQL alone does not change it", "[bridge][store][audit]") {
    SqliteForm form;
    RandomWrites script{3};
    fill(form, script, 20);
    SqliteConnection connection{form.settings.path, SqliteAccess::read_write};
    for (
        auto const* sql :
        {"UPDATE audit SET who = 'x' WHERE number = 2", "DELETE FROM audit WHERE number = 2",
         "DELETE FROM audit", "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE number = 2",
         "INSERT INTO audit SELECT number + 1000, at, at_high, who, address, what, device, subject, "
         "why, trace, detail, hash FROM audit WHERE number = 2",
         "UPDATE audit_anchor SET number = 5, hash = zeroblob(32)",
         "UPDATE audit_anchor SET number = -1", "DELETE FROM audit_anchor",
         "INSERT OR REPLACE INTO audit_anchor VALUES (1, 7, zeroblob(32))"}) {
        INFO(sql);
        CHECK_THROWS_AS(connection.execute(sql), SqliteError);
    }
    CHECK_FALSE(AuditFile{form.settings.path}.verify().problem);
}

TEST_CASE("audit trail: lines are shown by what is asked for", "[bridge][store][audit]") {
    SqliteForm form;
    RandomWrites script{4};
    fill(form, script);
    auto const all = form.store().audit({.limit = 10'000});
    AuditFile file{form.settings.path};
    auto shown = [&](AuditFile::Filter const& filter) {
        std::vector<std::uint64_t> out;
        file.show(filter, [&](AuditLine const& line) {
            out.push_back(line.number);
            return true;
        });
        return out;
    };
    auto expected = [&](auto const& is_wanted) {
        std::vector<std::uint64_t> out;
        for (auto const& line : all) {
            if (is_wanted(line)) out.push_back(line.number);
        }
        return out;
    };
    auto when = all[all.size() / 2].entry.at;
    CHECK(shown({}) == expected([](AuditLine const&) { return true; }));
    CHECK(shown({.after = 7}) == expected([](AuditLine const& line) { return line.number > 7; }));
    CHECK(shown({.device = "b1"}) ==
          expected([](AuditLine const& line) { return line.entry.device == "b1"; }));
    CHECK(shown({.who = "broker"}) ==
          expected([](AuditLine const& line) { return line.entry.who == "broker"; }));
    CHECK(shown({.subject = script.ids()[3].text()}) == expected([&](AuditLine const& line) {
              return line.entry.subject == script.ids()[3].text();
          }));
    CHECK(shown({.what = "command."}) ==
          expected([](AuditLine const& line) { return line.entry.what.starts_with("command."); }));
    CHECK(shown({.since = when}) ==
          expected([&](AuditLine const& line) { return line.entry.at >= when; }));
    CHECK(shown({.until = when}) ==
          expected([&](AuditLine const& line) { return line.entry.at <= when; }));
}

TEST_CASE("audit trail: a file that is no store is told from one", "[bridge][store][audit]") {
    spoke::test::TempFolder folder;
    CHECK_THROWS_WITH(AuditFile{folder / "none.db"}, Catch::Contains("does not exist"));
    CHECK_THROWS_WITH(AuditFile{folder.write("text.db", "this is no database, but long enough")},
                      Catch::Contains("text.db"));
    SqliteConnection{folder / "other.db", SqliteAccess::read_write}.execute(
        "CREATE TABLE a (b INTEGER)");
    CHECK_THROWS_WITH(AuditFile{folder / "other.db"}, Catch::Contains("no store of spoke-bridge"));
}

}  // namespace spoke::bridge::test
