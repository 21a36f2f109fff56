#include "bridge/store/sqlite_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bridge/store/schema.hpp"

namespace spoke::bridge {
namespace {

SqliteConnection connect(std::string const& path, std::string const& vfs) {
    SqliteConnection connection{path, SqliteAccess::read_write, vfs};
    connection.execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048");
    check_schema(connection, path);
    return connection;
}

std::string select_commands(std::string_view rest) {
    return fmt::format("SELECT {} FROM commands {}", kCommandColumns, rest);
}

std::string select_lines(std::string_view condition) {
    return fmt::format(
        "SELECT {} FROM audit WHERE {} number > ?1 AND at >= ?2 ORDER BY number LIMIT ?3",
        kAuditColumns, condition);
}

std::int64_t signed_of(std::uint64_t value) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::min(value, kMax));
}

std::optional<Command> first_command(SqliteStatement& statement) {
    SqliteReset reset{statement};
    if (!statement.step()) return std::nullopt;
    return read_command(statement);
}

}  // namespace

SqliteReader::SqliteReader(std::string const& path, std::string const& vfs)
    : connection_(connect(path, vfs)),
      find_(connection_.prepare(select_commands("WHERE id = ?1"))),
      find_by_key_(connection_.prepare(
          select_commands("WHERE id = (SELECT command FROM keys WHERE key = ?1)"))),
      of_device_(connection_.prepare(
          select_commands("WHERE device = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"))),
      open_of_device_(connection_.prepare(select_commands(
          "INDEXED BY commands_device WHERE device = ?1 AND id < ?2 AND settled_at IS NULL "
          "ORDER BY id DESC LIMIT ?3"))),
      lines_(connection_.prepare(select_lines(""))),
      // ?5: the second condition, where both are asked for; of one device there are fewer lines.
      lines_of_device_(connection_.prepare(
          select_lines("device <> '' AND device = ?4 AND (?5 = '' OR who = ?5) AND"))),
      lines_of_who_(connection_.prepare(select_lines("who = ?4 AND"))),
      ends_(connection_.prepare("SELECT coalesce((SELECT min(number) FROM audit), 1), "
                                "coalesce((SELECT max(number) FROM audit), 0)")),
      at_high_(connection_.prepare("SELECT at_high FROM audit WHERE number = ?1")),
      log_(connection_),
      hooks_(connection_) {}

std::optional<Command> SqliteReader::find(CommandId const& id) {
    auto text = id.text();
    find_.bind(1, text);
    return first_command(find_);
}

std::optional<Command> SqliteReader::find_by_key(std::string_view key) {
    find_by_key_.bind(1, key);
    return first_command(find_by_key_);
}

std::vector<Command> SqliteReader::commands(CommandQuery const& query) {
    constexpr std::string_view kAfterAllIds = "d";
    auto& statement = query.open_only ? open_of_device_ : of_device_;
    auto before = query.before ? query.before->text() : std::string{kAfterAllIds};
    SqliteReset reset{statement};
    statement.bind(1, query.device).bind(2, before).bind(3, signed_of(query.limit));
    std::vector<Command> out;
    while (statement.step()) out.push_back(read_command(statement));
    return out;
}

std::vector<AuditLine> SqliteReader::audit(AuditQuery const& query) {
    auto after = query.after;
    if (query.since > WallTime{}) after = std::max(after, first_line_since(query.since) - 1);
    auto& statement = !query.device.empty() ? lines_of_device_
                      : !query.who.empty()  ? lines_of_who_
                                            : lines_;
    SqliteReset reset{statement};
    statement.bind(1, signed_of(after))
        .bind(2, std::int64_t{query.since.time_since_epoch().count()})
        .bind(3, signed_of(query.limit));
    if (!query.device.empty()) {
        statement.bind(4, query.device).bind(5, query.who);
    } else if (!query.who.empty()) {
        statement.bind(4, query.who);
    }
    return lines(statement);
}

/// By halves: the latest moment up to a line never falls, whatever the clock did.
std::uint64_t SqliteReader::first_line_since(WallTime since) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    {
        SqliteReset reset{ends_};
        if (ends_.step()) {
            low = ends_.integer(0);
            high = ends_.integer(1) + 1;
        }
    }
    while (low < high) {
        auto middle = low + (high - low) / 2;
        SqliteReset reset{at_high_};
        at_high_.bind(1, middle);
        // A line that is gone has been removed as one of the oldest.
        auto is_before = !at_high_.step() ||
                         at_high_.integer(0) < std::int64_t{since.time_since_epoch().count()};
        if (is_before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return static_cast<std::uint64_t>(low);
}

std::vector<AuditLine> SqliteReader::lines(SqliteStatement& statement) {
    std::vector<AuditLine> out;
    while (statement.step()) out.push_back(read_audit_line(statement));
    return out;
}

void SqliteReader::visit_open(std::function<void(Command&&)> const& visit) {
    auto statement = connection_.prepare(select_commands("WHERE settled_at IS NULL ORDER BY id"));
    while (statement.step()) visit(read_command(statement));
}

void SqliteReader::visit_devices(std::function<void(StoredDevice&&)> const& visit) {
    auto statement =
        connection_.prepare(fmt::format("SELECT {} FROM devices ORDER BY id", kDeviceColumns));
    while (statement.step()) visit(read_device(statement));
}

}  // namespace spoke::bridge
