#include "tests/unit/broker/storage/step_env.hpp"

#include <rocksdb/file_system.h>

#include <mutex>
#include <string>
#include <utility>

namespace spoke::test {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

struct Steps {
    std::function<void()> before;
    std::mutex mutex{};

    /// To be held while the step is made, so that each is seen done or not done.
    [[nodiscard]] std::unique_lock<std::mutex> step() {
        std::unique_lock lock{mutex};
        before();
        return lock;
    }
};

class StepFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    StepFile(std::unique_ptr<rocksdb::FSWritableFile> file, Steps& steps)
        : FSWritableFileOwnerWrapper(std::move(file)), steps_(steps) {}

    IOStatus Append(rocksdb::Slice const& data, IOOptions const& options,
                    IODebugContext* context) override {
        auto const step = steps_.step();
        return FSWritableFileOwnerWrapper::Append(data, options, context);
    }
    IOStatus Append(rocksdb::Slice const& data, IOOptions const& options,
                    rocksdb::DataVerificationInfo const&, IODebugContext* context) override {
        return Append(data, options, context);
    }
    IOStatus Sync(IOOptions const& options, IODebugContext* context) override {
        auto const step = steps_.step();
        return FSWritableFileOwnerWrapper::Sync(options, context);
    }
    IOStatus Fsync(IOOptions const& options, IODebugContext* context) override {
        auto const step = steps_.step();
        return FSWritableFileOwnerWrapper::Fsync(options, context);
    }

private:
    Steps& steps_;
};

class StepDirectory final : public rocksdb::FSDirectoryWrapper {
public:
    StepDirectory(std::unique_ptr<rocksdb::FSDirectory> directory, Steps& steps)
        : FSDirectoryWrapper(std::move(directory)), steps_(steps) {}

    IOStatus Fsync(IOOptions const& options, IODebugContext* context) override {
        auto const step = steps_.step();
        return FSDirectoryWrapper::Fsync(options, context);
    }
    IOStatus FsyncWithDirOptions(IOOptions const& options, IODebugContext* context,
                                 rocksdb::DirFsyncOptions const& how) override {
        auto const step = steps_.step();
        return FSDirectoryWrapper::FsyncWithDirOptions(options, context, how);
    }

private:
    Steps& steps_;
};

class StepFileSystem final : public rocksdb::FileSystemWrapper {
public:
    StepFileSystem(std::shared_ptr<rocksdb::FileSystem> below, std::function<void()> before)
        : FileSystemWrapper(std::move(below)), steps_{std::move(before)} {}

    char const* Name() const override { return "StepFileSystem"; }

    IOStatus NewWritableFile(std::string const& path, FileOptions const& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* out,
                             IODebugContext* context) override {
        auto const is_log = path.find("/LOG") != std::string::npos;
        std::unique_lock<std::mutex> step;
        if (!is_log) step = steps_.step();
        auto status = FileSystemWrapper::NewWritableFile(path, options, out, context);
        if (status.ok() && !is_log) *out = std::make_unique<StepFile>(std::move(*out), steps_);
        return status;
    }
    IOStatus NewDirectory(std::string const& path, IOOptions const& options,
                          std::unique_ptr<rocksdb::FSDirectory>* out,
                          IODebugContext* context) override {
        auto status = FileSystemWrapper::NewDirectory(path, options, out, context);
        if (status.ok()) *out = std::make_unique<StepDirectory>(std::move(*out), steps_);
        return status;
    }
    IOStatus RenameFile(std::string const& from, std::string const& to, IOOptions const& options,
                        IODebugContext* context) override {
        auto const step = steps_.step();
        return FileSystemWrapper::RenameFile(from, to, options, context);
    }
    IOStatus DeleteFile(std::string const& path, IOOptions const& options,
                        IODebugContext* context) override {
        auto const step = steps_.step();
        return FileSystemWrapper::DeleteFile(path, options, context);
    }
    IOStatus CreateDir(std::string const& path, IOOptions const& options,
                       IODebugContext* context) override {
        auto const step = steps_.step();
        return FileSystemWrapper::CreateDir(path, options, context);
    }
    IOStatus CreateDirIfMissing(std::string const& path, IOOptions const& options,
                                IODebugContext* context) override {
        auto const step = steps_.step();
        return FileSystemWrapper::CreateDirIfMissing(path, options, context);
    }
    IOStatus DeleteDir(std::string const& path, IOOptions const& options,
                       IODebugContext* context) override {
        auto const step = steps_.step();
        return FileSystemWrapper::DeleteDir(path, options, context);
    }

private:
    Steps steps_;
};

class HastyFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

    IOStatus Sync(IOOptions const&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Fsync(IOOptions const&, IODebugContext*) override { return IOStatus::OK(); }
};

class HastyDirectory final : public rocksdb::FSDirectoryWrapper {
public:
    using FSDirectoryWrapper::FSDirectoryWrapper;

    IOStatus Fsync(IOOptions const&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus FsyncWithDirOptions(IOOptions const&, IODebugContext*,
                                 rocksdb::DirFsyncOptions const&) override {
        return IOStatus::OK();
    }
};

class HastyFileSystem final : public rocksdb::FileSystemWrapper {
public:
    using FileSystemWrapper::FileSystemWrapper;

    char const* Name() const override { return "HastyFileSystem"; }

    IOStatus NewWritableFile(std::string const& path, FileOptions const& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* out,
                             IODebugContext* context) override {
        auto status = FileSystemWrapper::NewWritableFile(path, options, out, context);
        if (status.ok()) *out = std::make_unique<HastyFile>(std::move(*out));
        return status;
    }
    IOStatus NewDirectory(std::string const& path, IOOptions const& options,
                          std::unique_ptr<rocksdb::FSDirectory>* out,
                          IODebugContext* context) override {
        auto status = FileSystemWrapper::NewDirectory(path, options, out, context);
        if (status.ok()) *out = std::make_unique<HastyDirectory>(std::move(*out));
        return status;
    }
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_hasty_env() {
    return rocksdb::NewCompositeEnv(
        std::make_shared<HastyFileSystem>(rocksdb::FileSystem::Default()));
}

std::unique_ptr<rocksdb::Env> make_step_env(std::shared_ptr<rocksdb::FileSystem> below,
                                            std::function<void()> before_step) {
    return rocksdb::NewCompositeEnv(
        std::make_shared<StepFileSystem>(std::move(below), std::move(before_step)));
}

}  // namespace spoke::test
