#include "tests/fault/disk/volatile_disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace spoke::fault {
namespace {

constexpr std::size_t kPage = 4096;

std::string parent_of(std::string const& path) {
    return std::filesystem::path{path}.parent_path().string();
}

std::string without_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

[[noreturn]] void fail(std::string const& what) {
    throw std::system_error{errno, std::generic_category(), what};
}

void write_at(std::string const& path, std::size_t offset, std::string_view data) {
    int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) fail(path);
    while (!data.empty()) {
        auto written = ::pwrite(file, data.data(), data.size(), static_cast<off_t>(offset));
        if (written < 0) fail(path);
        data.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::size_t>(written);
    }
    ::close(file);
}

template <std::size_t N>
double pick(std::mt19937_64& random, std::array<double, N> const& choices) {
    return choices[random() % N];
}

}  // namespace

Temper Temper::from_seed(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    Temper temper;
    temper.early_data = pick<4>(random, {0, 0.01, 0.1, 0.5});
    temper.early_hole = pick<4>(random, {0, 0, 0.1, 0.5});
    temper.early_names = pick<4>(random, {0, 0, 0.2, 0.7});
    temper.sync_us_max = static_cast<unsigned>(pick<4>(random, {0, 200, 2000, 8000}));
    return temper;
}

VolatileDisk::VolatileDisk(std::uint64_t seed, Temper temper) : random_{seed}, temper_{temper} {}

bool VolatileDisk::happens(double chance) {
    return std::uniform_real_distribution<double>{}(random_) < chance;
}

std::size_t VolatileDisk::random_below(std::size_t bound) {
    std::lock_guard lock{mutex_};
    return random_() % bound;
}

// --- Files ---------------------------------------------------------------------------------------

InodePtr VolatileDisk::visible(std::string const& path) {
    auto found = names_.find(path);
    return found == names_.end() ? nullptr : found->second;
}

/// The file of that name, in memory from now on; null if there is none.
InodePtr VolatileDisk::load(std::string const& path) {
    if (auto found = names_.find(path); found != names_.end()) return found->second;
    std::ifstream file{path, std::ios::binary};
    if (!file) return nullptr;
    auto inode = std::make_shared<Inode>();
    inode->data.assign(std::istreambuf_iterator<char>{file}, {});
    inode->synced = inode->on_disk = inode->data.size();
    give_real_name(inode, path);
    return names_[path] = inode;
}

InodePtr VolatileDisk::create(std::string const& path) {
    std::lock_guard lock{mutex_};
    auto inode = std::make_shared<Inode>();
    names_[path] = inode;
    change({Change::Kind::create, inode, {}, path});
    return inode;
}

InodePtr VolatileDisk::open(std::string const& path) {
    std::lock_guard lock{mutex_};
    return load(path);
}

InodePtr VolatileDisk::find_written(std::string const& path) {
    std::lock_guard lock{mutex_};
    return visible(path);
}

bool VolatileDisk::exists(std::string const& path) {
    std::lock_guard lock{mutex_};
    if (auto found = names_.find(path); found != names_.end()) return found->second != nullptr;
    return std::filesystem::exists(path);
}

std::optional<std::uint64_t> VolatileDisk::size(std::string const& path) {
    std::lock_guard lock{mutex_};
    if (auto found = names_.find(path); found != names_.end()) {
        if (!found->second) return std::nullopt;
        return found->second->data.size();
    }
    std::error_code error;
    auto size = std::filesystem::file_size(path, error);
    if (error) return std::nullopt;
    return size;
}

bool VolatileDisk::rename(std::string const& from, std::string const& to) {
    std::lock_guard lock{mutex_};
    auto inode = load(from);
    if (!inode) return false;
    names_[from] = nullptr;
    names_[to] = inode;
    change({Change::Kind::rename, inode, from, to});
    return true;
}

bool VolatileDisk::remove(std::string const& path) {
    std::lock_guard lock{mutex_};
    auto found = names_.find(path);
    bool is_there =
        found != names_.end() ? found->second != nullptr : std::filesystem::exists(path);
    if (!is_there) return false;
    auto inode = found != names_.end() ? found->second : nullptr;
    names_[path] = nullptr;
    change({Change::Kind::remove, inode, {}, path});
    return true;
}

std::vector<std::string> VolatileDisk::list(std::string const& given) {
    std::lock_guard lock{mutex_};
    auto directory = without_slash(given);
    std::vector<std::string> names;
    for (auto const& entry : std::filesystem::directory_iterator{directory}) {
        auto path = entry.path().string();
        if (!names_.contains(path)) names.push_back(entry.path().filename().string());
    }
    for (auto const& [path, inode] : names_)
        if (inode && parent_of(path) == directory)
            names.push_back(std::filesystem::path{path}.filename().string());
    return names;
}

// --- Contents ------------------------------------------------------------------------------------

void VolatileDisk::append(Inode& inode, std::string_view data) {
    std::lock_guard lock{mutex_};
    inode.data += data;
    if (happens(temper_.early_data)) release_early(inode);
}

void VolatileDisk::truncate(Inode& inode, std::size_t size) {
    std::lock_guard lock{mutex_};
    inode.data.resize(size);
    inode.synced = std::min(inode.synced, size);
    inode.on_disk = std::min(inode.on_disk, size);
    if (!inode.real_path.empty())
        std::filesystem::resize_file(inode.real_path, std::min(inode.on_disk, size));
}

