#include "broker/storage/manifest_scan.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/storage/files.hpp"
#include "broker/storage/little_endian.hpp"
#include "broker/storage/log_scan.hpp"
#include "broker/storage/table_scan.hpp"
#include "broker/storage/wal_repair.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

/// What stands before each field of an edit.
enum Tag : std::uint64_t {
    comparator = 1,
    log_number = 2,
    next_file_number = 3,
    last_sequence = 4,
    compact_cursor = 5,
    deleted_file = 6,
    previous_log_number = 9,
    log_number_to_keep = 10,
    new_file = 103,
    column_family = 200,
    column_family_added = 201,
    column_family_dropped = 202,
    column_families_max = 203,
    in_atomic_group = 300,
    may_be_skipped = 1 << 13,  // from here on: a length, and as many bytes
};
constexpr std::uint64_t kEndOfNewFile = 1;

/// One record of a manifest, read from the left. The first error sticks.
class Edit {
public:
    explicit Edit(std::string_view bytes) : left_(bytes) {}

    /// False: the edit has something that is not known.
    bool apply_to(Manifest& manifest) {
        while (!left_.empty() && !failed_) apply_field(number(), manifest);
        return !failed_;
    }

private:
    void apply_field(std::uint64_t tag, Manifest& manifest) {
        switch (tag) {
            case Tag::last_sequence:
                manifest.last_sequence = std::max(manifest.last_sequence, number());
                return;
            case Tag::deleted_file:
                number();  // level
                manifest.tables.erase(number());
                return;
            case Tag::new_file:
                return add_file(manifest);
            case Tag::compact_cursor:
                number();  // level
                return skip_text();
            case Tag::log_number:
            case Tag::next_file_number:
            case Tag::previous_log_number:
            case Tag::log_number_to_keep:
            case Tag::column_family:
            case Tag::column_families_max:
            case Tag::in_atomic_group:
                number();
                return;
            case Tag::column_family_dropped:
                return;
            case Tag::comparator:
            case Tag::column_family_added:
                return skip_text();
            default:
                if (tag < Tag::may_be_skipped) return fail();
                return skip_text();
        }
    }

    void add_file(Manifest& manifest) {
        number();  // level
        auto const file = number();
        auto const size = number();
        skip_text();  // smallest key
        skip_text();  // largest key
        number();     // smallest sequence
        manifest.last_sequence = std::max(manifest.last_sequence, number());
        while (!failed_ && number() != kEndOfNewFile) skip_text();
        if (!failed_) manifest.tables[file] = size;
    }

    std::uint64_t number() {
        auto const value = take_varint(left_);
        if (!value) fail();
        return value.value_or(0);
    }
    void skip_text() {
        auto const size = number();
        if (size > left_.size()) return fail();
        left_.remove_prefix(size);
    }
    void fail() {
        failed_ = true;
        left_ = {};
    }

    std::string_view left_;
    bool failed_ = false;
};

/// "MANIFEST-000005" of "MANIFEST-000005\n".
std::optional<std::string> manifest_name(std::string_view current) {
    constexpr std::string_view kPrefix = "MANIFEST-";
    if (!current.starts_with(kPrefix) || !current.ends_with('\n')) return std::nullopt;
    current.remove_suffix(1);
    auto const digits = current.substr(kPrefix.size());
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return std::nullopt;
    return std::string{current};
}

bool is_missing(Status const& status) {
    return status.IsNotFound() || status.IsPathNotFound();
}

/// The changes in a database's logs, as ranges of their sequence numbers, in order.
class LoggedChanges {
public:
    void add(std::uint64_t sequence, std::uint32_t count) {
        if (!ranges_.empty() && ranges_.back().second == sequence)
            ranges_.back().second += count;
        else
            ranges_.emplace_back(sequence, sequence + count);
    }
    [[nodiscard]] bool has(std::uint64_t sequence) const {
        return std::any_of(ranges_.begin(), ranges_.end(), [&](auto const& range) {
            return range.first <= sequence && sequence < range.second;
        });
    }

private:
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_{};
};

