#pragma once

#include <rocksdb/db.h>
#include <rocksdb/status.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "broker/storage/store_settings.hpp"

namespace spoke::broker {

/// The RocksDB database of a store, which the committer closes and opens again after an error while
/// others read.
class Database {
public:
    /// Not open yet.
    explicit Database(StoreSettings const& settings) : settings_(settings) {}
    ~Database() { close(); }
    Database(Database const&) = delete;
    Database& operator=(Database const&) = delete;

    // --- by the one thread that writes ---

    [[nodiscard]] rocksdb::Status open();
    void close();
    [[nodiscard]] rocksdb::Status write(rocksdb::WriteBatch& batch, bool sync);
    [[nodiscard]] rocksdb::Status sync();
    /// Null while it is closed.
    [[nodiscard]] rocksdb::DB* get() const noexcept { return database_.get(); }

    // --- by any thread ---

    /// Keeps the database open as long as it lives; null if it is closed.
    class Use {
    public:
        explicit Use(Database& database)
            : lock_(database.closing_), database_(database.database_.get()) {}
        [[nodiscard]] rocksdb::DB* get() const noexcept { return database_; }

    private:
        std::shared_lock<std::shared_mutex> lock_;
        rocksdb::DB* database_;
    };
    [[nodiscard]] Use use() { return Use{*this}; }

private:
    StoreSettings const& settings_;  // outlives this
    std::shared_mutex closing_;
    std::unique_ptr<rocksdb::DB> database_{};
};

}  // namespace spoke::broker
