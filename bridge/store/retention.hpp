#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "bridge/store/sqlite.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// Removes what was kept long enough, a little at a time: settled commands with their keys, the
/// oldest lines of the trail; and gives pages back to the file system.
/// Errors  SqliteError; a step that failed has changed nothing.  Thread  that of the connection.
class Retention {
public:
    struct Limits {
        std::chrono::milliseconds keep{std::chrono::hours{24}};
        std::optional<std::chrono::milliseconds> audit_keep{};  // nullopt: for ever
        std::int64_t rows_per_step = 200;                       // commands, and lines of the trail
        std::int64_t pages_per_step = 64;
        std::int64_t free_pages_min = 4'096;  // they stay, for what is written next
    };

    Retention(SqliteConnection& connection, Limits limits);

    /// Whether there is more to do at once.
    [[nodiscard]] bool step(WallTime now);

private:
    [[nodiscard]] bool has_work(WallTime now);
    std::int64_t remove_commands(WallTime before);
    std::int64_t remove_audit(WallTime now);
    bool give_pages_back();

    SqliteConnection& connection_;  // outlives this
    Limits limits_;
    SqliteStatement begin_;
    SqliteStatement commit_;
    SqliteStatement old_commands_;
    SqliteStatement remove_key_;
    SqliteStatement remove_command_;
    SqliteStatement old_lines_;
    SqliteStatement move_anchor_;
    SqliteStatement remove_lines_;
    SqliteStatement page_count_;
    SqliteStatement free_pages_;
};

}  // namespace spoke::bridge
