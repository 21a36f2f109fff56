#pragma once

#include <rocksdb/db.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/quarantine.hpp"
#include "broker/storage/store_folder.hpp"
#include "broker/storage/store_lock.hpp"
#include "broker/storage/store_settings.hpp"
#include "broker/storage/upgrade.hpp"

namespace spoke::broker {

struct RebuildResult;

/// The directory of a store with its database, which this process holds as long as the object
/// lives:
///   LOCK        held while it does
///   FORMAT      version of the format
///   db/         RocksDB's files
///   quarantine/ what was damaged, if anything ever was
/// Whatever the files have become, it opens; what cannot be used goes to quarantine and is counted
/// and logged, the rest is served. Only what is no damage keeps it from opening: no space, no
/// rights, errors of the device, another process, a newer format.
/// Not for several threads at once; the rocksdb::DB in it is.
class StoreDirectory {
public:
    /// Opens the database, or makes a new one where the directory is not there or empty. Brings an
    /// older format up to date. Errors  StoreError. A store of a newer format is not changed in any
    /// way.
    explicit StoreDirectory(StoreSettings settings, Upgrades const& upgrades = known_upgrades());
    ~StoreDirectory();
    StoreDirectory(StoreDirectory const&) = delete;
    StoreDirectory& operator=(StoreDirectory const&) = delete;

    /// Null while it is closed.
    [[nodiscard]] rocksdb::DB* get() noexcept { return database_.get(); }

    /// Closes and opens again, as after a failed write. Whoever uses the rocksdb::DB has ended.
    [[nodiscard]] rocksdb::Status reopen();
    /// When something in it turned out to be damaged: makes it anew from what can be read, and
    /// opens that. Takes as much space again while it is done. As reopen(); both leave it closed
    /// after an error.
    [[nodiscard]] rocksdb::Status rebuild(std::string const& why);
    /// Whether rebuild() can help after this error, which reopen() alone would meet again.
    [[nodiscard]] static bool is_damage(rocksdb::Status const& status);

    using Visit = std::function<void(std::string_view key, std::string_view value)>;
    /// Visits the records whose key begins with `prefix`, in order; rebuilds where it has to.
    [[nodiscard]] rocksdb::Status for_each(std::string_view prefix, Visit const& visit);
    /// Takes a record that makes no sense out of the database, into quarantine.
    void discard(std::string_view key, std::string_view value, std::string_view why);

    /// Records and other pieces that went to quarantine since it was opened first.
    [[nodiscard]] std::uint64_t quarantined() const noexcept { return quarantine_.records(); }

private:
    void claim();
    [[nodiscard]] std::uint64_t version_without_format(FoundStore const& found);
    void check_version(std::uint64_t version) const;
    void upgrade();
    [[nodiscard]] rocksdb::Status open();
    [[nodiscard]] rocksdb::Status open_repaired();
    [[nodiscard]] rocksdb::Status open_as_it_is(bool is_new);
    [[nodiscard]] rocksdb::Status find_out_if_new(bool& is_new) const;
    [[nodiscard]] rocksdb::Status rebuild_from_files(RebuildResult& result);
    [[nodiscard]] rocksdb::Status take_rebuilt(std::vector<std::string> const* damaged_files);
    [[nodiscard]] rocksdb::Status prune(std::string const& old,
                                        std::vector<std::string> const& damaged_files);
    [[nodiscard]] rocksdb::Status visit_from(std::string const& from, std::string_view prefix,
                                             Visit const& visit, std::string& next);
    [[nodiscard]] std::string path(std::string_view name) const;

    StoreSettings settings_;
    Upgrades const& upgrades_;
    rocksdb::Env& env_;
    std::unique_ptr<StoreLock> lock_{};
    Quarantine quarantine_;
    std::uint64_t version_ = 0;  // the oldest that what is in it may have
    std::unique_ptr<rocksdb::DB> database_{};
};

}  // namespace spoke::broker
