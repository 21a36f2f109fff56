#pragma once

#include <rocksdb/db.h>
#include <rocksdb/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

#include "broker/storage/store_directory.hpp"
#include "broker/storage/store_settings.hpp"

namespace spoke::broker {

/// The RocksDB database of a store, which the committer opens anew after an error while others
/// read. Once damage was met in it, by whomever, it is made anew when it is opened anew.
class Database {
public:
    /// Opens it. Throws StoreError.
    explicit Database(StoreSettings const& settings);
    /// What is to be called when report_damage() is. Before any other thread is there.
    void set_on_damage(std::function<void()> on_damage) { on_damage_ = std::move(on_damage); }
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
    [[nodiscard]] rocksdb::DB* get() const noexcept {
        return directory_ ? directory_->get() : nullptr;
    }
    /// Before anybody else uses it.
    [[nodiscard]] StoreDirectory& directory() noexcept { return *directory_; }

    // --- by any thread ---

    /// Keeps the database open as long as it lives; null if it is closed.
    class Use {
    public:
        explicit Use(Database& database) : lock_(database.closing_), database_(database.get()) {}
        [[nodiscard]] rocksdb::DB* get() const noexcept { return database_; }

    private:
        std::shared_lock<std::shared_mutex> lock_;
        rocksdb::DB* database_;
    };
    [[nodiscard]] Use use() { return Use{*this}; }
    /// If `status` says that something in it is damaged, it is to be opened anew, soon.
    void report_damage(rocksdb::Status const& status);
    [[nodiscard]] bool is_damaged() const noexcept { return is_damaged_; }

private:
    rocksdb::Status noted(rocksdb::Status status);

    std::unique_ptr<StoreDirectory> directory_;
    std::function<void()> on_damage_{};
    std::shared_mutex closing_;
    std::atomic<bool> is_damaged_{false};
    std::mutex damage_mutex_;  // of the one below
    std::string damage_{};
};

}  // namespace spoke::broker
