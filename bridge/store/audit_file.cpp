#include "bridge/store/audit_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <utility>

#include "bridge/store/rows.hpp"
#include "bridge/store/schema.hpp"

namespace spoke::bridge {
namespace {

constexpr std::int64_t kPageLines = 2'000;

SqliteConnection open_to_read(std::string const& path) {
    if (!std::filesystem::exists(path)) {
        throw std::runtime_error{fmt::format("{} does not exist", path)};
    }
    try {
        SqliteConnection connection{path, SqliteAccess::read_only};
        check_schema(connection, path);
        return connection;
    } catch (SqliteError const& error) {
        throw std::runtime_error{fmt::format("{} cannot be read: {}", path, error.what())};
    }
}

AuditChain chain_at(SqliteStatement const& row, std::string_view what) {
    auto hash = audit_hash_of(row.blob(1));
    if (!hash) throw std::runtime_error{fmt::format("the hash of {} has a wrong size", what)};
    return AuditChain{static_cast<std::uint64_t>(row.integer(0)), *hash};
}

std::int64_t ms_of(WallTime time) {
    return time.time_since_epoch().count();
}

}  // namespace

AuditFile::AuditFile(std::string const& path) : connection_(open_to_read(path)) {}

AuditFile::Page AuditFile::page_after(std::uint64_t after) {
    Page page;
    connection_.execute("BEGIN");
    auto anchor = connection_.prepare("SELECT number, hash FROM audit_anchor");
    if (!anchor.step()) throw std::runtime_error{"the audit trail has no anchor"};
    page.anchor = chain_at(anchor, "the anchor");
    anchor.reset();
    auto lines = connection_.prepare(fmt::format(
        "SELECT {}, at_high FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2", kAuditColumns));
    lines.bind(1, static_cast<std::int64_t>(after)).bind(2, kPageLines);
    while (lines.step()) {
        page.lines.push_back(read_audit_line(lines));
        page.at_highs.push_back(lines.integer(11));
    }
    connection_.execute("COMMIT");
    return page;
}

AuditChain AuditFile::chain_before(std::uint64_t line) {
    auto anchor = connection_.prepare("SELECT number, hash FROM audit_anchor");
    if (!anchor.step()) throw std::runtime_error{"the audit trail has no anchor"};
    auto removed = chain_at(anchor, "the anchor");
    anchor.reset();
    if (line == 0 || line == removed.number() + 1) return removed;
    if (line <= removed.number()) {
        throw std::runtime_error{fmt::format("line {} was removed; the trail begins with line {}",
                                             line, removed.number() + 1)};
    }
    auto before = connection_.prepare("SELECT number, hash FROM audit WHERE number = ?1");
    before.bind(1, static_cast<std::int64_t>(line - 1));
    if (!before.step()) throw std::runtime_error{fmt::format("there is no line {}", line - 1)};
    return chain_at(before, fmt::format("line {}", line - 1));
}

AuditFile::Verdict AuditFile::verify(std::uint64_t from, std::optional<AuditHash> const& head) {
    Verdict verdict;
    auto chain = chain_before(from);
    auto at_high = std::numeric_limits<std::int64_t>::min();
    auto is_first = true;
    verdict.first = chain.number() + 1;
    verdict.knows_head = !head || chain.hash() == *head;
    auto is_bad = [&](std::uint64_t number, std::string what) {
        verdict.problem = Problem{number, std::move(what)};
        verdict.head = chain;
        return verdict;
    };
    for (;;) {
        auto page = page_after(chain.number());
        // A bridge that runs has removed old lines faster than they were read.
        if (page.anchor.number() > chain.number()) {
            chain = page.anchor;
            is_first = true;
            verdict.knows_head = verdict.knows_head || chain.hash() == *head;
        }
        if (page.lines.empty()) break;
        for (std::size_t i = 0; i < page.lines.size(); ++i) {
            auto const& line = page.lines[i];
            auto number = chain.number() + 1;
            if (line.number != number) return is_bad(number, "is missing");
            auto next = chain;
            if (hex(next.add(line.entry)) != line.hash) {
                return is_bad(number, "does not have the hash that is stored with it");
            }
            // What was removed may have had a later moment.
            auto at = ms_of(line.entry.at);
            at_high = is_first ? page.at_highs[i] : std::max(at_high, std::int64_t{at});
            if (page.at_highs[i] != at_high || at > at_high) {
                return is_bad(number, "has a wrong at_high");
            }
            is_first = false;
            chain = std::move(next);
            ++verdict.lines;
            verdict.knows_head = verdict.knows_head || chain.hash() == *head;
        }
    }
    verdict.head = chain;
    return verdict;
}

void AuditFile::show(Filter const& filter, std::function<bool(AuditLine const&)> const& visit) {
    auto is_wanted = [&](AuditEntry const& entry) {
        return (filter.device.empty() || entry.device == filter.device) &&
               (filter.who.empty() || entry.who == filter.who) &&
               (filter.subject.empty() || entry.subject == filter.subject) &&
               entry.what.starts_with(filter.what) &&
               (!filter.since || entry.at >= *filter.since) &&
               (!filter.until || entry.at <= *filter.until);
    };
    for (auto after = filter.after;;) {
        auto page = page_after(after);
        if (page.lines.empty()) return;
        after = page.lines.back().number;
        for (auto const& line : page.lines) {
            if (is_wanted(line.entry) && !visit(line)) return;
        }
    }
}

}  // namespace spoke::bridge
