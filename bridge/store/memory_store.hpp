#pragma once

#include <functional>
#include <map>

#include "bridge/store/command_store.hpp"

namespace spoke::bridge {

/// The store without a disk: what it holds ends with the process.
/// Bound   none of its own; CommandTracker's `commands_max` limits what is put.
class MemoryStore final : public CommandStore {
public:
    using Defer = std::function<void(std::function<void()>)>;

    /// `defer` runs a function soon, after the present one has returned.
    explicit MemoryStore(Defer defer) : defer_(std::move(defer)) {}

    void put(Command const& record, Done done) override;
    void erase(CommandId const& id) override;
    void visit(std::function<void(Command const&)> const& visit) const override;

private:
    Defer defer_;
    std::map<CommandId, Command> records_;  // ids sort by age
};

}  // namespace spoke::bridge
