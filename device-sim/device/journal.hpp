#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/device/result.hpp"

namespace spoke::sim {

/// The receipts a lock keeps in flash: which orders it took and what became of them. They make an
/// order run at most once: it is written down before the motor moves and never carried out while
/// its id stands here. Owned by a Lock; survives its reboots. Holds kJournalSize entries; one more
/// drops the oldest that is settled.
class Journal {
public:
    static constexpr std::size_t kJournalSize = 8;

    struct Entry {
        std::string id;
        std::uint64_t n = 0;
        Result result = kStarted;
        std::chrono::milliseconds took{0};
    };

    /// The entry of `id` or nullptr. Valid until the next write.
    [[nodiscard]] Entry const* find(std::string_view id) const noexcept;

    /// Adds an entry for an id which is not there yet. Running ones are never dropped for it: at
    /// most three acts run at a time, so there is always a settled one.
    void write(Entry entry);

    /// Gives the running entry of `id` its result.
    void settle(std::string_view id, Result result, std::chrono::milliseconds took);

    /// Drops the entry of `id` unless it is running. Only a wrong firmware does this.
    void forget(std::string_view id);

    /// At boot: whatever was started did not finish.
    void fail_running();

    /// Oldest first.
    [[nodiscard]] std::span<Entry const> entries() const noexcept { return entries_; }

private:
    std::vector<Entry> entries_;
};

}  // namespace spoke::sim
