#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "protocol/base/log_level.hpp"

namespace spoke::broker {

/// When what is written is synced to the disk.
enum class SyncMode : std::uint8_t {
    always,    // before anything that waits for it is told so: survives power loss
    interval,  // every so often: a crash of the machine takes what was written since
    never,     // when the operating system does: a crash of the machine may take anything
};

/// Takes a line for the log. Any thread.
using StoreLog = std::function<void(LogLevel, std::string const&)>;

struct StoreSettings {
    std::string directory{};
    SyncMode sync = SyncMode::always;
    std::chrono::milliseconds sync_interval{100};
    /// Of messages that wait for somebody, as Message::footprint(): above it the store is full. An
    /// estimate while messages of very different sizes come and go. 0: no limit.
    std::uint64_t bytes_max = 0;
    /// What RocksDB may use for what is not in tables yet; twice that for short times.
    std::size_t memtable_bytes = 8U << 20;
    /// What it may use for blocks of tables that were read, their indexes among them.
    std::size_t block_cache_bytes = 8U << 20;
    /// How long a delivery that was sent may wait for its client, whose acknowledgement spares the
    /// write.
    std::chrono::milliseconds linger{5};
    /// How long changes that nobody waits for may lie before they are written.
    std::chrono::milliseconds idle_write_delay{20};
    /// How often a store that could not be written is opened anew.
    std::chrono::milliseconds reopen_interval{1000};
    StoreLog log = [](LogLevel, std::string const&) {};
};

}  // namespace spoke::broker
