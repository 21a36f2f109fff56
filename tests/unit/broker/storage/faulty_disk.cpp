#include "tests/unit/broker/storage/faulty_disk.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tests/fault/disk/disk_faults.hpp"
#include "tests/fault/disk/fault_file_system.hpp"
#include "tests/fault/disk/volatile_disk.hpp"

namespace spoke {
namespace {

std::atomic<bool> g_reads_fail{false};

class FailingFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
public:
    using FSRandomAccessFileOwnerWrapper::FSRandomAccessFileOwnerWrapper;
    rocksdb::IOStatus Read(std::uint64_t offset, std::size_t size,
                           rocksdb::IOOptions const& options, rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* context) const override {
        if (g_reads_fail) return rocksdb::IOStatus::IOError("as the test wants it");
        return FSRandomAccessFileOwnerWrapper::Read(offset, size, options, result, scratch,
                                                    context);
    }
    rocksdb::IOStatus MultiRead(rocksdb::FSReadRequest* requests, std::size_t count,
                                rocksdb::IOOptions const& options,
                                rocksdb::IODebugContext* context) override {
        return FSRandomAccessFile::MultiRead(requests, count, options, context);
    }
};

class FileSystem final : public fault::FaultFileSystem {
public:
    using FaultFileSystem::FaultFileSystem;
    rocksdb::IOStatus NewRandomAccessFile(std::string const& path,
                                          rocksdb::FileOptions const& options,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                          rocksdb::IODebugContext* context) override {
        auto status = FaultFileSystem::NewRandomAccessFile(path, options, out, context);
        if (status.ok()) *out = std::make_unique<FailingFile>(std::move(*out));
        return status;
    }
};

}  // namespace

namespace test {

FaultyDisk::FaultyDisk() {
    fail("");
    env_ = rocksdb::NewCompositeEnv(
        std::make_shared<FileSystem>(std::make_shared<fault::VolatileDisk>(1, fault::Temper{}),
                                     fault::DiskFaults{folder_ / "faults"}));
    used_ = std::make_unique<UsedEnv>(*env_);
}

FaultyDisk::~FaultyDisk() {
    g_reads_fail = false;
}

void FaultyDisk::fail_reads(bool on) {
    g_reads_fail = on;
}

void FaultyDisk::fail(std::string_view what) {
    // In one step: it is read at any time.
    auto fresh = folder_.write("fresh", what);
    if (std::rename(fresh.c_str(), (folder_ / "faults").c_str()) != 0) std::abort();
}

}  // namespace test
}  // namespace spoke
