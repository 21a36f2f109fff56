#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bridge/store/store.hpp"

namespace spoke::bridge {

/// A device that people no longer say anything of.
struct ErasedDevice {
    std::string id;
};

/// One call of a Store, on its way to the disk. The variant is empty where a later write has the
/// newer record, or there is none.
struct Write {
    std::variant<std::monostate, Command, DeviceRecord, ErasedDevice> record{};
    CommandId command{};  // of a record that is, or was, a Command
    bool is_command = false;
    std::vector<AuditEntry> audit{};
    Need need = Need::now_or_never;
    Store::Done done{};
};

using Writes = std::deque<Write>;

}  // namespace spoke::bridge