Status check_named_table(rocksdb::Env& env, std::string const& database, std::string const& name,
                         std::uint64_t size) {
    auto const path = database + "/" + name;
    std::uint64_t found = 0;
    auto status = env.GetFileSize(path, &found);
    if (is_missing(status)) return Status::Corruption(name + " is missing");
    if (!status.ok()) return status;
    if (found != size)
        return Status::Corruption(fmt::format("{} has {} bytes instead of {}", name, found, size));
    std::array<char, kTableFooterSize> buffer{};
    rocksdb::Slice footer;
    std::unique_ptr<rocksdb::RandomAccessFile> file;
    status = env.NewRandomAccessFile(path, &file, rocksdb::EnvOptions{});
    if (status.ok() && size >= buffer.size())
        status = file->Read(size - buffer.size(), buffer.size(), &footer, buffer.data());
    if (!status.ok()) return status;
    return is_table_footer(footer.ToStringView(), size)
               ? status
               : Status::Corruption(name + " has a damaged footer");
}

Status check_unnamed_tables(rocksdb::Env& env, std::string const& database,
                            Manifest const& manifest, std::vector<std::string> const& unnamed) {
    LoggedChanges logged;
    auto status = scan_wals(env, database, [&](WalPiece const& wal) {
        if (wal.piece.kind == LogPiece::Kind::record) logged.add(wal.sequence, wal.count);
    });
    for (auto path = unnamed.begin(); status.ok() && path != unnamed.end(); ++path) {
        std::string bytes;
        status = read_file(env, *path, bytes);
        if (!status.ok()) return status;
        bool has_others = false;
        scan_table(bytes, [&](TableEntry const& entry) {
            has_others =
                has_others || (entry.is_proven && entry.sequence > manifest.last_sequence &&
                               !logged.has(entry.sequence));
        });
        if (has_others)
            return Status::Corruption("the manifest does not name a table with records: " + *path);
    }
    return status;
}

}  // namespace

Status read_manifest(rocksdb::Env& env, std::string const& database, Manifest& manifest) {
    std::string current;
    auto status = read_file(env, database + "/CURRENT", current);
    if (is_missing(status)) return Status::Corruption("CURRENT is missing");
    if (!status.ok()) return status;
    auto const name = manifest_name(current);
    if (!name) return Status::Corruption("CURRENT is damaged");
    bool is_damaged = false;
    bool has_damage = false;
    status = scan_log(env, database + "/" + *name, {file_number(name->substr(9), "")},
                      [&](LogPiece const& piece) {
                          // A torn end is no damage: what it would have said did not come to be.
                          has_damage = has_damage || piece.kind == LogPiece::Kind::damaged;
                          if (piece.kind == LogPiece::Kind::damaged) return;
                          is_damaged = is_damaged || has_damage;
                          if (!Edit{piece.payload}.apply_to(manifest)) is_damaged = true;
                      });
    if (is_missing(status)) return Status::Corruption(*name + " is missing");
    if (!status.ok()) return status;
    if (is_damaged) return Status::Corruption(*name + " is damaged");
    return status;
}

Status check_files(rocksdb::Env& env, std::string const& database) {
    Manifest manifest;
    auto status = read_manifest(env, database, manifest);
    if (!status.ok()) return status;
    for (auto const& [number, size] : manifest.tables) {
        status = check_named_table(env, database, fmt::format("{:06}.sst", number), size);
        if (!status.ok()) return status;
    }
    std::vector<std::string> names;
    status = list_directory(env, database, names);
    if (!status.ok()) return status;
    std::vector<std::string> unnamed;
    for (auto const& name : names) {
        auto const number = file_number(name, ".sst");
        if (number != 0 && !manifest.tables.contains(number))
            unnamed.push_back(database + "/" + name);
    }
    return unnamed.empty() ? status : check_unnamed_tables(env, database, manifest, unnamed);
}

}  // namespace spoke::broker
