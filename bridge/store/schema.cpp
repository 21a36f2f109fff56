#include "bridge/store/schema.hpp"

#include <fmt/format.h>

#include <array>

#include "bridge/store/fault_point.hpp"

namespace spoke::bridge {
namespace {

constexpr auto kVersion1 = R"sql(
CREATE TABLE commands (
    id             TEXT    NOT NULL UNIQUE,
    device         TEXT    NOT NULL,
    verb           TEXT    NOT NULL,
    args           TEXT    NOT NULL,
    condition      TEXT    NOT NULL,
    ref            TEXT    NOT NULL,
    lane           TEXT    NOT NULL,
    ttl_ms         INTEGER NOT NULL,
    if_offline     TEXT    NOT NULL,
    deliver        TEXT    NOT NULL,
    supersede      INTEGER NOT NULL,
    fail_if_busy   INTEGER NOT NULL,
    caller         TEXT    NOT NULL,
    trace          TEXT    NOT NULL,
    address        TEXT    NOT NULL,
    keys           TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    late           INTEGER NOT NULL,
    may_have_left  INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    n              INTEGER NOT NULL,
    accepted_at    INTEGER NOT NULL,
    deadline       INTEGER NOT NULL,
    boot           INTEGER,
    exp_up         INTEGER,
    took_ms        INTEGER,
    answer         TEXT    NOT NULL,
    why            TEXT    NOT NULL,
    timeline       TEXT    NOT NULL,
    arrows_audited INTEGER NOT NULL,
    settled_at     INTEGER
) STRICT;
CREATE INDEX commands_device ON commands(device, id);
CREATE INDEX commands_open ON commands(id) WHERE settled_at IS NULL;
CREATE INDEX commands_settled ON commands(settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE keys (
    key     TEXT NOT NULL PRIMARY KEY,
    command TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    id      TEXT    NOT NULL PRIMARY KEY,
    n       INTEGER NOT NULL DEFAULT 0,
    alias   TEXT    NOT NULL DEFAULT '',
    profile TEXT    NOT NULL DEFAULT '',
    tags    TEXT    NOT NULL DEFAULT '[]',
    deny    TEXT    NOT NULL DEFAULT '[]',
    version INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number  INTEGER NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    at_high INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    address TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    device  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    why     TEXT    NOT NULL,
    trace   TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    hash    BLOB    NOT NULL
) STRICT;
CREATE INDEX audit_device ON audit(device) WHERE device <> '';
CREATE INDEX audit_who ON audit(who);

CREATE TABLE audit_anchor (
    only   INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL,
    hash   BLOB    NOT NULL
) STRICT;
INSERT INTO audit_anchor VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_insert BEFORE INSERT ON audit
WHEN NEW.number <> 1 + coalesce((SELECT max(number) FROM audit),
                                (SELECT number FROM audit_anchor))
BEGIN SELECT RAISE(ABORT, 'a line of the audit trail can only be added at its end'); END;
CREATE TRIGGER audit_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'a line of the audit trail cannot be changed'); END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit
WHEN OLD.number > (SELECT number FROM audit_anchor)
BEGIN SELECT RAISE(ABORT, 'a line of the audit trail cannot be removed before the anchor is moved'); END;
CREATE TRIGGER audit_anchor_update BEFORE UPDATE ON audit_anchor
WHEN NEW.number <= OLD.number
  OR NOT EXISTS (SELECT 1 FROM audit WHERE number = NEW.number AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the anchor can only be moved to a line of the audit trail'); END;
CREATE TRIGGER audit_anchor_insert BEFORE INSERT ON audit_anchor
BEGIN SELECT RAISE(ABORT, 'there is one anchor'); END;
CREATE TRIGGER audit_anchor_delete BEFORE DELETE ON audit_anchor
BEGIN SELECT RAISE(ABORT, 'the anchor cannot be removed'); END;

CREATE TABLE marks (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

constexpr auto kVersion2 = R"sql(
CREATE TABLE log (
    only  INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    epoch TEXT    NOT NULL
) STRICT;
INSERT INTO log VALUES (1, lower(hex(randomblob(4))));

CREATE TABLE events (
    offset      INTEGER NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    topic       TEXT    NOT NULL,
    n           INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    type        TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    collapse    TEXT    NOT NULL,
    expires_at  INTEGER,
    from_broker INTEGER NOT NULL,
    encoding    TEXT    NOT NULL,
    data        TEXT    NOT NULL
) STRICT;
CREATE INDEX events_topic ON events(topic);
CREATE UNIQUE INDEX events_key ON events(key, topic) WHERE key <> '';

CREATE TABLE event_classes (
    filter       TEXT    NOT NULL PRIMARY KEY,
    place        INTEGER NOT NULL,
    events       INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    first        INTEGER NOT NULL,
    removed_upto INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE arrivals (
    upto     INTEGER NOT NULL PRIMARY KEY,
    arrivals BLOB    NOT NULL
) STRICT;

CREATE TABLE inbox_marks (
    who  TEXT    NOT NULL PRIMARY KEY,
    upto INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    name   TEXT    NOT NULL PRIMARY KEY,
    offset INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

constexpr auto kVersion3 = R"sql(
CREATE TABLE hooks (
    name             TEXT    NOT NULL PRIMARY KEY,
    url              TEXT    NOT NULL,
    topics           TEXT    NOT NULL,
    format           TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    why              TEXT    NOT NULL,
    secret           TEXT    NOT NULL,
    old_secret       TEXT    NOT NULL,
    old_secret_until INTEGER NOT NULL,
    begin            INTEGER NOT NULL,
    version          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hook_deliveries (
    hook     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    offset   INTEGER NOT NULL,
    topic    TEXT    NOT NULL,
    format   TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    made_at  INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    outcome  TEXT    NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (hook, id)
) STRICT;
)sql";

// The classes were counted in every transaction until then.
constexpr auto kVersion4 = R"sql(
ALTER TABLE events ADD COLUMN arrival BLOB;
INSERT INTO marks SELECT 'counted', coalesce(max(offset), 0) FROM events;
)sql";

constexpr std::array kSteps{SchemaStep{1, kVersion1}, SchemaStep{2, kVersion2},
                            SchemaStep{3, kVersion3}, SchemaStep{4, kVersion4}};

std::int64_t version_of(SqliteConnection& connection) {
    return connection.number("PRAGMA user_version");
}

/// The version, 0 for a file without anything in it.
std::int64_t check_identity(SqliteConnection& connection, std::string const& path,
                            std::int64_t newest) {
    auto id = connection.number("PRAGMA application_id");
    auto is_empty = connection.number("SELECT count(*) FROM sqlite_schema") == 0;
    if (id != kApplicationId && !is_empty) {
        throw std::runtime_error{
            fmt::format("{} is a database, but no store of spoke-bridge", path)};
    }
    auto version = version_of(connection);
    if (version > newest) {
        throw std::runtime_error{
            fmt::format("{} has schema version {}, made by a newer spoke-bridge; this one knows "
                        "versions up to {} and leaves it as it is",
                        path, version, newest)};
    }
    return version;
}

bool has_write_ahead_log(SqliteConnection& connection) {
    auto mode = connection.prepare("PRAGMA journal_mode = WAL");
    return mode.step() && mode.text(0) == "wal";
}

void take_step(SqliteConnection& connection, SchemaStep const& step) {
    connection.execute("BEGIN IMMEDIATE");
    try {
        connection.execute(step.sql);
        SPOKE_FAULT_POINT("store-migrate");
        connection.execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
        connection.execute(fmt::format("PRAGMA user_version = {}", step.version));
        connection.execute("COMMIT");
    } catch (SqliteError const&) {
        if (connection.is_in_transaction()) connection.execute("ROLLBACK");
        throw;
    }
}

}  // namespace

std::span<SchemaStep const> schema_steps() noexcept {
    return kSteps;
}

void migrate(SqliteConnection& connection, std::string const& path,
             std::span<SchemaStep const> steps) {
    auto version = check_identity(connection, path, steps.back().version);
    if (version == 0) connection.execute("PRAGMA auto_vacuum = INCREMENTAL");
    // What decides about durability is set before the first write.
    if (!has_write_ahead_log(connection)) {
        throw std::runtime_error{
            fmt::format("{} lies on a file system which SQLite cannot keep a log on", path)};
    }
    connection.execute("PRAGMA synchronous = FULL");
    for (auto const& step : steps) {
        if (step.version > version) take_step(connection, step);
    }
}

void check_schema(SqliteConnection& connection, std::string const& path) {
    auto newest = schema_steps().back().version;
    auto version = check_identity(connection, path, newest);
    if (version == newest) return;
    throw std::runtime_error{version == 0 ? fmt::format("{} holds nothing", path)
                                          : fmt::format("{} has schema version {}; start "
                                                        "spoke-bridge with it once",
                                                        path, version)};
}

}  // namespace spoke::bridge
