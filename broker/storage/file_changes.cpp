#include "broker/storage/file_changes.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include "broker/storage/files.hpp"
#include "broker/storage/manifest_scan.hpp"
#include "broker/storage/table_scan.hpp"
#include "broker/storage/wal_repair.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Slice;
using rocksdb::Status;
using Visit = std::function<void(FileChange const&)>;

class BatchVisitor final : public rocksdb::WriteBatch::Handler {
public:
    BatchVisitor(std::uint64_t sequence, Visit const& visit) : sequence_(sequence), visit_(visit) {}

    Status PutCF(std::uint32_t, Slice const& key, Slice const& value) override {
        return take({key.ToStringView(), value.ToStringView(), 0, false, true});
    }
    Status DeleteCF(std::uint32_t, Slice const& key) override {
        return take({key.ToStringView(), {}, 0, true, true});
    }
    Status SingleDeleteCF(std::uint32_t column_family, Slice const& key) override {
        return DeleteCF(column_family, key);
    }
    void LogData(Slice const&) override {}

private:
    Status take(FileChange change) {
        change.sequence = sequence_++;
        visit_(change);
        return Status::OK();
    }

    std::uint64_t sequence_;
    Visit const& visit_;
};

Status visit_logs(rocksdb::Env& env, std::string const& database, Visit const& visit) {
    return scan_wals(env, database, [&](WalPiece const& wal) {
        if (wal.piece.kind != LogPiece::Kind::record) return;
        rocksdb::WriteBatch const batch{std::string{wal.piece.payload}};
        BatchVisitor visitor{wal.sequence, visit};
        // What a batch with right checksum holds that is none was never written by this store.
        batch.Iterate(&visitor).PermitUncheckedError();
    });
}

Status visit_table(rocksdb::Env& env, std::string const& path, Visit const& visit,
                   DamagedTables& damaged) {
    std::string bytes;
    auto status = read_file(env, path, bytes);
    if (status.IsPathNotFound() || status.IsNotFound()) return Status::OK();
    if (!status.ok()) return status;
    auto const damage = scan_table(bytes, [&](TableEntry const& entry) {
        visit({entry.key, entry.value, entry.sequence, entry.is_removal, entry.is_proven});
    });
    damaged.pieces += damage.pieces;
    if (damage.any()) damaged.paths.push_back(path);
    return status;
}

}  // namespace

Status find_files(rocksdb::Env& env, std::string const& database, DatabaseFiles& files) {
    files = {database, {}};
    Manifest manifest;
    if (check_files(env, database).ok() && read_manifest(env, database, manifest).ok()) {
        for (auto const& [number, size] : manifest.tables)
            files.tables.push_back(fmt::format("{}/{:06}.sst", database, number));
        return Status::OK();
    }
    std::vector<std::string> names;
    auto status = list_directory(env, database, names);
    for (auto const& name : names) {
        if (file_number(name, ".sst") != 0) files.tables.push_back(database + "/" + name);
    }
    return status;
}

Status visit_changes(rocksdb::Env& env, DatabaseFiles const& files, Visit const& visit,
                     DamagedTables& damaged) {
    for (auto const& path : files.tables) {
        auto status = visit_table(env, path, visit, damaged);
        if (!status.ok()) return status;
    }
    return visit_logs(env, files.database, visit);
}

}  // namespace spoke::broker
