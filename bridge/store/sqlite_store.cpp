#include "bridge/store/sqlite_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "bridge/store/fault_point.hpp"

namespace spoke::bridge {
namespace {

using std::chrono::steady_clock;

/// A wall clock that leaps ahead would make everything old at once.
constexpr std::chrono::minutes kLeapMin{1};
constexpr std::chrono::hours kLeapPause{1};

/// Below that share of `bytes_max` a full store takes orders again.
constexpr std::uint64_t kRoomPercent = 95;

/// Cleaning takes at most one part in so many of the writer's time.
constexpr int kCleanShare = 5;

/// How long what has no hurry may wait for a commit that it can go with.
constexpr std::chrono::milliseconds kSoon{20};
constexpr std::chrono::milliseconds kPositionPatience{100};

SqliteWriter::Settings writer_settings(SqliteStore::Settings const& settings) {
    SqliteWriter::Settings out;
    out.path = settings.path;
    out.vfs = settings.vfs;
    out.retention.keep = settings.keep;
    out.retention.audit_keep = settings.audit_keep;
    out.retention.rows_per_step = settings.clean_rows;
    out.classes = settings.classes;
    out.log_pages_max = settings.log_pages_max;
    return out;
}

}  // namespace

SqliteStore::SqliteStore(Settings settings, World world)
    : settings_(std::move(settings)),
      world_(std::move(world)),
      lock_(settings_.path),
      writer_(writer_settings(settings_)),
      queue_(settings_.writes_max),
      removed_upto_(settings_.classes.size() + 1) {
    try {
        writer_.open();
        reader_ = std::make_unique<SqliteReader>(settings_.path, settings_.vfs);
        epoch_ = reader_->log().epoch();
        positions_ = reader_->log().positions();
    } catch (std::exception const& error) {
        throw std::runtime_error{fmt::format("store {}: {}", settings_.path, error.what())};
    }
    last_offset_ = writer_.log().last_offset;
    note_removing(writer_.log());
    watch_size();
    world_.info(fmt::format("store {}: {} bytes, audit trail up to line {}, events up to {}.{}",
                            settings_.path, writer_.bytes(), writer_.trail().number(), epoch_,
                            writer_.log().last_offset));
    thread_ = std::thread{[this] { run(); }};
}

SqliteStore::~SqliteStore() {
    queue_.stop();
    thread_.join();
}

// --- The bridge's thread -----------------------------------------------------------------------

void SqliteStore::put(Command const& record, std::vector<AuditEntry> audit,
                      std::vector<Event> events, Need need, Done done) {
    Write write;
    write.record = record;
    write.command = record.id;
    write.is_command = true;
    write.audit = std::move(audit);
    write.events = std::move(events);
    write.need = need;
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::put_device(DeviceRecord const& record, AuditEntry audit, Done done) {
    Write write;
    write.record = record;
    write.audit.push_back(std::move(audit));
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::erase_device(std::string_view id, AuditEntry audit, Done done) {
    Write write;
    write.record = ErasedDevice{std::string{id}};
    write.audit.push_back(std::move(audit));
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::append(AuditEntry audit, Done done) {
    Write write;
    write.audit.push_back(std::move(audit));
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::append_events(std::vector<Event> events, std::optional<InboxMark> mark, Need need,
                                Done done) {
    Write write;
    write.events = std::move(events);
    write.mark = std::move(mark);
    write.need = need;
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::forget_arrivals() {
    Write write;
    write.record = ForgottenArrivals{};
    write.need = Need::certain_soon;
    enqueue(std::move(write));
}

void SqliteStore::put_position(std::string name, std::uint64_t offset) {
    positions_.insert_or_assign(name, offset);
    write_position(std::move(name), offset);
}

void SqliteStore::erase_position(std::string_view name) {
    auto found = positions_.find(name);
    if (found == positions_.end()) return;
    positions_.erase(found);
    write_position(std::string{name}, std::nullopt);
}

void SqliteStore::write_position(std::string name, std::optional<std::uint64_t> offset) {
    Write write;
    write.record = ReaderPosition{std::move(name), offset};
    write.need = Need::certain_soon;
    write.patience = kPositionPatience;
    enqueue(std::move(write));
}

std::optional<std::uint64_t> SqliteStore::position(std::string_view name) const {
    auto found = positions_.find(name);
    if (found == positions_.end()) return std::nullopt;
    return found->second;
}

void SqliteStore::put_hook(Hook hook, AuditEntry audit, Need need, Done done) {
    Write write;
    write.record = HookWrite{std::move(hook)};
    write.audit.push_back(std::move(audit));
    write.need = need;
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::erase_hook(std::string_view name, AuditEntry audit, Done done) {
    Write write;
    write.record = HookWrite{ErasedHook{std::string{name}}};
    write.audit.push_back(std::move(audit));
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::put_delivery(HookDelivery delivery, Done done) {
    Write write;
    write.record = HookWrite{std::move(delivery)};
    write.need = Need::certain;
    write.done = std::move(done);
    enqueue(std::move(write));
}

void SqliteStore::erase_delivery(std::string_view hook, std::string_view id) {
    Write write;
    write.record = HookWrite{ErasedDelivery{std::string{hook}, std::string{id}}};
    write.need = Need::certain_soon;
    enqueue(std::move(write));
}

std::optional<std::string> SqliteStore::delivery_body(std::string_view hook,
                                                      std::string_view id) const {
    return read([&](SqliteReader& reader) { return reader.hooks().body(hook, id); });
}

void SqliteStore::visit_hooks(std::function<void(Hook&&)> const& visit) const {
    std::lock_guard lock{reader_mutex_};
    if (reader_) reader_->hooks().visit_hooks(visit);
}

void SqliteStore::visit_deliveries(std::function<void(HookDelivery&&)> const& visit) const {
    std::lock_guard lock{reader_mutex_};
    if (reader_) reader_->hooks().visit_deliveries(visit);
}

void SqliteStore::enqueue(Write write) {
    if (write.need == Need::certain_soon) {
        write.need = Need::certain;
        if (write.patience.count() == 0) write.patience = kSoon;
    }
    auto is_refused = write.need == Need::now_or_never && !takes_writes();
    if (!is_refused && queue_.add(write)) return;
    Writes refused;
    refused.push_back(std::move(write));
    complete(std::move(refused), false);
}

bool SqliteStore::takes_writes() const {
    return !is_failing_ && !is_full_ && !reads_fail_;
}

template <class Read>
auto SqliteStore::read(Read const& read) const -> decltype(read(std::declval<SqliteReader&>())) {
    std::lock_guard lock{reader_mutex_};
    try {
        if (!reader_) throw std::runtime_error{"it could not be opened"};
        return read(*reader_);
    } catch (std::exception const& error) {
        note_reads(error.what());
        return {};
    }
}

/// `problem`: empty if it can be read.
void SqliteStore::note_reads(std::string const& problem) const {
    auto is_bad = !problem.empty();
    if (reads_fail_.exchange(is_bad) == is_bad) return;
    if (is_bad) {
        world_.warn(fmt::format("store {}: cannot be read: {}", settings_.path, problem));
    } else {
        world_.info(fmt::format("store {}: can be read again", settings_.path));
    }
}

std::optional<Command> SqliteStore::find(CommandId const& id) const {
    return read([&](SqliteReader& reader) { return reader.find(id); });
}

std::optional<Command> SqliteStore::find_by_key(std::string_view key) const {
    return read([&](SqliteReader& reader) { return reader.find_by_key(key); });
}

std::vector<Command> SqliteStore::commands(CommandQuery const& query) const {
    return read([&](SqliteReader& reader) { return reader.commands(query); });
}

std::vector<AuditLine> SqliteStore::audit(AuditQuery const& query) const {
    return read([&](SqliteReader& reader) { return reader.audit(query); });
}

EventPage SqliteStore::events(EventQuery const& query) const {
    auto last = last_offset_.load();
    auto page = read([&](SqliteReader& reader) { return reader.log().events(query, last); });
    // What cannot be read has not been looked at.
    page.scanned_to = std::max(page.scanned_to, query.after);
    return page;
}

std::uint64_t SqliteStore::last_n(std::string_view topic) const {
    return read([&](SqliteReader& reader) { return reader.log().last_n(topic); });
}

std::optional<Event> SqliteStore::find_event(std::string_view topic, std::string_view key) const {
    return read([&](SqliteReader& reader) { return reader.log().find_event(topic, key); });
}

std::uint64_t SqliteStore::removed_upto(std::size_t event_class) const {
    return removed_upto_.at(event_class);
}

std::vector<EventArrival> SqliteStore::arrivals() const {
    auto last = last_offset_.load();
    return read([&](SqliteReader& reader) { return reader.log().arrivals(last); });
}

std::uint64_t SqliteStore::inbox_mark(std::string_view who) const {
    return read([&](SqliteReader& reader) { return reader.log().inbox_mark(who); });
}

void SqliteStore::visit_open(std::function<void(Command&&)> const& visit) const {
    std::lock_guard lock{reader_mutex_};
    if (reader_) reader_->visit_open(visit);
}

void SqliteStore::visit_devices(std::function<void(StoredDevice&&)> const& visit) const {
    std::lock_guard lock{reader_mutex_};
    if (reader_) reader_->visit_devices(visit);
}

/// In one task, so that completions keep their order.
void SqliteStore::complete(Writes writes, bool stored) {
    std::erase_if(writes, [](Write const& write) { return !write.done; });
    if (writes.empty()) return;
    std::vector<Done> dones;
    dones.reserve(writes.size());
    for (auto& write : writes) dones.push_back(std::move(write.done));
    world_.defer([dones = std::move(dones), stored] {
        for (auto const& done : dones) done(stored);
    });
}

// --- The writer's thread -----------------------------------------------------------------------

void SqliteStore::run() {
    for (;;) {
        if (is_failing_) {
            recover();
            if (is_failing_ && queue_.is_stopped()) break;
            continue;
        }
        auto writes = queue_.take(clean_at_, true);
        if (writes.empty() && queue_.is_stopped()) break;
        if (!writes.empty()) commit(std::move(writes));
        if (!is_failing_ && steady_clock::now() >= clean_at_) clean();
    }
    auto left = queue_.take(SteadyTime{}, true);
    if (left.empty() && doubtful_.empty()) return;
    world_.warn(fmt::format("store {}: {} writes could not be made: {}", settings_.path,
                            left.size() + doubtful_.size(), writer_.problem()));
}

void SqliteStore::commit(Writes writes) {
    auto removing = [this](EventWriter::State const& log) { note_removing(log); };
    switch (writer_.write(writes, now_, removing)) {
        case SqliteWriter::Outcome::written:
            written(std::move(writes));
            break;
        case SqliteWriter::Outcome::not_written:
            begin_failing(std::move(writes));
            break;
        case SqliteWriter::Outcome::in_doubt:
            doubtful_ = std::move(writes);
            is_in_doubt_ = true;
            begin_failing({});
            break;
    }
}

void SqliteStore::written(Writes writes) {
    ++commits_;
    last_offset_ = writer_.log().last_offset;
    SPOKE_FAULT_POINT("store-complete");
    complete(std::move(writes), true);
    end_failing();
    watch_size();
    writer_.keep_log_short();
    if (writer_.is_usable()) writer_.keep_log_ready();
    watch_log();
    if (!writer_.is_usable()) begin_failing({});
}

/// One attempt to come back, when it is time for it.
void SqliteStore::recover() {
    auto writes = queue_.take(steady_clock::now() + settings_.retry, false);
    if (!writer_.is_usable() && !reopen()) {
        complete(queue_.put_back(std::move(writes)), false);
        return;
    }
    if (std::exchange(is_in_doubt_, false)) {
        auto doubtful = std::exchange(doubtful_, {});
        if (writer_.found_after_all()) {
            last_offset_ = writer_.log().last_offset;
            complete(std::move(doubtful), true);
        } else {
            // What failed comes before what was asked for since.
            for (auto& write : writes) doubtful.push_back(std::move(write));
            complete(queue_.put_back(std::move(doubtful)), false);
            writes = queue_.take(SteadyTime{}, true);
        }
    }
    commit(std::move(writes));
}

/// Closes both connections, so that SQLite has to find out what is on the disk. Reads go on, if
/// they can, although it cannot be written.
bool SqliteStore::reopen() {
    std::lock_guard lock{reader_mutex_};
    reader_.reset();
    writer_.close();
    auto is_open = true;
    try {
        writer_.open();
    } catch (std::exception const&) {
        is_open = false;
    }
    try {
        reader_ = std::make_unique<SqliteReader>(settings_.path, settings_.vfs);
        note_reads({});
    } catch (std::exception const& error) {
        note_reads(error.what());
    }
    return is_open;
}

void SqliteStore::begin_failing(Writes writes) {
    auto is_news = !is_failing_.exchange(true);
    complete(queue_.put_back(std::move(writes)), false);
    if (!is_news) return;
    world_.warn(fmt::format("store {}: cannot be written: {}; new orders are refused until it can",
                            settings_.path, writer_.problem()));
}

void SqliteStore::end_failing() {
    if (!is_failing_.exchange(false)) return;
    world_.info(fmt::format("store {}: can be written again", settings_.path));
}

/// Before it is committed: nobody may go on from a place behind which something is missing.
void SqliteStore::note_removing(EventWriter::State const& log) {
    for (std::size_t i = 0; i < removed_upto_.size(); ++i) {
        removed_upto_[i] = log.classes[i].removed_upto;
    }
}

void SqliteStore::watch_size() {
    auto bytes = writer_.bytes();
    auto limit = is_full_ ? settings_.bytes_max / 100 * kRoomPercent : settings_.bytes_max;
    auto is_full = bytes >= limit;
    if (is_full_.exchange(is_full) == is_full) return;
    if (is_full) {
        world_.warn(fmt::format(
            "store {}: {} bytes, store.bytes_max is reached; new orders are refused until there is "
            "room",
            settings_.path, bytes));
    } else {
        world_.info(fmt::format("store {}: {} bytes, there is room again", settings_.path, bytes));
    }
}

/// Nobody may read while orders are refused because a read failed.
void SqliteStore::read_again() {
    if (!reads_fail_) return;
    std::lock_guard lock{reader_mutex_};
    reader_.reset();
    try {
        reader_ = std::make_unique<SqliteReader>(settings_.path, settings_.vfs);
        static_cast<void>(reader_->find(CommandId{}));
        note_reads({});
    } catch (std::exception const&) {
        reader_.reset();
    }
}

void SqliteStore::watch_log() {
    auto is_held = writer_.is_log_held();
    if (std::exchange(is_log_held_, is_held) == is_held || !is_held) return;
    world_.warn(fmt::format(
        "store {}: another program reads from it and does not come to an end; {}-wal grows meanwhile",
        settings_.path, settings_.path));
}

void SqliteStore::clean() {
    auto begin = steady_clock::now();
    read_again();
    auto now = world_.clock();
    now_.reset();
    if (!may_trust(now)) {
        clean_at_ = begin + settings_.clean_every;
        return;
    }
    now_ = now.wall;
    auto cleaning =
        writer_.clean(now.wall, [this](EventWriter::State const& log) { note_removing(log); });
    if (cleaning == SqliteWriter::Cleaning::failed) begin_failing({});
    if (cleaning == SqliteWriter::Cleaning::more) watch_size();
    auto end = steady_clock::now();
    auto is_more = cleaning == SqliteWriter::Cleaning::more;
    clean_at_ = is_more ? end + (end - begin) * (kCleanShare - 1) : end + settings_.clean_every;
}

/// A key that is forgotten because of a wrong clock turns a retry into a second order: when the
/// clock leaps ahead, nothing is removed for an hour, in which somebody may set it right.
bool SqliteStore::may_trust(Now const& now) {
    auto before = std::exchange(clock_seen_, now);
    if (before && now.wall - before->wall > now.steady - before->steady + kLeapMin) {
        clock_trusted_from_ = now.steady + kLeapPause;
        world_.warn(fmt::format("store {}: the clock leapt ahead; nothing is removed for an hour",
                                settings_.path));
    }
    return now.steady >= clock_trusted_from_;
}

}  // namespace spoke::bridge
