#include "broker/storage/store_directory.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "broker/storage/database_options.hpp"
#include "broker/storage/file_changes.hpp"
#include "broker/storage/files.hpp"
#include "broker/storage/format_file.hpp"
#include "broker/storage/manifest_scan.hpp"
#include "broker/storage/meta.hpp"
#include "broker/storage/rebuild.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/store_env.hpp"
#include "broker/storage/wal_repair.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

StoreSettings without_slash_at_end(StoreSettings settings) {
    auto& directory = settings.directory;
    while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
    return settings;
}

std::string name_in(std::string_view path) {
    return std::string{path.substr(path.rfind('/') + 1)};
}

}  // namespace

StoreDirectory::StoreDirectory(StoreSettings settings, Upgrades const& upgrades)
    : settings_(without_slash_at_end(std::move(settings))),
      upgrades_(upgrades),
      env_(*store_env()),
      quarantine_(env_, settings_.directory, settings_.log) {
    claim();
    auto const status = open();
    if (!status.ok())
        throw StoreError{fmt::format(
            "the store '{}' cannot be opened: {}: see to the disk, its space and the rights of "
            "user {}, or name another directory",
            settings_.directory, status.ToString(), ::geteuid())};
    upgrade();
}

StoreDirectory::~StoreDirectory() = default;

std::string StoreDirectory::path(std::string_view name) const {
    return fmt::format("{}/{}", settings_.directory, name);
}

// --- Whose it is, and of what version -----------------------------------------------------------

void StoreDirectory::claim() {
    make_store_folder(settings_.directory);
    // A newer one must not even be locked, since that writes.
    auto found = find_store(env_, settings_.directory);
    if (found.version) check_version(*found.version);
    lock_ = std::make_unique<StoreLock>(settings_.directory, StoreLock::Kind::exclusive);
    found = find_store(env_, settings_.directory);
    version_ = found.version ? *found.version : version_without_format(found);
    check_version(version_);
    // Before the records are upgraded, so that an older broker never takes them for its own.
    if (found.version == kFormatVersion) return;
    auto const status = write_file(env_, path(kFormatFileName), format_file_text(kFormatVersion));
    if (!status.ok())
        throw StoreError{fmt::format("the store '{}' cannot be written: {}", settings_.directory,
                                     status.ToString())};
}

std::uint64_t StoreDirectory::version_without_format(FoundStore const& found) {
    if (!found.has_database) return kFormatVersion;
    std::optional<std::uint64_t> version;
    for (auto const* name : {kDatabaseName, kRebuiltName}) {
        auto const told = format_version_of_records(env_, path(name));
        if (told) version = std::max(version.value_or(0), *told);
    }
    settings_.log(LogLevel::warning,
                  fmt::format("store: {} is {}; the records are of format {}",
                              path(kFormatFileName), found.has_format ? "damaged" : "missing",
                              version ? std::to_string(*version) : "unknown"));
    return version.value_or(kFormatVersion);
}

void StoreDirectory::check_version(std::uint64_t version) const {
    if (version > kFormatVersion)
        throw StoreError{fmt::format(
            "the store '{}' is of format {}, and this broker knows up to {}: run the newer broker "
            "that wrote it, or name another directory; nothing was changed",
            settings_.directory, version, kFormatVersion)};
    for (; version < kFormatVersion; ++version) {
        if (!upgrades_.contains(version))
            throw StoreError{fmt::format(
                "the store '{}' is of format {}, which this broker does not know any more: run an "
                "older one that brings it up to date first; nothing was changed",
                settings_.directory, version)};
    }
}

void StoreDirectory::upgrade() {
    auto const key = meta_key(MetaField::format_version);
    std::string value;
    auto status = database_->Get({}, key, &value);
    auto const told = status.ok() ? decode_meta(key, value) : RecordError::cut;
    if (!told)
        throw StoreError{fmt::format("the store '{}' cannot be read: {}", settings_.directory,
                                     status.ToString())};
    check_version(told->number);
    for (auto version = told->number; version < kFormatVersion; ++version) {
        settings_.log(LogLevel::info,
                      fmt::format("store: brought from format {} to {}", version, version + 1));
        status = upgrades_.at(version)(*database_);
        if (status.ok()) {
            encode_meta(key, version + 1, value);
            rocksdb::WriteOptions options;
            options.sync = true;
            status = database_->Put(options, key, value);
        }
        if (!status.ok())
            throw StoreError{fmt::format("the store '{}' cannot be brought to format {}: {}",
                                         settings_.directory, version + 1, status.ToString())};
    }
}

// --- Opening ------------------------------------------------------------------------------------

Status StoreDirectory::reopen() {
    database_.reset();
    return open();
}

Status StoreDirectory::open() {
    auto status = take_rebuilt(nullptr);
    if (status.ok()) status = open_repaired();
    if (is_damage(status)) status = rebuild(status.ToString());
    return status;
}

Status StoreDirectory::open_repaired() {
    bool is_new = false;
    auto status = find_out_if_new(is_new);
    if (status.ok() && is_new) status = remove_tree(env_, path(kDatabaseName));
    if (!status.ok() || is_new) return status.ok() ? open_as_it_is(true) : status;
    WalDamage damage;
    status = repair_wals(env_, path(kDatabaseName), quarantine_, damage);
    if (damage.torn_bytes > 0)
        settings_.log(LogLevel::info,
                      fmt::format("store: cut {} bytes off the end of the log, which were never "
                                  "written whole",
                                  damage.torn_bytes));
    if (status.ok()) status = check_files(env_, path(kDatabaseName));
    return status.ok() ? open_as_it_is(false) : status;
}

