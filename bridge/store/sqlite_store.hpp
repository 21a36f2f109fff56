#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bridge/store/file_lock.hpp"
#include "bridge/store/hook_store.hpp"
#include "bridge/store/sqlite_reader.hpp"
#include "bridge/store/sqlite_writer.hpp"
#include "bridge/store/store.hpp"
#include "bridge/store/write_queue.hpp"

namespace spoke::bridge {

/// The store on a disk: one SQLite file (SCHEMA.md). What is done is synced, and survives the
/// process and the power.
/// Owns    a thread, which writes: all that has been asked for since its last commit goes into one
///         transaction. Reads are done by the caller on a connection of their own.
/// While the disk is full or fails, `now_or_never` fails at once and `certain` waits; it is tried
/// again about four times a second, and told once in the log when that begins and when it ends.
/// After an error of which nobody knows what it left on the disk, the file is closed and opened
/// anew before anything is believed; only then is the fate of the writes told that were on their
/// way. The file is locked against a second bridge.
class SqliteStore final : public Store, public EventStore, public HookStore {
public:
    using Done = Store::Done;

    struct Settings {
        std::string path;
        std::vector<EventClass> classes{};  // of events; the first whose filter matches counts
        std::chrono::milliseconds keep{std::chrono::hours{24}};  // settled commands, and their keys
        std::optional<std::chrono::milliseconds> audit_keep{};   // nullopt: for ever
        std::uint64_t bytes_max = std::uint64_t{16}
                                  << 30;               // in use; then only `certain` is written
        std::size_t writes_max = 20'000;               // that wait, `now_or_never`
        std::chrono::milliseconds retry{250};          // while the disk fails
        std::chrono::milliseconds clean_every{1'000};  // looks for what was kept long enough
        std::int64_t clean_rows = 200;                 // in one transaction
        int log_pages_max = 4'096;                     // of the write-ahead log
        std::string vfs{};                             // SQLite's way to the disk; empty: its own
    };

    using Defer = std::function<void(std::function<void()>)>;

    struct World {
        Defer defer;                 // runs a function on the bridge's thread, soon
        std::function<Now()> clock;  // read by the writer's thread too
        std::function<void(std::string const&)> info;  // and so are these called
        std::function<void(std::string const&)> warn;
    };

    /// Opens the file, and makes or migrates it if need be.
    /// Errors  std::runtime_error, one line for people.
    SqliteStore(Settings settings, World world);

    /// Writes what has been asked for, unless the disk fails; completions may still be deferred.
    ~SqliteStore() override;

    void put(Command const& record, std::vector<AuditEntry> audit, std::vector<Event> events,
             Need need, Done done) override;
    void put_device(DeviceRecord const& record, AuditEntry audit, Done done) override;
    void erase_device(std::string_view id, AuditEntry audit, Done done) override;
    void append(AuditEntry audit, Done done) override;

    [[nodiscard]] bool takes_writes() const override;

    // A read that fails is told in the log and finds nothing; new orders are refused then, as
    // nobody knows whether they are repetitions.
    [[nodiscard]] std::optional<Command> find(CommandId const& id) const override;
    [[nodiscard]] std::optional<Command> find_by_key(std::string_view key) const override;
    [[nodiscard]] std::vector<Command> commands(CommandQuery const& query) const override;
    [[nodiscard]] std::vector<AuditLine> audit(AuditQuery const& query) const override;

    // Errors  std::runtime_error.
    void visit_open(std::function<void(Command&&)> const& visit) const override;
    void visit_devices(std::function<void(StoredDevice&&)> const& visit) const override;

    [[nodiscard]] std::string const& epoch() const override { return epoch_; }
    [[nodiscard]] std::uint64_t last_offset() const override { return last_offset_; }
    void append_events(std::vector<Event> events, std::optional<InboxMark> mark, Need need,
                       Done done) override;
    [[nodiscard]] EventPage events(EventQuery const& query) const override;
    [[nodiscard]] std::uint64_t last_n(std::string_view topic) const override;
    [[nodiscard]] std::optional<Event> find_event(std::string_view topic,
                                                  std::string_view key) const override;
    [[nodiscard]] std::uint64_t removed_upto(std::size_t event_class) const override;
    [[nodiscard]] std::vector<EventArrival> arrivals() const override;
    void forget_arrivals() override;
    [[nodiscard]] std::uint64_t inbox_mark(std::string_view who) const override;
    void put_position(std::string name, std::uint64_t offset) override;
    void erase_position(std::string_view name) override;
    [[nodiscard]] std::optional<std::uint64_t> position(std::string_view name) const override;

    void put_hook(Hook hook, AuditEntry audit, Need need, Done done) override;
    void erase_hook(std::string_view name, AuditEntry audit, Done done) override;
    void put_delivery(HookDelivery delivery, Done done) override;
    void erase_delivery(std::string_view hook, std::string_view id) override;
    [[nodiscard]] std::optional<std::string> delivery_body(std::string_view hook,
                                                           std::string_view id) const override;
    // Errors  std::runtime_error.
    void visit_hooks(std::function<void(Hook&&)> const& visit) const override;
    void visit_deliveries(std::function<void(HookDelivery&&)> const& visit) const override;

    /// Transactions so far.
    [[nodiscard]] std::uint64_t commits() const noexcept { return commits_; }
    /// Writes which the writer has not taken yet.
    [[nodiscard]] std::size_t waiting() const { return queue_.size(); }

private:
    void enqueue(Write write);
    void write_position(std::string name, std::optional<std::uint64_t> offset);
    void complete(Writes writes, bool stored);
    template <class Read>
    auto read(Read const& read) const -> decltype(read(std::declval<SqliteReader&>()));

    void note_reads(std::string const& problem) const;

    // The writer's thread.
    void run();
    void commit(Writes writes);
    void written(Writes writes);
    void recover();
    [[nodiscard]] bool reopen();
    void begin_failing(Writes writes);
    void end_failing();
    void watch_size();
    void watch_log();
    void note_removing(EventWriter::State const& log);
    void read_again();
    void clean();
    [[nodiscard]] bool may_trust(Now const& now);

    Settings settings_;
    World world_;
    FileLock lock_;
    SqliteWriter writer_;
    mutable std::mutex reader_mutex_;
    mutable std::unique_ptr<SqliteReader> reader_;  // none while the file is closed
    WriteQueue queue_;
    std::atomic<bool> is_failing_{false};
    std::atomic<bool> is_full_{false};
    mutable std::atomic<bool> reads_fail_{false};
    std::atomic<std::uint64_t> commits_{0};
    std::string epoch_;
    std::atomic<std::uint64_t> last_offset_{0};
    std::vector<std::atomic<std::uint64_t>> removed_upto_;  // by class, and last those of none
    std::map<std::string, std::uint64_t, std::less<>> positions_;  // the bridge's thread
    std::optional<WallTime> now_;  // of the last cleaning, if the clock can be trusted
    Writes doubtful_;              // their commit failed, and may have worked
    bool is_in_doubt_ = false;
    bool is_log_held_ = false;
    SteadyTime clean_at_{};
    std::optional<Now> clock_seen_;
    SteadyTime clock_trusted_from_{};
    std::thread thread_;
};

}  // namespace spoke::bridge
