#include "tests/fault/disk/fault_file_system.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string_view>
#include <utility>

namespace spoke::fault {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

/// As RocksDB's own file system says it.
IOStatus status_of(int error, std::string const& path) {
    if (error == 0) return IOStatus::OK();
    if (error == ENOSPC) return IOStatus::NoSpace(path, std::strerror(error));
    if (error == ENOENT) return IOStatus::PathNotFound(path, std::strerror(error));
    return IOStatus::IOError(path, std::strerror(error));
}

/// Files which no recovery reads.
bool is_aside(std::string const& path) {
    return std::filesystem::path{path}.filename().string().starts_with("LO");  // LOG..., LOCK
}

class MemorySequentialFile : public rocksdb::FSSequentialFile {
public:
    MemorySequentialFile(std::shared_ptr<VolatileDisk> disk, InodePtr inode)
        : disk_{std::move(disk)}, inode_{std::move(inode)} {}

    IOStatus Read(std::size_t size, IOOptions const& /*options*/, Slice* out, char* scratch,
                  IODebugContext* /*context*/) override {
        auto count = disk_->read(*inode_, at_, size, scratch);
        at_ += count;
        *out = Slice{scratch, count};
        return IOStatus::OK();
    }
    IOStatus Skip(std::uint64_t size) override {
        at_ = std::min(at_ + size, disk_->size_of(*inode_));
        return IOStatus::OK();
    }

private:
    std::shared_ptr<VolatileDisk> disk_;
    InodePtr inode_;
    std::size_t at_ = 0;
};

class MemoryRandomAccessFile : public rocksdb::FSRandomAccessFile {
public:
    MemoryRandomAccessFile(std::shared_ptr<VolatileDisk> disk, DiskFaults faults, InodePtr inode)
        : disk_{std::move(disk)}, faults_{std::move(faults)}, inode_{std::move(inode)} {}

    IOStatus Read(std::uint64_t offset, std::size_t size, IOOptions const& /*options*/, Slice* out,
                  char* scratch, IODebugContext* /*context*/) const override {
        *out = Slice{};
        if (int error = faults_.error_of(DiskAction::read)) return status_of(error, "file");
        *out = Slice{scratch, disk_->read(*inode_, offset, size, scratch)};
        return IOStatus::OK();
    }

private:
    std::shared_ptr<VolatileDisk> disk_;
    DiskFaults faults_;
    InodePtr inode_;
};

/// A real file that cannot be read at times.
class RealRandomAccessFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
public:
    RealRandomAccessFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file, DiskFaults faults)
        : FSRandomAccessFileOwnerWrapper{std::move(file)}, faults_{std::move(faults)} {}

    IOStatus Read(std::uint64_t offset, std::size_t size, IOOptions const& options, Slice* out,
                  char* scratch, IODebugContext* context) const override {
        *out = Slice{};
        if (int error = faults_.error_of(DiskAction::read)) return status_of(error, "file");
        return FSRandomAccessFileOwnerWrapper::Read(offset, size, options, out, scratch, context);
    }
    IOStatus MultiRead(rocksdb::FSReadRequest* requests, std::size_t count,
                       IOOptions const& options, IODebugContext* context) override {
        // By way of Read().
        return rocksdb::FSRandomAccessFile::MultiRead(requests, count, options, context);
    }

private:
    DiskFaults faults_;
};

class VolatileFile : public rocksdb::FSWritableFile {
public:
    VolatileFile(std::shared_ptr<VolatileDisk> disk, DiskFaults faults, InodePtr inode,
                 std::string path)
        : disk_{std::move(disk)},
          faults_{std::move(faults)},
          inode_{std::move(inode)},
          path_{std::move(path)} {}

