#include "broker/storage/salvage.hpp"

#include <algorithm>
#include <cstdint>

#include "broker/storage/record_check.hpp"

namespace spoke::broker {
namespace {

/// Whether a change is to be believed: one in a block with a wrong checksum may be anything.
bool is_credible(FileChange const& change) {
    if (change.is_proven) return true;
    return change.is_removal ? is_key(change.key) : has_right_checksum(change.key, change.value);
}

/// Which change of each key is the latest.
class Latest {
public:
    void add(FileChange const& change) { entries_.push_back({hash(change), change.sequence}); }

    void finish() {
        std::sort(entries_.begin(), entries_.end(), [](Entry const& a, Entry const& b) {
            return a.hash != b.hash ? a.hash < b.hash : a.sequence > b.sequence;
        });
        auto const end =
            std::unique(entries_.begin(), entries_.end(),
                        [](Entry const& a, Entry const& b) { return a.hash == b.hash; });
        entries_.erase(end, entries_.end());
    }

    /// Whether it is, and is asked for the first time: the same may stand in a table and a log.
    [[nodiscard]] bool take(FileChange const& change) {
        auto const wanted = hash(change);
        auto const entry =
            std::lower_bound(entries_.begin(), entries_.end(), wanted,
                             [](Entry const& e, std::uint64_t value) { return e.hash < value; });
        if (entry == entries_.end() || entry->hash != wanted || entry->sequence != change.sequence)
            return false;
        entry->sequence = kTaken;
        return true;
    }

private:
    struct Entry {
        std::uint64_t hash;
        std::uint64_t sequence;
    };
    static constexpr std::uint64_t kTaken = UINT64_MAX;  // RocksDB's have 56 bits

    static std::uint64_t hash(FileChange const& change) {
        return std::hash<std::string_view>{}(change.key);
    }

    std::vector<Entry> entries_{};
};

}  // namespace

rocksdb::Status salvage(rocksdb::Env& env, DatabaseFiles const& files,
                        SalvageVisitor const& visitor, DamagedTables& damaged) {
    Latest latest;
    auto const status = visit_changes(
        env, files,
        [&](FileChange const& change) {
            if (is_credible(change)) latest.add(change);
        },
        damaged);
    if (!status.ok()) return status;
    latest.finish();
    DamagedTables told_before;
    return visit_changes(
        env, files,
        [&](FileChange const& change) {
            if (is_credible(change) && !latest.take(change)) return;
            if (change.is_removal) return;
            if (has_right_checksum(change.key, change.value))
                visitor.on_record(change.key, change.value);
            else
                visitor.on_damaged(change.key, change.value);
        },
        told_before);
}

}  // namespace spoke::broker
