#pragma once

#include <rocksdb/env.h>

#include <memory>
#include <string>
#include <string_view>

#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/used_env.hpp"

namespace spoke::test {

/// While it lives, stores of this program use a disk that fails as it is told.
class FaultyDisk {
public:
    FaultyDisk();
    ~FaultyDisk();
    FaultyDisk(FaultyDisk const&) = delete;
    FaultyDisk& operator=(FaultyDisk const&) = delete;

    /// As fault::DiskFaults reads it: "write ENOSPC", "sync EIO", "" for no faults.
    void fail(std::string_view what);
    /// Whether reads of files that are open already fail too.
    void fail_reads(bool on);

private:
    TempFolder folder_{};
    std::unique_ptr<rocksdb::Env> env_;
    std::unique_ptr<UsedEnv> used_;
};

}  // namespace spoke::test
