#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bridge/store/sqlite.hpp"

namespace spoke::bridge {

/// One step of the schema: what turns the version before it into this one.
struct SchemaStep {
    std::int64_t version;
    char const* sql;
};

/// All steps, from an empty file on, with growing versions. What they build is described in
/// SCHEMA.md.
[[nodiscard]] std::span<SchemaStep const> schema_steps() noexcept;

/// "SPOK", in the header of the file: what tells a store from other databases.
inline constexpr std::int64_t kApplicationId = 0x53504F4B;

/// Brings a store to the newest version, step by step, each in a transaction of its own.
/// Errors  std::runtime_error, and the file is as it was, if it is no store or was made by a newer
///         program; SqliteError.
void migrate(SqliteConnection& connection, std::string const& path,
             std::span<SchemaStep const> steps = schema_steps());

/// Throws std::runtime_error unless it is a store of the newest version.
void check_schema(SqliteConnection& connection, std::string const& path);

}  // namespace spoke::bridge
