#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/store/event_reader.hpp"
#include "bridge/store/hook_rows.hpp"
#include "bridge/store/rows.hpp"
#include "bridge/store/sqlite.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge {

/// The connection that reads; it sees what has been committed.
/// Errors  std::runtime_error from every read.  Thread  one at a time.
class SqliteReader {
public:
    SqliteReader(std::string const& path, std::string const& vfs);

    [[nodiscard]] std::optional<Command> find(CommandId const& id);
    [[nodiscard]] std::optional<Command> find_by_key(std::string_view key);
    [[nodiscard]] std::vector<Command> commands(CommandQuery const& query);
    [[nodiscard]] std::vector<AuditLine> audit(AuditQuery const& query);
    void visit_open(std::function<void(Command&&)> const& visit);
    void visit_devices(std::function<void(StoredDevice&&)> const& visit);

    [[nodiscard]] EventReader& log() noexcept { return log_; }
    [[nodiscard]] HookReader& hooks() noexcept { return hooks_; }

private:
    std::uint64_t first_line_since(WallTime since);
    [[nodiscard]] std::vector<AuditLine> lines(SqliteStatement& statement);

    SqliteConnection connection_;
    SqliteStatement find_;
    SqliteStatement find_by_key_;
    SqliteStatement of_device_;
    SqliteStatement open_of_device_;
    SqliteStatement lines_;
    SqliteStatement lines_of_device_;
    SqliteStatement lines_of_who_;
    SqliteStatement ends_;
    SqliteStatement at_high_;
    EventReader log_;
    HookReader hooks_;
};

}  // namespace spoke::bridge