    using rocksdb::FSWritableFile::Append;
    IOStatus Append(Slice const& data, IOOptions const& /*options*/,
                    IODebugContext* /*context*/) override {
        std::string_view bytes{data.data(), data.size()};
        if (int error = faults_.error_of(DiskAction::write)) {
            // What still fits is written when the disk gets full.
            if (error == ENOSPC)
                disk_->append(*inode_, bytes.substr(0, disk_->random_below(bytes.size() + 1)));
            return status_of(error, path_);
        }
        disk_->append(*inode_, bytes);
        return IOStatus::OK();
    }
    IOStatus Truncate(std::uint64_t size, IOOptions const& /*options*/,
                      IODebugContext* /*context*/) override {
        disk_->truncate(*inode_, size);
        return IOStatus::OK();
    }
    IOStatus Close(IOOptions const& /*options*/, IODebugContext* /*context*/) override {
        return IOStatus::OK();
    }
    IOStatus Flush(IOOptions const& /*options*/, IODebugContext* /*context*/) override {
        return IOStatus::OK();
    }
    IOStatus Sync(IOOptions const& /*options*/, IODebugContext* /*context*/) override {
        if (int error = faults_.error_of(DiskAction::sync)) {
            disk_->fail_sync(*inode_);
            return status_of(error, path_);
        }
        disk_->sync(*inode_);
        return IOStatus::OK();
    }
    [[nodiscard]] bool IsSyncThreadSafe() const override { return true; }
    std::uint64_t GetFileSize(IOOptions const& /*options*/, IODebugContext* /*context*/) override {
        return disk_->size_of(*inode_);
    }

private:
    std::shared_ptr<VolatileDisk> disk_;
    DiskFaults faults_;
    InodePtr inode_;
    std::string path_;
};

class VolatileDirectory : public rocksdb::FSDirectory {
public:
    VolatileDirectory(std::shared_ptr<VolatileDisk> disk, DiskFaults faults, std::string path)
        : disk_{std::move(disk)}, faults_{std::move(faults)}, path_{std::move(path)} {}

    IOStatus Fsync(IOOptions const& /*options*/, IODebugContext* /*context*/) override {
        if (int error = faults_.error_of(DiskAction::sync)) return status_of(error, path_);
        disk_->sync_directory(path_);
        return IOStatus::OK();
    }
    IOStatus Close(IOOptions const& /*options*/, IODebugContext* /*context*/) override {
        return IOStatus::OK();
    }

private:
    std::shared_ptr<VolatileDisk> disk_;
    DiskFaults faults_;
    std::string path_;
};

}  // namespace

FaultFileSystem::FaultFileSystem(std::shared_ptr<VolatileDisk> disk, DiskFaults faults)
    : FileSystemWrapper{rocksdb::FileSystem::Default()},
      disk_{std::move(disk)},
      faults_{std::move(faults)} {}

IOStatus FaultFileSystem::check(DiskAction action, std::string const& path) const {
    return status_of(faults_.error_of(action), path);
}

// --- Opening -------------------------------------------------------------------------------------

IOStatus FaultFileSystem::NewSequentialFile(std::string const& path, FileOptions const& options,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* out,
                                            IODebugContext* context) {
    if (auto status = check(DiskAction::read, path); !status.ok()) return status;
    if (auto inode = disk_->find_written(path)) {
        *out = std::make_unique<MemorySequentialFile>(disk_, std::move(inode));
        return IOStatus::OK();
    }
    if (!disk_->exists(path)) return status_of(ENOENT, path);
    return target()->NewSequentialFile(path, options, out, context);
}

IOStatus FaultFileSystem::NewRandomAccessFile(std::string const& path, FileOptions const& options,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                              IODebugContext* context) {
    if (auto status = check(DiskAction::read, path); !status.ok()) return status;
    if (auto inode = disk_->find_written(path)) {
        *out = std::make_unique<MemoryRandomAccessFile>(disk_, faults_, std::move(inode));
        return IOStatus::OK();
    }
    if (!disk_->exists(path)) return status_of(ENOENT, path);
    auto status = target()->NewRandomAccessFile(path, options, out, context);
    if (!status.ok()) return status;
    *out = std::make_unique<RealRandomAccessFile>(std::move(*out), faults_);
    return status;
}

IOStatus FaultFileSystem::NewWritableFile(std::string const& path, FileOptions const& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* out,
                                          IODebugContext* context) {
    if (is_aside(path)) return target()->NewWritableFile(path, options, out, context);
    if (auto status = check(DiskAction::name, path); !status.ok()) return status;
    *out = std::make_unique<VolatileFile>(disk_, faults_, disk_->create(path), path);
    return IOStatus::OK();
}

IOStatus FaultFileSystem::ReopenWritableFile(std::string const& path, FileOptions const& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* out,
                                             IODebugContext* context) {
    auto inode = disk_->open(path);
    if (!inode) return NewWritableFile(path, options, out, context);
    *out = std::make_unique<VolatileFile>(disk_, faults_, std::move(inode), path);
    return IOStatus::OK();
}

IOStatus FaultFileSystem::ReuseWritableFile(std::string const& path, std::string const& old_path,
                                            FileOptions const& options,
                                            std::unique_ptr<rocksdb::FSWritableFile>* out,
                                            IODebugContext* context) {
    auto status = RenameFile(old_path, path, {}, context);
    return status.ok() ? NewWritableFile(path, options, out, context) : status;
}

