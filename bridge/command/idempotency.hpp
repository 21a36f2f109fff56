#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bridge/command/command.hpp"

namespace spoke::bridge {

/// Finds the command which a request repeats: by its Idempotency-Key for as long as the command is
/// kept, or by its natural key (device, verb and `ref`) while that command is not settled.
/// Whether the two requests are equal is for the caller to judge.
/// Bound   one entry of each kind per command.
class IdempotencyIndex {
public:
    [[nodiscard]] std::optional<CommandId> find(CommandRequest const& request,
                                                std::string_view key) const;

    void add(CommandRequest const& request, std::string_view key, CommandId const& id);

    /// The command is settled: its `ref` may be used again.
    void release_ref(CommandRequest const& request, CommandId const& id);

    /// The command is not kept any longer.
    void release_key(std::string_view key, CommandId const& id);

private:
    static std::string natural_key(CommandRequest const& request);

    std::unordered_map<std::string, CommandId> by_key_;
    std::unordered_map<std::string, CommandId> by_ref_;
};

}  // namespace spoke::bridge
