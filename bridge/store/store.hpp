#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/command/command.hpp"
#include "bridge/command/device_record.hpp"
#include "bridge/event/event.hpp"
#include "bridge/event/need.hpp"
#include "bridge/store/audit_entry.hpp"

namespace spoke::bridge {

/// A device as the store knows it.
struct StoredDevice {
    DeviceRecord record;
    std::uint64_t n = 0;  // last sequence number given to an order of this device
};

/// Which commands of a device, newest first.
struct CommandQuery {
    std::string device;
    bool open_only = false;
    std::optional<CommandId> before{};  // older than this one
    std::size_t limit = 100;
};

/// Keeps what must outlive the bridge: commands, what people say of devices, the audit trail. A
/// form that writes to a disk gathers the writes of a moment into one commit.
/// Order   of writes is that of the calls; entries of one call are written with their record or
///         not at all.
/// Reads   show what has been committed: a command is found from the call of its `done` on.
/// Bound   `certain` writes wait in memory, one per command and device (the newest counts) and
/// their
///         audit entries; `now_or_never` ones fail beyond a bound. Settled commands, their keys and
///         old lines of the trail are removed by the store itself, when they were kept long enough.
/// Thread  the bridge's; completions come there, never before the call has returned.
class Store {
public:
    using Done = std::function<void(bool stored)>;

    virtual ~Store() = default;

    /// Writes the record, new or in place of the older one, and remembers its device's `n`. `done`
    /// is called exactly once: true when it would survive what this form promises to survive; false
    /// only for `now_or_never`. It may be empty. `events` are appended to the log with it, as
    /// EventStore::append_events does, in the order of the calls of both.
    virtual void put(Command const& record, std::vector<AuditEntry> audit,
                     std::vector<Event> events, Need need, Done done) = 0;
    void put(Command const& record, std::vector<AuditEntry> audit, Need need, Done done) {
        put(record, std::move(audit), {}, need, std::move(done));
    }

    /// Writes what is said of a device (`now_or_never`).
    virtual void put_device(DeviceRecord const& record, AuditEntry audit, Done done) = 0;

    /// Forgets what was said of a device, but not its `n` (`now_or_never`).
    virtual void erase_device(std::string_view id, AuditEntry audit, Done done) = 0;

    /// Adds to the trail alone (`now_or_never`).
    virtual void append(AuditEntry audit, Done done) = 0;

    /// False while writes fail: new orders are refused then, reads go on.
    [[nodiscard]] virtual bool takes_writes() const = 0;

    [[nodiscard]] virtual std::optional<Command> find(CommandId const& id) const = 0;

    /// The command which an Idempotency-Key leads to, for as long as the key is kept.
    [[nodiscard]] virtual std::optional<Command> find_by_key(std::string_view key) const = 0;

    [[nodiscard]] virtual std::vector<Command> commands(CommandQuery const& query) const = 0;

    /// Lines in order.
    [[nodiscard]] virtual std::vector<AuditLine> audit(AuditQuery const& query) const = 0;

    /// At the start: every command that is not settled, oldest first; every device.
    virtual void visit_open(std::function<void(Command&&)> const& visit) const = 0;
    virtual void visit_devices(std::function<void(StoredDevice&&)> const& visit) const = 0;
};

}  // namespace spoke::bridge
