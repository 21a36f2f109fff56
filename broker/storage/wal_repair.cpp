#include "broker/storage/wal_repair.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <optional>
#include <utility>

#include "broker/storage/files.hpp"
#include "broker/storage/little_endian.hpp"
#include "broker/storage/quarantine.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

constexpr std::size_t kBatchHeaderSize = 12;  // sequence 8, count 4

struct BatchHeader {
    std::uint64_t sequence = 0;
    std::uint32_t count = 0;
};

std::optional<BatchHeader> batch_header(std::string_view record) {
    if (record.size() < kBatchHeaderSize) return std::nullopt;
    return BatchHeader{little_endian<std::uint64_t>(record),
                       little_endian<std::uint32_t>(record.substr(8))};
}

/// Knows which record may come next in the logs.
class Succession {
public:
    /// After `lost_bytes`, each change of which took more than one.
    [[nodiscard]] bool can_follow(std::string_view record) const {
        auto const header = batch_header(record);
        if (!header) return false;
        if (next_ == 0) return true;
        return header->sequence >= next_ && header->sequence - next_ <= kLostChangesMax;
    }
    void on_record(BatchHeader const& header) { next_ = header.sequence + header.count; }

private:
    // More than fit into a block.
    static constexpr std::uint64_t kLostChangesMax = 32'768;
    std::uint64_t next_ = 0;
};

/// Of one log: what RocksDB calls a batch.
Status scan_wal(rocksdb::Env& env, std::string const& path, Succession& succession,
                std::function<void(WalPiece const&)> const& visit) {
    LogForm const form{file_number(path.substr(path.rfind('/') + 1), ".log"),
                       [&](std::string_view record) { return succession.can_follow(record); }};
    return scan_log(env, path, form, [&](LogPiece const& piece) {
        WalPiece told{path, piece};
        auto const header = batch_header(piece.payload);
        if (header) {
            succession.on_record(*header);
            told.sequence = header->sequence;
            told.count = header->count;
        } else {
            told.piece.kind = LogPiece::Kind::damaged;
        }
        visit(told);
    });
}

/// Of one log of the database: what may come in it depends on those before it.
Status contents_without_damage(rocksdb::Env& env, std::string const& database,
                               std::string const& path, std::string& contents) {
    return scan_wals(env, database, [&](WalPiece const& wal) {
        if (wal.path == path && wal.piece.kind == LogPiece::Kind::record)
            append_log_record(contents, wal.piece.payload);
    });
}

}  // namespace

Status scan_wals(rocksdb::Env& env, std::string const& database,
                 std::function<void(WalPiece const&)> const& visit) {
    std::vector<std::string> names;
    auto status = list_directory(env, database, names);
    Succession succession;
    for (auto const& name : names) {
        if (file_number(name, ".log") == 0) continue;
        status = scan_wal(env, database + "/" + name, succession, visit);
        if (!status.ok()) return status;
    }
    return status;
}

Status check_wals(rocksdb::Env& env, std::string const& database, WalDamage& damage) {
    std::vector<std::pair<std::string, std::uint64_t>> pending;  // no whole record behind them yet
    auto status = scan_wals(env, database, [&](WalPiece const& wal) {
        if (wal.piece.kind == LogPiece::Kind::damaged) {
            pending.emplace_back(wal.path, wal.piece.end - wal.piece.offset);
            return;
        }
        for (auto& [path, bytes] : pending) {
            ++damage.pieces;
            if (damage.files.empty() || damage.files.back() != path)
                damage.files.push_back(std::move(path));
        }
        pending.clear();
    });
    for (auto const& [path, bytes] : pending) damage.torn_bytes += bytes;
    return status;
}

Status repair_wals(rocksdb::Env& env, std::string const& database, Quarantine& quarantine,
                   WalDamage& damage) {
    auto status = check_wals(env, database, damage);
    for (auto path = damage.files.begin(); status.ok() && path != damage.files.end(); ++path) {
        quarantine.keep_copy(*path, "damaged in the middle");
        std::string contents;
        status = contents_without_damage(env, database, *path, contents);
        if (status.ok()) status = write_file(env, *path, contents);
    }
    quarantine.count(damage.pieces);
    return status;
}

}  // namespace spoke::broker