IOStatus FaultFileSystem::NewDirectory(std::string const& path, IOOptions const& /*options*/,
                                       std::unique_ptr<rocksdb::FSDirectory>* out,
                                       IODebugContext* /*context*/) {
    if (!std::filesystem::is_directory(path)) return status_of(ENOENT, path);
    *out = std::make_unique<VolatileDirectory>(disk_, faults_, path);
    return IOStatus::OK();
}

// --- Looking -------------------------------------------------------------------------------------

IOStatus FaultFileSystem::FileExists(std::string const& path, IOOptions const& /*options*/,
                                     IODebugContext* /*context*/) {
    return disk_->exists(path) ? IOStatus::OK() : IOStatus::NotFound();
}

IOStatus FaultFileSystem::GetChildren(std::string const& path, IOOptions const& /*options*/,
                                      std::vector<std::string>* out, IODebugContext* /*context*/) {
    if (!std::filesystem::is_directory(path)) return status_of(ENOENT, path);
    *out = disk_->list(path);
    return IOStatus::OK();
}

IOStatus FaultFileSystem::GetChildrenFileAttributes(std::string const& path,
                                                    IOOptions const& options,
                                                    std::vector<rocksdb::FileAttributes>* out,
                                                    IODebugContext* context) {
    // By way of GetChildren() and GetFileSize().
    return rocksdb::FileSystem::GetChildrenFileAttributes(path, options, out, context);
}

IOStatus FaultFileSystem::GetFileSize(std::string const& path, IOOptions const& /*options*/,
                                      std::uint64_t* out, IODebugContext* /*context*/) {
    auto size = disk_->size(path);
    if (!size) return status_of(ENOENT, path);
    *out = *size;
    return IOStatus::OK();
}

IOStatus FaultFileSystem::GetFileModificationTime(std::string const& path, IOOptions const& options,
                                                  std::uint64_t* out, IODebugContext* context) {
    if (!disk_->find_written(path))
        return target()->GetFileModificationTime(path, options, out, context);
    *out = static_cast<std::uint64_t>(std::time(nullptr));
    return IOStatus::OK();
}

IOStatus FaultFileSystem::IsDirectory(std::string const& path, IOOptions const& options, bool* out,
                                      IODebugContext* context) {
    if (!disk_->find_written(path)) return target()->IsDirectory(path, options, out, context);
    *out = false;
    return IOStatus::OK();
}

// --- Changing names ------------------------------------------------------------------------------

IOStatus FaultFileSystem::DeleteFile(std::string const& path, IOOptions const& options,
                                     IODebugContext* context) {
    if (is_aside(path)) return target()->DeleteFile(path, options, context);
    if (auto status = check(DiskAction::name, path); !status.ok()) return status;
    return status_of(disk_->remove(path) ? 0 : ENOENT, path);
}

IOStatus FaultFileSystem::DeleteDir(std::string const& path, IOOptions const& options,
                                    IODebugContext* context) {
    if (auto status = check(DiskAction::name, path); !status.ok()) return status;
    disk_->prepare_to_remove_directory(path);
    return target()->DeleteDir(path, options, context);
}

IOStatus FaultFileSystem::Truncate(std::string const& path, std::size_t size,
                                   IOOptions const& /*options*/, IODebugContext* /*context*/) {
    if (auto status = check(DiskAction::write, path); !status.ok()) return status;
    auto inode = disk_->open(path);
    if (!inode) return status_of(ENOENT, path);
    disk_->truncate(*inode, size);
    return IOStatus::OK();
}

IOStatus FaultFileSystem::RenameFile(std::string const& from, std::string const& to,
                                     IOOptions const& options, IODebugContext* context) {
    if (is_aside(from)) return target()->RenameFile(from, to, options, context);
    if (auto status = check(DiskAction::name, from); !status.ok()) return status;
    if (std::filesystem::is_directory(from)) {
        disk_->rename_directory(from, to);
        return IOStatus::OK();
    }
    return status_of(disk_->rename(from, to) ? 0 : ENOENT, from);
}

/// RocksDB copies where it cannot link.
IOStatus FaultFileSystem::LinkFile(std::string const& /*from*/, std::string const& /*to*/,
                                   IOOptions const& /*options*/, IODebugContext* /*context*/) {
    return IOStatus::NotSupported("LinkFile");
}

}  // namespace spoke::fault
