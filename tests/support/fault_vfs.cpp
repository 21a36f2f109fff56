#include "tests/support/fault_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <sstream>
#include <utility>

namespace spoke::test {

/// As SQLite sees an open file: its own one lies behind it in the same memory.
struct FaultFile {
    sqlite3_file base;
    FaultVfs* disk;
    FaultVfs::Image* image;  // none: a temporary file, which need not survive anything

    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    static FaultFile& of(sqlite3_file* file) { return *reinterpret_cast<FaultFile*>(file); }
    static sqlite3_file* real_of(sqlite3_file* file) { return of(file).real(); }

    static FaultVfs& disk_of(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }
    static sqlite3_vfs* real_of(sqlite3_vfs* vfs) { return disk_of(vfs).real_; }

    static int open(sqlite3_vfs* vfs, char const* name, sqlite3_file* file, int flags, int* out);
    static int remove(sqlite3_vfs* vfs, char const* name, int sync_folder);
    static int write(sqlite3_file* file, void const* data, int size, sqlite3_int64 offset);
    static int read(sqlite3_file* file, void* data, int size, sqlite3_int64 offset);
    static int truncate(sqlite3_file* file, sqlite3_int64 size);
    static int sync(sqlite3_file* file, int flags);
    static int close(sqlite3_file* file);

    std::string content();
};

namespace {

std::string content_of(std::string const& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

sqlite3_io_methods const kMethods = [] {
    sqlite3_io_methods methods{};
    methods.iVersion = 2;  // without mapped files: every access shall be seen
    methods.xClose = FaultFile::close;
    methods.xRead = FaultFile::read;
    methods.xWrite = FaultFile::write;
    methods.xTruncate = FaultFile::truncate;
    methods.xSync = FaultFile::sync;
    methods.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xFileSize(real, size);
    };
    methods.xLock = [](sqlite3_file* file, int level) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xLock(real, level);
    };
    methods.xUnlock = [](sqlite3_file* file, int level) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xUnlock(real, level);
    };
    methods.xCheckReservedLock = [](sqlite3_file* file, int* is_held) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xCheckReservedLock(real, is_held);
    };
    methods.xFileControl = [](sqlite3_file* file, int what, void* argument) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xFileControl(real, what, argument);
    };
    methods.xSectorSize = [](sqlite3_file* file) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xSectorSize(real);
    };
    methods.xDeviceCharacteristics = [](sqlite3_file* file) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xDeviceCharacteristics(real);
    };
    methods.xShmMap = [](sqlite3_file* file, int page, int size, int extend, void volatile** out) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xShmMap(real, page, size, extend, out);
    };
    methods.xShmLock = [](sqlite3_file* file, int offset, int n, int flags) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xShmLock(real, offset, n, flags);
    };
    methods.xShmBarrier = [](sqlite3_file* file) {
        auto* real = FaultFile::real_of(file);
        real->pMethods->xShmBarrier(real);
    };
    methods.xShmUnmap = [](sqlite3_file* file, int remove) {
        auto* real = FaultFile::real_of(file);
        return real->pMethods->xShmUnmap(real, remove);
    };
    return methods;
}();

}  // namespace

int FaultFile::open(sqlite3_vfs* vfs, char const* name, sqlite3_file* file, int flags, int* out) {
    auto& disk = disk_of(vfs);
    auto* self = new (file) FaultFile{{nullptr}, &disk, nullptr};
    std::lock_guard lock{disk.mutex_};
    if (!disk.has_power_) return SQLITE_CANTOPEN;
    auto code = disk.real_->xOpen(disk.real_, name, self->real(), flags, out);
    if (self->real()->pMethods == nullptr) return code;
    self->base.pMethods = &kMethods;
    if (name != nullptr) {
        auto [known, is_new] = disk.images_.try_emplace(name);
        if (is_new) known->second.durable = content_of(name);
        self->image = &known->second;
    }
    return code;
}

int FaultFile::remove(sqlite3_vfs* vfs, char const* name, int sync_folder) {
    auto& disk = disk_of(vfs);
    std::lock_guard lock{disk.mutex_};
    if (!disk.has_power_) return SQLITE_IOERR_DELETE;
    auto image = disk.images_.find(name);
    // The entry stays: a connection may still have the file open.
    if (image != disk.images_.end()) image->second = {};
    return disk.real_->xDelete(disk.real_, name, sync_folder);
}

int FaultFile::write(sqlite3_file* file, void const* data, int size, sqlite3_int64 offset) {
    auto& self = of(file);
    std::lock_guard lock{self.disk->mutex_};
    if (auto code = self.disk->admit(self.disk->write_fault_); code != SQLITE_OK) return code;
    if (self.image) self.image->dirty.push_back({offset, offset + size});
    return self.real()->pMethods->xWrite(self.real(), data, size, offset);
}

int FaultFile::read(sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
    auto& self = of(file);
    std::lock_guard lock{self.disk->mutex_};
    if (!self.disk->has_power_) return SQLITE_IOERR_READ;
    if (self.disk->read_fault_ != 0) return self.disk->read_fault_;
    return self.real()->pMethods->xRead(self.real(), data, size, offset);
}

