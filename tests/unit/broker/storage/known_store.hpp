#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "broker/storage/store_directory.hpp"
#include "broker/storage/store_settings.hpp"

namespace spoke::test {

/// Lines that a store logs, from any of its threads.
class StoreLines {
public:
    [[nodiscard]] broker::StoreLog log() {
        return [this](LogLevel level, std::string const& text) {
            std::lock_guard lock{mutex_};
            lines_.push_back({level, text});
        };
    }
    /// Lines from this level on, one below the other.
    [[nodiscard]] std::string from(LogLevel level) const;

private:
    struct Line {
        LogLevel level{};
        std::string text{};
    };
    mutable std::mutex mutex_;
    std::vector<Line> lines_{};
};

using Records = std::map<std::string, std::string>;

[[nodiscard]] broker::StoreSettings settings_for(std::string const& directory, StoreLines& lines);

/// Every record but those of meta; where damage is met, what is there after rebuild().
[[nodiscard]] Records records_in(broker::StoreDirectory& opened);

/// Makes a store with records of each kind, some in tables and some in the log alone, some of them
/// changed and removed, and gives what is in it.
Records make_known_store(std::string const& directory);

/// What one write of make_known_store() put into the log at most.
inline constexpr std::size_t kKnownBatch = 6;
/// Entries of a table of which RocksDB keeps the whole key of the first alone.
inline constexpr std::size_t kRestartInterval = 16;

/// Files below the directory, with their path in it, and what is in them.
[[nodiscard]] std::map<std::string, std::string> files_below(std::string const& directory);

}  // namespace spoke::test
