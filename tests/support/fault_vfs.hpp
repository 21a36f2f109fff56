#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

struct sqlite3_vfs;

namespace spoke::test {

/// A disk for SQLite that can be full, fail, and lose what was not synced. It writes real files
/// through SQLite's own VFS and remembers, for each, what a power failure would leave of it.
/// After a sync that failed, what was written before it is readable and will never reach the disk,
/// as with the page cache of Linux.
/// Thread  any; it outlives every connection that uses it.
class FaultVfs {
public:
    FaultVfs();
    ~FaultVfs();
    FaultVfs(FaultVfs const&) = delete;
    FaultVfs& operator=(FaultVfs const&) = delete;

    /// For SQLite.
    [[nodiscard]] std::string const& name() const noexcept { return name_; }

    /// From now on writes give this result code; 0: they work.
    void fail_writes(int code);
    void fail_syncs(int code);
    void fail_reads(int code);
    /// The power goes at the write or sync with that number from now on, 1: the next one.
    void lose_power_at(std::uint64_t operation);
    /// Nothing works and nothing reaches the disk any more.
    void lose_power();
    [[nodiscard]] bool has_power() const;

    /// Puts the files back as the power failure left them: what was synced, and of the rest any
    /// part. No connection is open.
    void restore_power(std::mt19937_64& random);

    /// Operations that were answered with a fault.
    [[nodiscard]] std::uint64_t failures() const;

private:
    friend struct FaultFile;

    struct Range {
        std::int64_t begin;
        std::int64_t end;
    };
    struct Image {
        std::string durable{};       // what is on the platter
        std::vector<Range> dirty{};  // written since the last sync
        bool resized = false;
    };

    /// What an operation that changes the disk is answered with.
    [[nodiscard]] int admit(int fault);

    mutable std::mutex mutex_;
    std::string name_;
    std::unique_ptr<sqlite3_vfs> vfs_;
    sqlite3_vfs* real_;
    std::map<std::string, Image> images_;
    int write_fault_ = 0;
    int sync_fault_ = 0;
    int read_fault_ = 0;
    bool has_power_ = true;
    std::uint64_t power_lost_at_ = 0;
    std::uint64_t operations_ = 0;
    std::uint64_t failures_ = 0;
};

}  // namespace spoke::test
