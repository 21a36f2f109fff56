#include "bridge/store/sqlite_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "bridge/store/fault_point.hpp"
#include "bridge/store/schema.hpp"

namespace spoke::bridge {
namespace {

SqliteConnection connect(SqliteWriter::Settings const& settings, bool after_io_error) {
    auto const& path = settings.path;
    SqliteConnection connection{path, SqliteAccess::read_write, settings.vfs};
    migrate(connection, path);
    connection.execute("PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY");
    if (connection.checkpoint(true)) return connection;
    if (after_io_error) {
        throw std::runtime_error{
            fmt::format("{} is being read by another program, which has to end first", path)};
    }
    // A commit syncs the whole log, and so what a process that was killed has left in it.
    connection.execute(
        "BEGIN IMMEDIATE; INSERT INTO marks VALUES ('start', 1) "
        "ON CONFLICT (name) DO UPDATE SET value = value + 1; COMMIT");
    return connection;
}

std::int64_t one_number(SqliteStatement& statement) {
    SqliteReset reset{statement};
    return statement.step() ? statement.integer(0) : 0;
}

/// Sequence numbers grow by one and never come near the end of what SQLite can compare.
std::int64_t comparable(std::uint64_t n) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::min(n, kMax));
}

}  // namespace

SqliteWriter::Open::Open(Settings const& settings, EventClasses const& classes, bool after_io_error)
    : connection(connect(settings, after_io_error)),
      begin(connection.prepare("BEGIN IMMEDIATE")),
      commit(connection.prepare("COMMIT")),
      rollback(connection.prepare("ROLLBACK")),
      command(connection),
      key(connection.prepare("INSERT INTO keys VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET "
                             "command = excluded.command WHERE command <> excluded.command")),
      device_n(connection.prepare("INSERT INTO devices (id, n) VALUES (?1, ?2) ON CONFLICT (id) DO "
                                  "UPDATE SET n = excluded.n WHERE n < excluded.n")),
      device(connection.prepare(
          "INSERT INTO devices (id, alias, profile, tags, deny, version) VALUES (?1, ?2, ?3, ?4, "
          "?5, ?6) ON CONFLICT (id) DO UPDATE SET alias = excluded.alias, profile = "
          "excluded.profile, tags = excluded.tags, deny = excluded.deny, version = "
          "excluded.version")),
      erase_device(connection.prepare("UPDATE devices SET alias = '', profile = '', tags = '[]', "
                                      "deny = '[]', version = 0 WHERE id = ?1")),
      audit(connection.prepare(
          "INSERT INTO audit (number, at, at_high, who, address, what, device, subject, why, "
          "trace, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")),
      mark(connection.prepare("INSERT INTO marks VALUES ('write', ?1) ON CONFLICT (name) DO UPDATE "
                              "SET value = excluded.value")),
      page_count(connection.prepare("PRAGMA page_count")),
      free_pages(connection.prepare("PRAGMA freelist_count")),
      retention(connection, settings.retention),
      log(connection, classes),
      hooks(connection),
      page_bytes(static_cast<int>(connection.number("PRAGMA page_size"))) {}

void SqliteWriter::open() {
    open_.reset();
    try {
        open_ = std::make_unique<Open>(settings_, classes_, is_broken_);
        load_state();
        is_broken_ = false;
        log_pages_due_ = settings_.log_pages_max;
        log_room_ = 0;
        bytes_ = measured();
    } catch (std::exception const& error) {
        open_.reset();
        problem_ = error.what();
        throw std::runtime_error{problem_};
    }
}