int FaultFile::truncate(sqlite3_file* file, sqlite3_int64 size) {
    auto& self = of(file);
    std::lock_guard lock{self.disk->mutex_};
    if (auto code = self.disk->admit(self.disk->write_fault_); code != SQLITE_OK) return code;
    if (self.image) self.image->resized = true;
    return self.real()->pMethods->xTruncate(self.real(), size);
}

int FaultFile::sync(sqlite3_file* file, int flags) {
    auto& self = of(file);
    auto& disk = *self.disk;
    std::lock_guard lock{disk.mutex_};
    auto code = disk.admit(disk.sync_fault_);
    if (!self.image) return code;
    auto& image = *self.image;
    auto dirty = std::exchange(image.dirty, {});
    auto resized = std::exchange(image.resized, false);
    if (code != SQLITE_OK) return code;
    auto now = self.content();
    if (resized || now.size() > image.durable.size()) image.durable.resize(now.size());
    for (auto const& range : dirty) {
        auto begin = static_cast<std::size_t>(range.begin);
        if (begin >= now.size()) continue;
        auto size = std::min(static_cast<std::size_t>(range.end), now.size()) - begin;
        image.durable.replace(begin, size, now, begin, size);
    }
    static_cast<void>(flags);  // the files are real enough without a real sync
    return SQLITE_OK;
}

int FaultFile::close(sqlite3_file* file) {
    auto* real = real_of(file);
    return real->pMethods->xClose(real);
}

std::string FaultFile::content() {
    sqlite3_int64 size = 0;
    real()->pMethods->xFileSize(real(), &size);
    std::string out(static_cast<std::size_t>(size), '\0');
    if (size > 0) real()->pMethods->xRead(real(), out.data(), static_cast<int>(size), 0);
    return out;
}

FaultVfs::FaultVfs() : vfs_(std::make_unique<sqlite3_vfs>()), real_(sqlite3_vfs_find(nullptr)) {
    static std::atomic<int> count{0};
    name_ = "spoke-fault-" + std::to_string(++count);
    *vfs_ = *real_;
    vfs_->pNext = nullptr;
    vfs_->zName = name_.c_str();
    vfs_->pAppData = this;
    vfs_->szOsFile = static_cast<int>(sizeof(FaultFile)) + real_->szOsFile;
    vfs_->xOpen = FaultFile::open;
    vfs_->xDelete = FaultFile::remove;
    vfs_->xAccess = [](sqlite3_vfs* vfs, char const* name, int flags, int* out) {
        auto* real = FaultFile::real_of(vfs);
        return real->xAccess(real, name, flags, out);
    };
    vfs_->xFullPathname = [](sqlite3_vfs* vfs, char const* name, int size, char* out) {
        auto* real = FaultFile::real_of(vfs);
        return real->xFullPathname(real, name, size, out);
    };
    sqlite3_vfs_register(vfs_.get(), 0);
}

FaultVfs::~FaultVfs() {
    sqlite3_vfs_unregister(vfs_.get());
}

void FaultVfs::fail_writes(int code) {
    std::lock_guard lock{mutex_};
    write_fault_ = code;
}

void FaultVfs::fail_syncs(int code) {
    std::lock_guard lock{mutex_};
    sync_fault_ = code;
}

void FaultVfs::fail_reads(int code) {
    std::lock_guard lock{mutex_};
    read_fault_ = code;
}

void FaultVfs::lose_power_at(std::uint64_t operation) {
    std::lock_guard lock{mutex_};
    power_lost_at_ = operations_ + operation;
}

void FaultVfs::lose_power() {
    std::lock_guard lock{mutex_};
    has_power_ = false;
}

bool FaultVfs::has_power() const {
    std::lock_guard lock{mutex_};
    return has_power_;
}

std::uint64_t FaultVfs::failures() const {
    std::lock_guard lock{mutex_};
    return failures_;
}

int FaultVfs::admit(int fault) {
    if (++operations_ == power_lost_at_) has_power_ = false;
    auto code = has_power_ ? fault : SQLITE_IOERR;
    if (code != SQLITE_OK) ++failures_;
    return code;
}

void FaultVfs::restore_power(std::mt19937_64& random) {
    constexpr std::int64_t kSector = 512;
    std::lock_guard lock{mutex_};
    for (auto& [path, image] : images_) {
        if (!std::filesystem::exists(path)) continue;
        auto cached = content_of(path);
        auto& disk = image.durable;
        for (auto const& range : image.dirty) {
            for (auto at = range.begin; at < range.end; at += kSector) {
                auto begin = static_cast<std::size_t>(at);
                if (random() % 2 == 0 || begin >= cached.size()) continue;
                auto end = static_cast<std::size_t>(std::min(at + kSector, range.end));
                auto size = std::min(end, cached.size()) - begin;
                if (disk.size() < begin + size) disk.resize(begin + size);
                disk.replace(begin, size, cached, begin, size);
            }
        }
        std::ofstream{path, std::ios::binary | std::ios::trunc} << disk;
        std::filesystem::remove(path + "-shm");
    }
    images_.clear();
    has_power_ = true;
    power_lost_at_ = 0;
    write_fault_ = sync_fault_ = read_fault_ = 0;
}

}  // namespace spoke::test