std::size_t VolatileDisk::read(Inode const& inode, std::size_t offset, std::size_t size,
                               char* out) {
    std::lock_guard lock{mutex_};
    if (offset >= inode.data.size()) return 0;
    return inode.data.copy(out, size, offset);
}

std::size_t VolatileDisk::size_of(Inode const& inode) {
    std::lock_guard lock{mutex_};
    return inode.data.size();
}

// --- Durability ----------------------------------------------------------------------------------

void VolatileDisk::write_out(Inode& inode, std::size_t begin, std::size_t end) {
    auto part = inode.data.substr(begin, end - begin);
    for (auto [from, to] : inode.dropped)
        for (auto at = std::max(from, begin); at < std::min(to, end); ++at) part[at - begin] = '\0';
    write_at(inode.real_path, begin, part);
}

void VolatileDisk::release_early(Inode& inode) {
    if (inode.real_path.empty() || inode.on_disk == inode.data.size()) return;
    auto unsynced = inode.data.size() - inode.on_disk;
    if (happens(temper_.early_hole)) {
        auto at = (inode.on_disk + random_() % unsynced) / kPage * kPage;
        if (at > inode.on_disk) write_out(inode, at, std::min(at + kPage, inode.data.size()));
        return;
    }
    auto end = inode.on_disk + 1 + random_() % unsynced;
    write_out(inode, inode.on_disk, end);
    inode.on_disk = end;
}

void VolatileDisk::sync(Inode& inode) {
    std::unique_lock lock{mutex_};
    auto end = inode.data.size();
    if (temper_.sync_us_max > 0) {
        std::chrono::microseconds half{random_() % temper_.sync_us_max / 2};
        lock.unlock();
        std::this_thread::sleep_for(half);
        lock.lock();
        release_early(inode);
        lock.unlock();
        std::this_thread::sleep_for(half);
        lock.lock();
    }
    end = std::min(end, inode.data.size());
    if (!inode.real_path.empty() && end > inode.on_disk) {
        write_out(inode, inode.on_disk, end);
        inode.on_disk = end;
    }
    inode.synced = std::max(inode.synced, end);
}

void VolatileDisk::fail_sync(Inode& inode) {
    std::lock_guard lock{mutex_};
    auto begin = std::max(inode.synced, inode.on_disk);
    if (begin < inode.data.size()) inode.dropped.emplace_back(begin, inode.data.size());
}

void VolatileDisk::change(Change change) {
    changes_.push_back(std::move(change));
    if (happens(temper_.early_names)) apply_early();
}

void VolatileDisk::apply_early() {
    for (auto count = 1 + random_() % changes_.size(); count > 0; --count) {
        apply(changes_.front());
        changes_.pop_front();
    }
}

/// From here on the real file of that name is this one; another that had the name has none.
void VolatileDisk::give_real_name(InodePtr const& inode, std::string const& path) {
    auto& named = real_names_[path];
    if (named && named != inode) named->real_path.clear();
    if (!inode->real_path.empty()) real_names_.erase(inode->real_path);
    inode->real_path = path;
    real_names_[path] = inode;
}

void VolatileDisk::apply(Change const& change) {
    auto& inode = change.inode;
    if (change.kind == Change::Kind::remove) {
        std::filesystem::remove(change.path);
        real_names_.erase(change.path);
        if (inode) inode->real_path.clear();
    } else if (change.kind == Change::Kind::rename && !inode->real_path.empty()) {
        std::filesystem::rename(inode->real_path, change.path);
        give_real_name(inode, change.path);
    } else {
        std::filesystem::remove(change.path);
        give_real_name(inode, change.path);
        write_out(*inode, 0, inode->synced);
        inode->on_disk = inode->synced;
    }
}

void VolatileDisk::sync_directory(std::string const& given) {
    std::lock_guard lock{mutex_};
    auto directory = without_slash(given);
    std::deque<Change> others;
    for (auto& change : changes_) {
        if (parent_of(change.path) == directory)
            apply(change);
        else
            others.push_back(std::move(change));
    }
    changes_ = std::move(others);
}

void VolatileDisk::write_rest(Inode& inode) {
    if (inode.real_path.empty() || inode.on_disk == inode.data.size()) return;
    write_out(inode, inode.on_disk, inode.data.size());
    inode.on_disk = inode.data.size();
}

void VolatileDisk::apply_all() {
    for (auto const& change : changes_) apply(change);
    changes_.clear();
}

void VolatileDisk::write_all() {
    std::lock_guard lock{mutex_};
    apply_all();
    for (auto const& [path, inode] : names_)
        if (inode) write_rest(*inode);
}

// --- Directories ---------------------------------------------------------------------------------

void VolatileDisk::rename_directory(std::string const& from, std::string const& to) {
    std::lock_guard lock{mutex_};
    apply_all();
    std::filesystem::rename(from, to);
    std::map<std::string, InodePtr> moved;
    for (auto const& [path, inode] : names_) {
        if (parent_of(path) != from) continue;
        auto fresh = to + path.substr(from.size());
        moved[fresh] = inode;
        if (!inode) continue;
        real_names_.erase(inode->real_path);
        give_real_name(inode, fresh);
        write_rest(*inode);
    }
    std::erase_if(names_, [&](auto const& entry) { return parent_of(entry.first) == from; });
    for (auto& [path, inode] : moved) names_[path] = inode;
}

void VolatileDisk::prepare_to_remove_directory(std::string const& path) {
    std::lock_guard lock{mutex_};
    apply_all();
    std::erase_if(names_, [&](auto const& entry) { return parent_of(entry.first) == path; });
}

}  // namespace spoke::fault
