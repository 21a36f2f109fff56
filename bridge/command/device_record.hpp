#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace spoke::bridge {

/// What people say of a device; what it says of itself (presence, state) is not kept here.
struct DeviceRecord {
    std::string id;
    std::string alias{};
    std::string profile{};
    std::vector<std::string> tags{};  // sorted, each once
    std::vector<std::string> deny{};  // verbs that are refused; "*" stands for all. Sorted
    std::uint32_t version = 0;        // grows with each change; 0: nothing was ever said
    friend bool operator==(DeviceRecord const&, DeviceRecord const&) = default;
};

}  // namespace spoke::bridge
