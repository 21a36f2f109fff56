#include "bridge/store/sqlite.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <utility>

namespace spoke::bridge {
namespace {

constexpr int kPrimaryCode = 0xFF;
/// Somebody who looks into the file with another program may hold it for a moment.
constexpr int kBusyTimeoutMs = 1'000;

/// SQLite counts the memory it takes, under a lock that all threads share; nobody asks for it here.
/// To be set before anything else of SQLite is called; where somebody did, the count stays.
void count_no_memory() {
    static auto const code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    static_cast<void>(code);
}

int note_log_pages(void* pages, sqlite3*, char const*, int count) {
    *static_cast<int*>(pages) = count;
    return SQLITE_OK;
}

}  // namespace

bool SqliteError::is_io_error() const noexcept {
    switch (code & kPrimaryCode) {
        case SQLITE_FULL:
        case SQLITE_BUSY:
        case SQLITE_READONLY:
        case SQLITE_CONSTRAINT:
        case SQLITE_NOMEM:
            return false;
        default:
            return true;  // IOERR, and whatever is not known to be harmless
    }
}

SqliteStatement::SqliteStatement(sqlite3* connection, std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    auto code = sqlite3_prepare_v3(connection, sql.data(), static_cast<int>(sql.size()),
                                   SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    statement_.reset(statement);
    if (code != SQLITE_OK) throw SqliteError{code, sqlite3_errmsg(connection)};
}

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
    sqlite3_finalize(statement);
}

SqliteStatement& SqliteStatement::bind(int parameter, std::int64_t value) {
    check(sqlite3_bind_int64(statement_.get(), parameter, value));
    return *this;
}

SqliteStatement& SqliteStatement::bind(int parameter, std::string_view text) {
    // A null pointer would be NULL, not the empty text.
    auto const* data = text.empty() ? "" : text.data();
    check(sqlite3_bind_text64(statement_.get(), parameter, data, text.size(), SQLITE_STATIC,
                              SQLITE_UTF8));
    return *this;
}

SqliteStatement& SqliteStatement::bind(int parameter, Bytes blob) {
    check(
        sqlite3_bind_blob64(statement_.get(), parameter, blob.data(), blob.size(), SQLITE_STATIC));
    return *this;
}

SqliteStatement& SqliteStatement::bind_null(int parameter) {
    check(sqlite3_bind_null(statement_.get(), parameter));
    return *this;
}

SqliteStatement& SqliteStatement::bind(int parameter, std::optional<std::uint64_t> value) {
    return value ? bind(parameter, static_cast<std::int64_t>(*value)) : bind_null(parameter);
}

bool SqliteStatement::step() {
    auto code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) fail(code);
    reset();
    return false;
}

void SqliteStatement::run() {
    while (step()) {
    }
}

void SqliteStatement::reset() noexcept {
    sqlite3_reset(statement_.get());
}

std::int64_t SqliteStatement::integer(int column) const noexcept {
    return sqlite3_column_int64(statement_.get(), column);
}

bool SqliteStatement::is_null(int column) const noexcept {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::string_view SqliteStatement::text(int column) const noexcept {
    auto const* data = sqlite3_column_text(statement_.get(), column);
    auto size = sqlite3_column_bytes(statement_.get(), column);
    if (data == nullptr) return {};
    return {reinterpret_cast<char const*>(data), static_cast<std::size_t>(size)};
}

Bytes SqliteStatement::blob(int column) const noexcept {
    auto const* data = sqlite3_column_blob(statement_.get(), column);
    auto size = sqlite3_column_bytes(statement_.get(), column);
    return {static_cast<std::byte const*>(data), static_cast<std::size_t>(size)};
}

void SqliteStatement::fail(int code) {
    std::string text = sqlite3_errmsg(sqlite3_db_handle(statement_.get()));
    reset();
    throw SqliteError{code, text};
}

void SqliteStatement::check(int code) {
    if (code != SQLITE_OK) fail(code);
}

SqliteConnection::SqliteConnection(std::string const& path, SqliteAccess access,
                                   std::string const& vfs)
    : log_pages_(std::make_unique<int>(0)) {
    count_no_memory();
    auto flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                 (access == SqliteAccess::read_only ? SQLITE_OPEN_READONLY
                                                    : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3* connection = nullptr;
    auto code =
        sqlite3_open_v2(path.c_str(), &connection, flags, vfs.empty() ? nullptr : vfs.c_str());
    connection_.reset(connection);
    if (code != SQLITE_OK) fail(code);
    sqlite3_busy_timeout(connection, kBusyTimeoutMs);
    sqlite3_wal_hook(connection, note_log_pages, log_pages_.get());
}

void SqliteConnection::Close::operator()(sqlite3* connection) const noexcept {
    sqlite3_close_v2(connection);
}

void SqliteConnection::execute(std::string const& sql) {
    auto code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code);
}

std::int64_t SqliteConnection::number(std::string_view sql) {
    auto statement = prepare(sql);
    return statement.step() ? statement.integer(0) : 0;
}

bool SqliteConnection::checkpoint(bool truncate) {
    auto mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int pages = 0;
    int copied = 0;
    auto code = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, mode, &pages, &copied);
    if ((code & kPrimaryCode) == SQLITE_BUSY) return false;
    if (code != SQLITE_OK) fail(code);
    if (copied == pages) *log_pages_ = 0;
    return copied == pages;
}

void SqliteConnection::extend_log(int pages, int page_bytes) {
    constexpr int kHeaderBytes = 32;
    constexpr int kPageHeaderBytes = 24;
    static std::array<char, 16 * 1024> const zeros{};
    sqlite3_file* file = nullptr;
    auto code =
        sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (code != SQLITE_OK) fail(code);
    if (file == nullptr || file->pMethods == nullptr) return;
    sqlite3_int64 at = 0;
    code = file->pMethods->xFileSize(file, &at);
    auto end = kHeaderBytes + sqlite3_int64{pages} * (page_bytes + kPageHeaderBytes);
    if (code == SQLITE_OK && at >= end) return;
    while (code == SQLITE_OK && at < end) {
        auto size = std::min<sqlite3_int64>(end - at, zeros.size());
        code = file->pMethods->xWrite(file, zeros.data(), static_cast<int>(size), at);
        at += size;
    }
    if (code == SQLITE_OK) {
        code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    }
    if (code != SQLITE_OK) throw SqliteError{code, sqlite3_errstr(code)};
}

bool SqliteConnection::is_in_transaction() const noexcept {
    return sqlite3_get_autocommit(connection_.get()) == 0;
}

void SqliteConnection::fail(int code) {
    throw SqliteError{code, connection_ ? sqlite3_errmsg(connection_.get()) : "out of memory"};
}

}  // namespace spoke::bridge
