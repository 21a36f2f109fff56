#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bridge/event/event_store.hpp"
#include "bridge/store/hook_rows.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge {

/// A device that people no longer say anything of.
struct ErasedDevice {
    std::string id;
};

/// The place of a reader of the log; nullopt: it is forgotten.
struct ReaderPosition {
    std::string name;
    std::optional<std::uint64_t> offset{};
};

/// The arrivals of the events before are of no use any more.
struct ForgottenArrivals {};

/// One call of a Store, an EventStore or a HookStore, on its way to the disk. The variant is empty
/// where a later write has the newer record, or there is none.
struct Write {
    std::variant<std::monostate, Command, DeviceRecord, ErasedDevice, ReaderPosition,
                 ForgottenArrivals, HookWrite>
        record{};
    std::vector<Event> events{};
    std::optional<InboxMark> mark{};
    CommandId command{};  // of a record that is, or was, a Command
    bool is_command = false;
    std::vector<AuditEntry> audit{};
    Need need = Need::now_or_never;
    std::chrono::milliseconds patience{0};  // so long it may wait for others to go with it
    Store::Done done{};
};

using Writes = std::deque<Write>;

}  // namespace spoke::bridge
