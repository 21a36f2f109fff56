#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bridge/command/command_id.hpp"

namespace spoke::bridge {

/// The orders of each device, lane by lane, in the order of their acceptance. The front one of a
/// lane is the only one that may be under way: two orders to one lock never race each other. A
/// command of no lane (empty name) is not kept here.
class Lanes {
public:
    void push(std::string_view device, std::string_view lane, CommandId const& id);

    /// Out     whether it was at the front, so that the next one may go.
    bool remove(std::string_view device, std::string_view lane, CommandId const& id);

    [[nodiscard]] std::optional<CommandId> front(std::string_view device,
                                                 std::string_view lane) const;
    [[nodiscard]] std::size_t size(std::string_view device, std::string_view lane) const;

    /// All orders of the lane, the front one first.
    [[nodiscard]] std::vector<CommandId> all(std::string_view device, std::string_view lane) const;

private:
    [[nodiscard]] std::vector<CommandId> const* find(std::string_view device,
                                                     std::string_view lane) const;

    std::unordered_map<std::string, std::vector<CommandId>> lanes_;  // no empty ones
};

}  // namespace spoke::bridge
