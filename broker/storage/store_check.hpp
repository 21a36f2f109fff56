#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace spoke::broker {

class StoreReader;

/// What is in a store that was looked through from end to end.
struct StoreCheck {
    std::vector<std::string> problems{};  // one line each
    std::vector<std::string> notes{};     // what is unusual and right
    std::uint64_t records = 0;
    std::uint64_t tables = 0;
};

/// Reads every byte of the store: whether its files are there and whole, each record is what was
/// written, and the records belong together.
/// Memory  20 bytes for each delivery and message.  Errors  StoreError.
[[nodiscard]] StoreCheck check_store(StoreReader& reader);

}  // namespace spoke::broker
