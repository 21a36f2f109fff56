#pragma once

#include <rocksdb/db.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <memory>
#include <shared_mutex>

#include "broker/storage/store_directory.hpp"
#include "broker/storage/store_settings.hpp"

namespace spoke::broker {

/// The RocksDB database of a store, which the committer opens anew after an error while others
/// read.
class Database {
public:
    /// Opens it. Throws StoreError.
    explicit Database(StoreSettings const& settings);
    ~Database() { close(); }
    Database(Database const&) = delete;
    Database& operator=(Database const&) = delete;

    // --- by the one thread that writes ---

    /// Waits for those who read, closes it and opens it again, as after an error.
    [[nodiscard]] rocksdb::Status reopen();
    /// For good.
    void close();
    [[nodiscard]] rocksdb::Status write(rocksdb::WriteBatch& batch, bool sync);
    [[nodiscard]] rocksdb::Status sync();
    /// Null while it is closed.
    [[nodiscard]] rocksdb::DB* get() const noexcept { return database_; }
    /// Before anybody else uses it.
    [[nodiscard]] StoreDirectory& directory() noexcept { return *directory_; }

    // --- by any thread ---

    /// Keeps the database open as long as it lives; null if it is closed.
    class Use {
    public:
        explicit Use(Database& database)
            : lock_(database.closing_), database_(database.database_) {}
        [[nodiscard]] rocksdb::DB* get() const noexcept { return database_; }

    private:
        std::shared_lock<std::shared_mutex> lock_;
        rocksdb::DB* database_;
    };
    [[nodiscard]] Use use() { return Use{*this}; }

private:
    std::unique_ptr<StoreDirectory> directory_;
    std::shared_mutex closing_;
    rocksdb::DB* database_ = nullptr;
};

}  // namespace spoke::broker
