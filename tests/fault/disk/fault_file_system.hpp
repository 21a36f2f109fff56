#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/fault/disk/disk_faults.hpp"
#include "tests/fault/disk/volatile_disk.hpp"

namespace spoke::fault {

/// What RocksDB sees of a VolatileDisk that fails as DiskFaults say. Its log of what it does
/// (LOG, LOG.old...) and the lock file are real at once: no recovery reads them.
class FaultFileSystem : public rocksdb::FileSystemWrapper {
public:
    FaultFileSystem(std::shared_ptr<VolatileDisk> disk, DiskFaults faults);

    [[nodiscard]] char const* Name() const override { return "FaultFileSystem"; }

    rocksdb::IOStatus NewSequentialFile(std::string const& path,
                                        rocksdb::FileOptions const& options,
                                        std::unique_ptr<rocksdb::FSSequentialFile>* out,
                                        rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus NewRandomAccessFile(std::string const& path,
                                          rocksdb::FileOptions const& options,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                          rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus NewWritableFile(std::string const& path, rocksdb::FileOptions const& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* out,
                                      rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus ReopenWritableFile(std::string const& path,
                                         rocksdb::FileOptions const& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* out,
                                         rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus ReuseWritableFile(std::string const& path, std::string const& old_path,
                                        rocksdb::FileOptions const& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* out,
                                        rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus NewDirectory(std::string const& path, rocksdb::IOOptions const& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* out,
                                   rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus FileExists(std::string const& path, rocksdb::IOOptions const& options,
                                 rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus GetChildren(std::string const& path, rocksdb::IOOptions const& options,
                                  std::vector<std::string>* out,
                                  rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus GetChildrenFileAttributes(std::string const& path,
                                                rocksdb::IOOptions const& options,
                                                std::vector<rocksdb::FileAttributes>* out,
                                                rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus DeleteFile(std::string const& path, rocksdb::IOOptions const& options,
                                 rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus DeleteDir(std::string const& path, rocksdb::IOOptions const& options,
                                rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus Truncate(std::string const& path, std::size_t size,
                               rocksdb::IOOptions const& options,
                               rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus GetFileSize(std::string const& path, rocksdb::IOOptions const& options,
                                  std::uint64_t* out, rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus GetFileModificationTime(std::string const& path,
                                              rocksdb::IOOptions const& options, std::uint64_t* out,
                                              rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus RenameFile(std::string const& from, std::string const& to,
                                 rocksdb::IOOptions const& options,
                                 rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus IsDirectory(std::string const& path, rocksdb::IOOptions const& options,
                                  bool* out, rocksdb::IODebugContext* context) override;
    rocksdb::IOStatus LinkFile(std::string const& from, std::string const& to,
                               rocksdb::IOOptions const& options,
                               rocksdb::IODebugContext* context) override;

private:
    [[nodiscard]] rocksdb::IOStatus check(DiskAction action, std::string const& path) const;

    std::shared_ptr<VolatileDisk> disk_;
    DiskFaults faults_;
};

}  // namespace spoke::fault