/// There is no database yet, or one that was never used: RocksDB makes CURRENT before its first
/// log. An error must not be taken for this, since what is new is removed.
Status StoreDirectory::find_out_if_new(bool& is_new) const {
    bool is_there = false;
    auto status = look_for(env_, path(kDatabaseName), is_there);
    is_new = status.ok() && !is_there;
    if (!status.ok() || is_new) return status;
    status = look_for(env_, path(kDatabaseName) + "/CURRENT", is_there);
    if (!status.ok() || is_there) return status;
    std::vector<std::string> names;
    status = list_directory(env_, path(kDatabaseName), names);
    is_new = status.ok() && std::none_of(names.begin(), names.end(), [](std::string const& name) {
                 return file_number(name, ".log") != 0 || file_number(name, ".sst") != 0;
             });
    return status;
}

Status StoreDirectory::open_as_it_is(bool is_new) {
    auto options = database_options(settings_);
    // It would make a new database, and remove the files of the old one, if CURRENT were missing.
    options.create_if_missing = is_new;
    rocksdb::DB* opened = nullptr;
    auto status = rocksdb::DB::Open(options, path(kDatabaseName), &opened);
    database_.reset(opened);
    if (status.ok()) status = complete_meta(*database_, version_);
    if (!status.ok()) database_.reset();
    return status;
}

bool StoreDirectory::is_damage(Status const& status) {
    return status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
           status.IsInvalidArgument() || status.IsNotSupported();
}

// --- Making anew --------------------------------------------------------------------------------

Status StoreDirectory::rebuild(std::string const& why) {
    settings_.log(LogLevel::warning,
                  fmt::format("store: {}; the database is made anew from what can be read", why));
    database_.reset();
    RebuildResult result;
    auto status = rebuild_from_files(result);
    if (status.ok()) status = env_.RenameFile(path(kUnfinishedName), path(kRebuiltName));
    if (status.ok()) status = sync_directory(env_, settings_.directory);
    if (status.ok()) status = take_rebuilt(&result.damaged.paths);
    if (status.ok()) status = open_as_it_is(false);
    if (status.ok())
        settings_.log(result.records > 0 ? LogLevel::warning : LogLevel::error,
                      fmt::format("store: the database is made anew with {} records; {} are in "
                                  "quarantine",
                                  result.records, quarantined()));
    return status;
}

Status StoreDirectory::rebuild_from_files(RebuildResult& result) {
    DatabaseFiles files;
    auto const status = find_files(env_, path(kDatabaseName), files);
    if (!status.ok()) return status;
    return spoke::broker::rebuild(database_options(settings_), files, path(kUnfinishedName),
                                  quarantine_, result);
}

/// A database under this name is whole, and what is under the usual one is not wanted any more.
/// `damaged_files`: its damaged tables, if that is known.
Status StoreDirectory::take_rebuilt(std::vector<std::string> const* damaged_files) {
    bool is_there = false;
    auto status = look_for(env_, path(kRebuiltName), is_there);
    if (!status.ok()) return status;
    if (!is_there) return remove_tree(env_, path(kUnfinishedName));
    status = look_for(env_, path(kDatabaseName), is_there);
    if (!status.ok()) return status;
    std::string old;
    if (is_there) {
        old = quarantine_.move_here(path(kDatabaseName), "was made anew");
        if (old.empty()) status = remove_tree(env_, path(kDatabaseName));
        if (!status.ok()) return status;
    }
    status = env_.RenameFile(path(kRebuiltName), path(kDatabaseName));
    if (status.ok()) status = sync_directory(env_, settings_.directory);
    if (status.ok() && !old.empty() && damaged_files) status = prune(old, *damaged_files);
    return status;
}

/// Of a database in quarantine only the damaged tables are worth their space, and what says how
/// they belong together.
Status StoreDirectory::prune(std::string const& old,
                             std::vector<std::string> const& damaged_files) {
    std::vector<std::string> names;
    auto status = list_directory(env_, old, names);
    for (auto name = names.begin(); status.ok() && name != names.end(); ++name) {
        auto const is_damaged =
            std::any_of(damaged_files.begin(), damaged_files.end(),
                        [&](std::string const& path) { return name_in(path) == *name; });
        auto const is_table = file_number(*name, ".sst") != 0;
        if (is_table && !is_damaged) status = env_.DeleteFile(old + "/" + *name);
    }
    return status;
}

// --- Records ------------------------------------------------------------------------------------

Status StoreDirectory::for_each(
    std::string_view prefix, std::function<void(std::string_view, std::string_view)> const& visit) {
    std::string next{prefix};
    for (;;) {
        auto const from = next;
        auto status = visit_from(from, prefix, visit, next);
        if (!is_damage(status)) return status;
        status = rebuild(status.ToString());
        if (!status.ok()) return status;
        // What was made anew has no damage, so this ends.
    }
}

/// `next`: where to go on after an error.
Status StoreDirectory::visit_from(
    std::string const& from, std::string_view prefix,
    std::function<void(std::string_view, std::string_view)> const& visit, std::string& next) {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.readahead_size = 1U << 20;
    std::unique_ptr<rocksdb::Iterator> at{database_->NewIterator(options)};
    for (at->Seek(from); at->Valid() && at->key().starts_with({prefix.data(), prefix.size()});
         at->Next()) {
        visit(at->key().ToStringView(), at->value().ToStringView());
        next.assign(at->key().data(), at->key().size());
        next.push_back('\0');
    }
    return at->status();
}

void StoreDirectory::discard(std::string_view key, std::string_view value, std::string_view why) {
    quarantine_.keep_record(key, value, why);
    auto const status = database_->Delete({}, {key.data(), key.size()});
    if (!status.ok())
        settings_.log(LogLevel::error, fmt::format("store: a damaged record cannot be removed: {}",
                                                   status.ToString()));
}

}  // namespace spoke::broker
