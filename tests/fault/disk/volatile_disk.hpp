#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spoke::fault {

/// A file's content as programs see it, and how much of that is sure to outlive the power.
struct Inode {
    std::string data{};
    std::size_t synced = 0;   // bytes that a sync has made durable
    std::size_t on_disk = 0;  // bytes in the real file: at least what is synced, once it has a name
    std::string real_path{};  // where the real file is; empty: no name of it is durable
    // What a failed sync has thrown away: it is read until the power goes, and never gets to disk.
    std::vector<std::pair<std::size_t, std::size_t>> dropped{};
};
using InodePtr = std::shared_ptr<Inode>;

/// How a disk treats what nobody has synced. From a seed, so that each run has another disk.
struct Temper {
    double early_data = 0;     // chance per write that some of what is unsynced gets to disk
    double early_hole = 0;     // chance that it is a later page, with zeros before it
    double early_names = 0;    // chance per change of a directory that some changes get to disk
    unsigned sync_us_max = 0;  // a sync takes up to so long
    [[nodiscard]] static Temper from_seed(std::uint64_t seed);
};

/// A disk that keeps in memory what was not synced, so that SIGKILL loses it as a power cut would.
/// The real files are what is durable at each moment:
///
/// - Bytes get there when their file is synced, or early: any prefix of what is unsynced, or a
///   page out of it, each file by itself (torn and reordered writes).
/// - Making, renaming and removing a file get there when the directory is synced, or early: then
///   in their order, as file systems with a journal do it. Syncing a file does not make its name
///   durable. A file whose name is durable before its data is empty, or holds a part.
/// - Making, renaming and removing a directory is durable at once.
/// - What a failed sync did not write never gets there: zeros stand in its place once bytes behind
///   it do. Until then it is read as if it were.
///
/// What was there before and is not touched is read from the real files. All functions may be
/// called from any thread. Files that were written stay in memory until they are removed.
class VolatileDisk {
public:
    VolatileDisk(std::uint64_t seed, Temper temper);

    // --- files; paths as they are given ---

    /// A new empty file of that name, in place of any that is there.
    [[nodiscard]] InodePtr create(std::string const& path);
    /// The file to write on, null if there is none.
    [[nodiscard]] InodePtr open(std::string const& path);
    /// The file if it was written here; null if the real one is to be read, or if there is none.
    [[nodiscard]] InodePtr find_written(std::string const& path);
    [[nodiscard]] bool exists(std::string const& path);
    [[nodiscard]] std::optional<std::uint64_t> size(std::string const& path);
    /// False if there is no such file.
    bool rename(std::string const& from, std::string const& to);
    bool remove(std::string const& path);
    /// Directories are renamed and removed at once, with all that is in them as it is seen.
    void rename_directory(std::string const& from, std::string const& to);
    void prepare_to_remove_directory(std::string const& path);
    /// Names in a directory, of files and directories.
    [[nodiscard]] std::vector<std::string> list(std::string const& directory);

    // --- contents ---

    void append(Inode& inode, std::string_view data);
    void truncate(Inode& inode, std::size_t size);
    [[nodiscard]] std::size_t read(Inode const& inode, std::size_t offset, std::size_t size,
                                   char* out);
    [[nodiscard]] std::size_t size_of(Inode const& inode);

    // --- durability ---

    void sync(Inode& inode);
    void fail_sync(Inode& inode);
    void sync_directory(std::string const& directory);
    /// As when a program ends and the power stays.
    void write_all();

    /// Until it is let go, nothing changes: the real files are what a power cut now would leave.
    [[nodiscard]] std::unique_lock<std::mutex> freeze() { return std::unique_lock{mutex_}; }

    /// A number below `bound`, from the seed.
    [[nodiscard]] std::size_t random_below(std::size_t bound);

private:
    struct Change {
        enum class Kind : std::uint8_t { create, rename, remove } kind;
        InodePtr inode;
        std::string from;
        std::string path;
    };

    InodePtr visible(std::string const& path);
    InodePtr load(std::string const& path);
    void change(Change change);
    void apply(Change const& change);
    void give_real_name(InodePtr const& inode, std::string const& path);
    void apply_early();
    void release_early(Inode& inode);
    void write_rest(Inode& inode);
    void apply_all();
    void write_out(Inode& inode, std::size_t begin, std::size_t end);
    bool happens(double chance);

    std::mutex mutex_;
    std::mt19937_64 random_;
    Temper temper_;
    std::map<std::string, InodePtr> names_;       // as seen; null: removed
    std::map<std::string, InodePtr> real_names_;  // of the files in memory, as they are durable
    std::deque<Change> changes_;                  // of directories, not durable, in order
};

}  // namespace spoke::fault
