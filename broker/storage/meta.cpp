#include "broker/storage/meta.hpp"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "broker/storage/file_changes.hpp"
#include "broker/storage/record_check.hpp"
#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

constexpr unsigned kStartsShift = 40;  // of the starts of a store in its delivery numbers

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

/// The highest session number that a key has, plus 1.
Status session_end(rocksdb::DB& database, std::uint64_t& end) {
    end = 1;
    std::unique_ptr<rocksdb::Iterator> at{database.NewIterator({})};
    for (auto const family :
         {RecordFamily::session, RecordFamily::subscription, RecordFamily::inbound,
          RecordFamily::delivery, RecordFamily::message}) {
        std::string const behind(1, static_cast<char>(static_cast<char>(family) + 1));
        at->SeekForPrev(behind);
        if (!at->Valid()) continue;
        auto const key = at->key().ToStringView();
        auto const session = session_in_key(key);
        if (family_of(key) == family && session) end = std::max(end, session->value + 1);
    }
    return at->status();
}

/// How often the store was opened, by the numbers of what is in it.
Status starts_so_far(rocksdb::DB& database, std::uint64_t& starts) {
    starts = 0;
    std::unique_ptr<rocksdb::Iterator> at{database.NewIterator({})};
    for (auto const family : {RecordFamily::delivery, RecordFamily::message}) {
        std::string const prefix(1, static_cast<char>(family));
        for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
            auto const numbered = parse_numbered_key(at->key().ToStringView());
            if (numbered) starts = std::max(starts, numbered->number.value >> kStartsShift);
        }
    }
    return at->status();
}

Status value_of(rocksdb::DB& database, MetaField field, std::uint64_t& number) {
    switch (field) {
        case MetaField::format_version:
            return Status::OK();  // as given
        case MetaField::hash_seed:
            number = random_seed();
            return Status::OK();
        case MetaField::session_mark:
            return session_end(database, number);
        case MetaField::starts:
            return starts_so_far(database, number);
    }
    return Status::OK();
}

Status is_there(rocksdb::DB& database, MetaField field, bool& there) {
    auto const key = meta_key(field);
    std::string value;
    auto status = database.Get({}, key, &value);
    there = status.ok() && decode_meta(key, value).has_value();
    return status.IsNotFound() ? Status::OK() : status;
}

}  // namespace

Status complete_meta(rocksdb::DB& database, std::uint64_t version) {
    rocksdb::WriteBatch batch;
    for (auto const field : {MetaField::format_version, MetaField::hash_seed,
                             MetaField::session_mark, MetaField::starts}) {
        bool there = false;
        auto status = is_there(database, field, there);
        if (!status.ok()) return status;
        if (there) continue;
        auto number = version;
        status = value_of(database, field, number);
        if (!status.ok()) return status;
        auto const key = meta_key(field);
        std::string value;
        encode_meta(key, number, value);
        status = batch.Put(key, value);
        if (!status.ok()) return status;
    }
    if (batch.Count() == 0) return Status::OK();
    rocksdb::WriteOptions options;
    options.sync = true;
    return database.Write(options, &batch);
}

std::optional<std::uint64_t> format_version_of_records(rocksdb::Env& env,
                                                       std::string const& database) {
    DatabaseFiles files;
    find_files(env, database, files).PermitUncheckedError();
    auto const key = meta_key(MetaField::format_version);
    std::optional<std::uint64_t> version;
    std::uint64_t latest = 0;
    DamagedTables damaged;
    auto const visit = [&](FileChange const& change) {
        if (change.key != key || change.is_removal || change.sequence < latest) return;
        auto const meta = decode_meta(change.key, change.value);
        if (!meta) return;
        version = meta->number;
        latest = change.sequence;
    };
    visit_changes(env, files, visit, damaged).PermitUncheckedError();
    return version;
}

}  // namespace spoke::broker