void SqliteWriter::load_state() {
    auto& connection = open_->connection;
    auto last =
        connection.prepare("SELECT number, hash, at_high FROM audit ORDER BY number DESC LIMIT 1");
    auto anchor = connection.prepare("SELECT number, hash FROM audit_anchor");
    State state;
    auto has_lines = last.step();
    auto& from = has_lines ? last : anchor;
    if (!has_lines && !anchor.step()) throw std::runtime_error{"the audit trail has no anchor"};
    auto hash = audit_hash_of(from.blob(1));
    if (!hash) throw std::runtime_error{"the last hash of the audit trail cannot be read"};
    state.trail = AuditChain{static_cast<std::uint64_t>(from.integer(0)), *hash};
    if (has_lines) state.at_high = last.integer(2);
    state.mark = connection.number("SELECT value FROM marks WHERE name = 'write'");
    state.log = open_->log.load();
    state_ = std::move(state);
}

SqliteWriter::Outcome SqliteWriter::write(Writes const& writes, std::optional<WallTime> now,
                                          Removing const& removing) {
    auto const before = state_;
    auto bytes = bytes_;
    SPOKE_FAULT_POINT("store-begin");
    try {
        open_->begin.run();
        open_->log.begin();
        apply(writes);
        open_->log.make_room(now, state_.log);
        open_->log.finish(state_.log);
        bytes = measured();  // in here it takes no locks
        removing(state_.log);
    } catch (SqliteError const& error) {
        undo(error, before);
        return Outcome::not_written;
    }
    SPOKE_FAULT_POINT("store-commit");
    try {
        open_->commit.run();
    } catch (SqliteError const& error) {
        expected_ = state_;
        undo(error, before);
        return error.is_io_error() ? Outcome::in_doubt : Outcome::not_written;
    }
    SPOKE_FAULT_POINT("store-committed");
    bytes_ = bytes;
    return Outcome::written;
}

bool SqliteWriter::found_after_all() const noexcept {
    return state_.trail == expected_.trail && state_.mark == expected_.mark &&
           state_.log.last_offset == expected_.log.last_offset;
}

void SqliteWriter::undo(SqliteError const& error, State const& before) {
    problem_ = error.what();
    state_ = before;
    is_broken_ = error.is_io_error();
    roll_back();
}

void SqliteWriter::roll_back() {
    if (!open_->connection.is_in_transaction()) return;  // SQLite has rolled back by itself
    try {
        open_->rollback.run();
    } catch (SqliteError const&) {
        is_broken_ = true;
    }
}

/// A line of the trail or an event tells that the transaction is there, else the mark does.
void SqliteWriter::apply(Writes const& writes) {
    auto lines = std::size_t{0};
    auto const last_offset = state_.log.last_offset;
    for (auto const& write : writes) {
        apply_record(write);
        for (auto const& entry : write.audit) add_line(entry);
        lines += write.audit.size();
        for (auto const& event : write.events) open_->log.add(event, state_.log);
        if (write.mark) open_->log.set(*write.mark);
    }
    auto is_told = lines > 0 || state_.log.last_offset != last_offset;
    if (!is_told) open_->mark.bind(1, ++state_.mark).run();
}

void SqliteWriter::apply_record(Write const& write) {
    if (auto const* command = std::get_if<Command>(&write.record)) {
        apply(*command);
    } else if (auto const* device = std::get_if<DeviceRecord>(&write.record)) {
        apply(*device);
    } else if (auto const* erased = std::get_if<ErasedDevice>(&write.record)) {
        open_->erase_device.bind(1, erased->id).run();
    } else if (auto const* position = std::get_if<ReaderPosition>(&write.record)) {
        open_->log.set(*position);
    } else if (std::holds_alternative<ForgottenArrivals>(write.record)) {
        open_->log.forget_arrivals(state_.log);
    } else if (auto const* hook = std::get_if<HookWrite>(&write.record)) {
        open_->hooks.write(*hook);
    }
}

void SqliteWriter::apply(Command const& command) {
    open_->command.run(command);
    SPOKE_FAULT_POINT("store-command");
    auto id = command.id.text();
    for (auto const& key : command.keys) open_->key.bind(1, key).bind(2, id).run();
    SPOKE_FAULT_POINT("store-keys");
    open_->device_n.bind(1, command.request.device).bind(2, comparable(command.n)).run();
    SPOKE_FAULT_POINT("store-device-n");
}

