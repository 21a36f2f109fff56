#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/store/audit_chain.hpp"
#include "bridge/store/event_usage.hpp"
#include "bridge/store/event_writer.hpp"
#include "bridge/store/hook_rows.hpp"
#include "bridge/store/retention.hpp"
#include "bridge/store/rows.hpp"
#include "bridge/store/sqlite.hpp"
#include "bridge/store/write.hpp"

namespace spoke::bridge {

/// The connection that writes: each call of `write` is one transaction.
/// When the disk fails in the middle of a commit, nobody knows what is on it: the connection is of
/// no use then until it was closed and opened anew, which finds out.
/// Thread  one at a time.
class SqliteWriter {
public:
    struct Settings {
        std::string path;
        std::string vfs{};  // empty: SQLite's own
        Retention::Limits retention{};
        std::vector<EventClass> classes{};
        int log_pages_max = 4'096;  // of the write-ahead log; then they are copied into the file
    };

    enum class Outcome : std::uint8_t {
        written,
        not_written,  // nothing of it is there or will be
        in_doubt,     // found_after_all() tells after the next open()
    };

    explicit SqliteWriter(Settings settings)
        : settings_(std::move(settings)), classes_(settings_.classes) {}

    /// Makes or migrates the file if need be, and makes what the log of an earlier process holds
    /// durable. After an I/O error only what was copied into the file and synced is believed, for
    /// which no other program may be reading.
    /// Errors  std::runtime_error; it is closed then.
    void open();
    void close() noexcept { open_.reset(); }
    /// False: open() must come first.
    [[nodiscard]] bool is_usable() const noexcept { return open_ != nullptr && !is_broken_; }

    /// Is called with what will have been removed of the log, before it is committed.
    using Removing = std::function<void(EventWriter::State const&)>;

    /// Even without any writes something is written.
    /// In      `now`: events that are too old may go as well.
    [[nodiscard]] Outcome write(Writes const& writes, std::optional<WallTime> now,
                                Removing const& removing);

    /// Whether the write whose outcome was in doubt is there.
    [[nodiscard]] bool found_after_all() const noexcept;

    /// What went wrong last.
    [[nodiscard]] std::string const& problem() const noexcept { return problem_; }

    enum class Cleaning : std::uint8_t { done, more, failed };

    /// A step of the retention.
    [[nodiscard]] Cleaning clean(WallTime now, Removing const& removing);

    /// Copies the log into the file if it is long.
    void keep_log_short();
    /// Makes the file of the log longer before it is needed.
    void keep_log_ready();
    /// It is far longer than it should be: another program does not end its transaction.
    [[nodiscard]] bool is_log_held() const noexcept;

    /// In use, of the file, after the last transaction.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    [[nodiscard]] AuditChain const& trail() const noexcept { return state_.trail; }

    /// Of the log, as far as it is committed.
    [[nodiscard]] EventWriter::State const& log() const noexcept { return state_.log; }

private:
    /// What the next transaction builds on.
    struct State {
        AuditChain trail{};
        std::int64_t at_high = INT64_MIN;
        std::int64_t mark = 0;  // stands for a transaction that leaves no line in the trail
        EventWriter::State log{};
    };

    struct Open {
        Open(Settings const& settings, EventClasses const& classes, bool after_io_error);
        SqliteConnection connection;
        SqliteStatement begin;
        SqliteStatement commit;
        SqliteStatement rollback;
        CommandWrite command;
        SqliteStatement key;
        SqliteStatement device_n;
        SqliteStatement device;
        SqliteStatement erase_device;
        SqliteStatement audit;
        SqliteStatement mark;
        SqliteStatement page_count;
        SqliteStatement free_pages;
        Retention retention;
        EventWriter log;
        HookWriter hooks;
        int page_bytes;
    };

    void load_state();
    [[nodiscard]] std::uint64_t measured();
    void apply(Writes const& writes);
    void apply(Command const& command);
    void apply(DeviceRecord const& device);
    void apply_record(Write const& write);
    [[nodiscard]] bool clean_log(WallTime now, Removing const& removing);
    void add_line(AuditEntry const& entry);
    void undo(SqliteError const& error, State const& before);
    void roll_back();

    Settings settings_;
    EventClasses classes_;
    std::unique_ptr<Open> open_;
    bool is_broken_ = false;
    int log_pages_due_ = 0;
    int log_room_ = 0;  // pages that the log's file has, or that there was no room for
    std::uint64_t bytes_ = 0;
    State state_;
    State expected_;  // of the write in doubt
    std::string problem_;
};

}  // namespace spoke::bridge
