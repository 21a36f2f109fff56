#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rocksdb {
class Env;
}

namespace spoke::broker {

/// Names in the directory of a store; see StoreDirectory.
inline constexpr auto kDatabaseName = "db";
inline constexpr auto kUnfinishedName = "db.partial";  // being made anew; worthless
inline constexpr auto kRebuiltName = "db.rebuilt";     // made anew: is to take the place of "db"

/// What the directory of a store says of itself.
struct FoundStore {
    bool has_format = false;  // there is a file FORMAT
    bool format_is_damaged = false;
    std::optional<std::uint64_t> version{};  // as it says
    bool has_database = false;
};

/// Looks at the directory and changes nothing.
/// Errors  StoreError: it is not there, no directory, cannot be read, or holds what is not ours.
[[nodiscard]] FoundStore find_store(rocksdb::Env& env, std::string const& directory);

/// Makes the directory, with those above it, for this user alone. Good if it is there.
/// Errors  StoreError.
void make_store_folder(std::string const& directory);

}  // namespace spoke::broker
