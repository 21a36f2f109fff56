#pragma once

#include <string>

#include "broker/core/authentication.hpp"
#include "protocol/base/log_level.hpp"

namespace spoke::broker {

class Link;

/// What a shard's core asks of the loop that runs it.
class ShardPort {
public:
    virtual ~ShardPort() = default;

    /// Writes now what the touched links have queued, and spills what their sockets do not take:
    /// the arena is full. Ends no link.
    virtual void flush_touched() = 0;

    /// Something to be called once, from any thread: it brings the verdict to
    /// ShardCore::on_authenticated() on this core's thread.
    [[nodiscard]] virtual Authenticator::Done when_authenticated(AuthTicket ticket) = 0;

    [[nodiscard]] virtual bool logs(LogLevel level) const = 0;
    virtual void log(LogLevel level, std::string const& line) = 0;
    /// The peer, for people: "127.0.0.1:51112".
    [[nodiscard]] virtual std::string peer_of(Link const& link) const = 0;
};

}  // namespace spoke::broker
