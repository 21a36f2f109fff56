#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bridge/store/audit_entry.hpp"
#include "bridge/store/sqlite.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge {

// How records lie in the columns of SCHEMA.md. Reading throws std::runtime_error, which names the
// row, where a column holds what this program would not have written.

/// The columns of a command in the order of read_command and CommandWrite.
inline constexpr std::string_view kCommandColumns =
    "id, device, verb, args, condition, ref, lane, ttl_ms, if_offline, deliver, supersede, "
    "fail_if_busy, caller, trace, address, keys, state, late, may_have_left, version, n, "
    "accepted_at, deadline, boot, exp_up, took_ms, answer, why, timeline, arrows_audited, "
    "settled_at";

[[nodiscard]] Command read_command(SqliteStatement const& row);

/// Writes commands, new or in place of an older record.
class CommandWrite {
public:
    explicit CommandWrite(SqliteConnection& connection);
    void run(Command const& command);

private:
    SqliteStatement open_;     // of a command that is not settled: its index of ends stays as it is
    SqliteStatement settled_;  // of one that is
    std::string id_{};
    std::string keys_{};
    std::string timeline_{};
};

/// The columns of a device in the order of read_device.
inline constexpr std::string_view kDeviceColumns = "id, n, alias, profile, tags, deny, version";

[[nodiscard]] StoredDevice read_device(SqliteStatement const& row);

/// The columns of a line of the trail in the order of read_audit_line.
inline constexpr std::string_view kAuditColumns =
    "number, at, who, address, what, device, subject, why, trace, detail, hash";

[[nodiscard]] AuditLine read_audit_line(SqliteStatement const& row);

/// A JSON array of texts.
[[nodiscard]] std::string json_of(std::vector<std::string> const& texts);

/// Throws std::runtime_error unless it is one.
[[nodiscard]] std::vector<std::string> texts_of(std::string_view json);

}  // namespace spoke::bridge