void SqliteWriter::apply(DeviceRecord const& device) {
    auto tags = json_of(device.tags);
    auto deny = json_of(device.deny);
    auto& to = open_->device;
    to.bind(1, device.id).bind(2, device.alias).bind(3, device.profile).bind(4, tags).bind(5, deny);
    to.bind(6, std::int64_t{device.version}).run();
    SPOKE_FAULT_POINT("store-device");
}

void SqliteWriter::add_line(AuditEntry const& entry) {
    auto const& hash = state_.trail.add(entry);
    auto at = entry.at.time_since_epoch().count();
    state_.at_high = std::max(state_.at_high, std::int64_t{at});
    auto& to = open_->audit;
    to.bind(1, static_cast<std::int64_t>(state_.trail.number()));
    to.bind(2, std::int64_t{at}).bind(3, state_.at_high);
    to.bind(4, entry.who).bind(5, entry.address).bind(6, entry.what).bind(7, entry.device);
    to.bind(8, entry.subject).bind(9, entry.why).bind(10, entry.trace).bind(11, entry.detail);
    to.bind(12, Bytes{hash}).run();
    SPOKE_FAULT_POINT("store-audit");
}

SqliteWriter::Cleaning SqliteWriter::clean(WallTime now, Removing const& removing) {
    auto const before = state_;
    try {
        auto more = open_->retention.step(now);
        more = clean_log(now, removing) || more;
        bytes_ = measured();
        return more ? Cleaning::more : Cleaning::done;
    } catch (SqliteError const& error) {
        undo(error, before);
        return Cleaning::failed;
    }
}

bool SqliteWriter::clean_log(WallTime now, Removing const& removing) {
    auto& log = open_->log;
    auto rows = settings_.retention.rows_per_step;
    if (!log.has_work(now, rows, state_.log)) return false;
    open_->begin.run();
    log.begin();
    auto more = log.remove(now, rows, state_.log);
    log.finish(state_.log);
    SPOKE_FAULT_POINT("store-retention-log");
    removing(state_.log);
    open_->commit.run();
    SPOKE_FAULT_POINT("store-retention-log-committed");
    return more;
}

void SqliteWriter::keep_log_short() {
    auto pages = open_->connection.log_pages();
    if (pages < log_pages_due_) return;
    SPOKE_FAULT_POINT("store-checkpoint");
    auto is_short = false;
    try {
        is_short = open_->connection.checkpoint(false);
    } catch (SqliteError const& error) {
        undo(error, state_);
    }
    SPOKE_FAULT_POINT("store-checkpointed");
    // Where a reader holds it or the disk is full, the log is left to grow a little first.
    log_pages_due_ = is_short ? settings_.log_pages_max : pages + settings_.log_pages_max / 4;
}

/// A commit that makes the log's file longer waits for the file system to note that as well. What
/// went wrong here is no loss: these are zeros, and the next commit finds out.
void SqliteWriter::keep_log_ready() {
    constexpr int kSpare = 16;
    constexpr int kStep = 128;
    auto pages = open_->connection.log_pages();
    if (pages + kSpare <= log_room_ || log_room_ >= settings_.log_pages_max) return;
    log_room_ = std::min(pages + kStep, settings_.log_pages_max);
    SPOKE_FAULT_POINT("store-extend");
    try {
        open_->begin.run();  // so that nobody else writes to it
        open_->connection.extend_log(log_room_, open_->page_bytes);
    } catch (SqliteError const&) {
    }
    roll_back();
    SPOKE_FAULT_POINT("store-extended");
}

bool SqliteWriter::is_log_held() const noexcept {
    constexpr int kFar = 16;
    return open_ != nullptr && open_->connection.log_pages() / kFar > settings_.log_pages_max;
}

std::uint64_t SqliteWriter::measured() {
    auto pages = one_number(open_->page_count) - one_number(open_->free_pages);
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(open_->page_bytes);
}

}  // namespace spoke::bridge
