#include "bridge/store/retention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bridge/store/fault_point.hpp"
#include "bridge/store/rows.hpp"

namespace spoke::bridge {
namespace {

/// Lines that claim to be from so far ahead were written while the clock was wrong. They go with
/// their neighbours, or nothing behind them would ever go.
constexpr std::chrono::hours kClockErrorMin{1};

/// Of the whole file, at most so much stays free.
constexpr std::int64_t kFreeShare = 8;

std::int64_t ms_of(WallTime time) {
    return time.time_since_epoch().count();
}

std::int64_t one_number(SqliteStatement& statement) {
    SqliteReset reset{statement};
    return statement.step() ? statement.integer(0) : 0;
}

/// None where the column is damaged: the row has to go all the same.
std::vector<std::string> readable_texts(std::string_view json) {
    try {
        return texts_of(json);
    } catch (std::exception const&) {
        return {};
    }
}

}  // namespace

Retention::Retention(SqliteConnection& connection, Limits limits)
    : connection_(connection),
      limits_(limits),
      begin_(connection.prepare("BEGIN IMMEDIATE")),
      commit_(connection.prepare("COMMIT")),
      old_commands_(connection.prepare("SELECT rowid, id, keys FROM commands WHERE settled_at < ?1 "
                                       "ORDER BY settled_at LIMIT ?2")),
      remove_key_(connection.prepare("DELETE FROM keys WHERE key = ?1 AND command = ?2")),
      remove_command_(connection.prepare("DELETE FROM commands WHERE rowid = ?1")),
      old_lines_(connection.prepare("SELECT number, at, hash FROM audit ORDER BY number LIMIT ?1")),
      move_anchor_(connection.prepare("UPDATE audit_anchor SET number = ?1, hash = ?2")),
      remove_lines_(connection.prepare("DELETE FROM audit WHERE number <= ?1")),
      page_count_(connection.prepare("PRAGMA page_count")),
      free_pages_(connection.prepare("PRAGMA freelist_count")) {}

bool Retention::step(WallTime now) {
    auto removed = false;
    if (has_work(now)) {
        begin_.run();
        auto commands = remove_commands(now - limits_.keep);
        SPOKE_FAULT_POINT("store-retention-commands");
        auto lines = remove_audit(now);
        SPOKE_FAULT_POINT("store-retention-audit");
        commit_.run();
        SPOKE_FAULT_POINT("store-retention-committed");
        removed = std::max(commands, lines) >= limits_.rows_per_step;
    }
    return give_pages_back() || removed;
}

/// Looks before a transaction is begun: mostly there is nothing to do.
bool Retention::has_work(WallTime now) {
    {
        SqliteReset reset{old_commands_};
        old_commands_.bind(1, ms_of(now - limits_.keep)).bind(2, std::int64_t{1});
        if (old_commands_.step()) return true;
    }
    if (!limits_.audit_keep) return false;
    SqliteReset reset{old_lines_};
    old_lines_.bind(1, std::int64_t{1});
    if (!old_lines_.step()) return false;
    auto at = old_lines_.integer(1);
    return at < ms_of(now - *limits_.audit_keep) || at > ms_of(now + kClockErrorMin);
}

std::int64_t Retention::remove_commands(WallTime before) {
    struct Old {
        std::int64_t row;
        std::string id;
        std::vector<std::string> keys;
    };
    std::vector<Old> olds;
    {
        SqliteReset reset{old_commands_};
        old_commands_.bind(1, ms_of(before)).bind(2, limits_.rows_per_step);
        while (old_commands_.step()) {
            olds.push_back({old_commands_.integer(0), std::string{old_commands_.text(1)},
                            readable_texts(old_commands_.text(2))});
        }
    }
    for (auto const& old : olds) {
        for (auto const& key : old.keys) remove_key_.bind(1, key).bind(2, old.id).run();
        remove_command_.bind(1, old.row).run();
    }
    return static_cast<std::int64_t>(olds.size());
}

/// The lines before the first that must stay, and before them the anchor: the hash from which the
/// chain goes on.
std::int64_t Retention::remove_audit(WallTime now) {
    if (!limits_.audit_keep) return 0;
    auto oldest = ms_of(now - *limits_.audit_keep);
    auto newest = ms_of(now + kClockErrorMin);
    std::int64_t count = 0;
    std::int64_t last = 0;
    Buffer hash;
    {
        SqliteReset reset{old_lines_};
        old_lines_.bind(1, limits_.rows_per_step);
        while (old_lines_.step()) {
            auto at = old_lines_.integer(1);
            if (at >= oldest && at <= newest) break;
            last = old_lines_.integer(0);
            auto bytes = old_lines_.blob(2);
            hash.assign(bytes.begin(), bytes.end());
            ++count;
        }
    }
    if (count == 0) return 0;
    move_anchor_.bind(1, last).bind(2, Bytes{hash}).run();
    remove_lines_.bind(1, last).run();
    return count;
}

bool Retention::give_pages_back() {
    auto free = one_number(free_pages_);
    auto reserve = std::max(limits_.free_pages_min, one_number(page_count_) / kFreeShare);
    if (free <= reserve) return false;
    auto pages = std::min(free - reserve, limits_.pages_per_step);
    connection_.execute(fmt::format("PRAGMA incremental_vacuum({})", pages));
    return free - pages > reserve;
}

}  // namespace spoke::bridge
