#pragma once

#include <rocksdb/db.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/storage/file_changes.hpp"
#include "broker/storage/store_folder.hpp"
#include "broker/storage/store_lock.hpp"

namespace spoke::broker {

/// Reads a store that no broker has open, and changes no byte of it. Damaged or not, it finds what
/// a broker that starts would find.
class StoreReader {
public:
    /// Errors  StoreError: there is no store, a broker has it, or its format is another.
    explicit StoreReader(std::string directory);

    using Visit = std::function<void(std::string_view key, std::string_view value)>;
    /// Visits the records whose key begins with `prefix`: in order, unless the store is damaged.
    /// Errors  StoreError.
    void for_each(std::string_view prefix, Visit const& visit);

    [[nodiscard]] rocksdb::Env& env() const noexcept { return env_; }
    [[nodiscard]] std::string const& directory() const noexcept { return directory_; }
    /// RocksDB's directory in it.
    [[nodiscard]] std::string const& database() const noexcept { return database_; }
    [[nodiscard]] FoundStore const& found() const noexcept { return found_; }
    /// Why RocksDB cannot read it to its end, if so.
    [[nodiscard]] std::string const& damage() const noexcept { return damage_; }

private:
    void open();
    [[nodiscard]] rocksdb::Status try_open();
    void salvage_behind(std::string const& last, std::string_view prefix, Visit const& visit) const;

    std::string directory_;
    rocksdb::Env& env_;
    FoundStore found_{};
    std::unique_ptr<StoreLock> lock_{};
    std::string database_{};
    std::string damage_{};
    std::unique_ptr<rocksdb::DB> opened_{};  // null if that is not possible
};

}  // namespace spoke::broker
