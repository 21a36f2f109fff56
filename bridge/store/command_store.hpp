#pragma once

#include <functional>

#include "bridge/command/command.hpp"

namespace spoke::bridge {

/// Keeps the records of commands. A form that writes to a disk may gather many puts into one write;
/// the order of puts of one command is kept. Thread  called on the bridge's thread, completes
/// there.
class CommandStore {
public:
    using Done = std::function<void(bool stored)>;

    virtual ~CommandStore() = default;

    /// Writes the record, new or in place of the older one.
    /// `done` is called exactly once, never before put returns: true when the record would survive
    /// whatever this form promises to survive. After a false no put succeeds until a restart.
    virtual void put(Command const& record, Done done) = 0;

    /// Removes a record; one that is not there is no error.
    virtual void erase(CommandId const& id) = 0;

    /// Every record, oldest first.
    virtual void visit(std::function<void(Command const&)> const& visit) const = 0;
};

}  // namespace spoke::bridge
