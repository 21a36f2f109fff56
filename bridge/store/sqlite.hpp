#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protocol/base/bytes.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace spoke::bridge {

/// What SQLite says went wrong. Leaves this folder only from the start of a store, and from
/// programs that look into one.
struct SqliteError : std::runtime_error {
    SqliteError(int code_, std::string const& what) : std::runtime_error{what}, code(code_) {}

    /// The disk, or whatever is between it and us, failed: what was written is not known.
    [[nodiscard]] bool is_io_error() const noexcept;

    int code;  // SQLite's extended result code
};

/// A prepared statement. Parameters and columns are counted as SQLite does: parameters from 1,
/// columns from 0. It must not outlive its connection.
class SqliteStatement {
public:
    SqliteStatement(sqlite3* connection, std::string_view sql);

    SqliteStatement& bind(int parameter, std::int64_t value);
    /// The bytes must stay until the statement is reset.
    SqliteStatement& bind(int parameter, std::string_view text);
    SqliteStatement& bind(int parameter, Bytes blob);
    SqliteStatement& bind_null(int parameter);
    /// Unsigned numbers are stored as the signed number of the same bits.
    SqliteStatement& bind(int parameter, std::optional<std::uint64_t> value);

    /// True: there is a row to read. False: done; the statement is reset.
    bool step();
    /// A statement without rows, from the beginning to the end.
    void run();
    void reset() noexcept;

    [[nodiscard]] std::int64_t integer(int column) const noexcept;
    [[nodiscard]] bool is_null(int column) const noexcept;
    /// Until the next step.
    [[nodiscard]] std::string_view text(int column) const noexcept;
    [[nodiscard]] Bytes blob(int column) const noexcept;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept;
    };
    [[noreturn]] void fail(int code);
    void check(int code);

    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Resets a statement when its reader is done, however he leaves: an open one would hold the
/// snapshot it reads from, and with it the write-ahead log.
class SqliteReset {
public:
    explicit SqliteReset(SqliteStatement& statement) noexcept : statement_(statement) {}
    ~SqliteReset() { statement_.reset(); }
    SqliteReset(SqliteReset const&) = delete;
    SqliteReset& operator=(SqliteReset const&) = delete;

private:
    SqliteStatement& statement_;
};

enum class SqliteAccess : std::uint8_t {
    read_write,  // the file is made if there is none
    read_only,
};

/// A connection to one database file. Used by one thread at a time.
class SqliteConnection {
public:
    /// `vfs`: the name of SQLite's way to the file system; empty: its own.
    SqliteConnection(std::string const& path, SqliteAccess access, std::string const& vfs = {});

    /// Any number of statements without parameters.
    void execute(std::string const& sql);
    /// The one number that a query gives.
    [[nodiscard]] std::int64_t number(std::string_view sql);
    [[nodiscard]] SqliteStatement prepare(std::string_view sql) {
        return SqliteStatement{connection_.get(), sql};
    }

    /// Copies the write-ahead log into the database. Out: whether all of it was.
    bool checkpoint(bool truncate);
    /// Makes the file of the write-ahead log so many pages long at least, with zeros behind what it
    /// holds, and syncs it. In a transaction that writes, and before anything is written in it.
    void extend_log(int pages, int page_bytes);
    /// Pages in the write-ahead log after the last commit of this connection.
    [[nodiscard]] int log_pages() const noexcept { return *log_pages_; }
    [[nodiscard]] bool is_in_transaction() const noexcept;

private:
    struct Close {
        void operator()(sqlite3* connection) const noexcept;
    };
    [[noreturn]] void fail(int code);

    std::unique_ptr<sqlite3, Close> connection_;
    std::unique_ptr<int> log_pages_;  // where SQLite's hook finds it
};

}  // namespace spoke::bridge
