#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "bridge/event/event_store.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge {

/// The store without a disk: what it holds ends with the process.
/// Bound   `settled_max` settled commands, the oldest go first; `audit_max` lines of the trail.
class MemoryStore final : public Store {
public:
    struct Limits {
        std::size_t settled_max = 100'000;
        std::size_t audit_max = 100'000;
    };
    using Defer = std::function<void(std::function<void()>)>;

    /// `defer` runs a function soon, after the present one has returned. `events`, which outlives
    /// this, gets what is appended with a record.
    MemoryStore(Limits limits, Defer defer, EventStore* events = nullptr)
        : limits_(limits), defer_(std::move(defer)), events_(events) {}

    void put(Command const& record, std::vector<AuditEntry> audit, std::vector<Event> events,
             Need need, Done done) override;
    void put_device(DeviceRecord const& record, AuditEntry audit, Done done) override;
    void erase_device(std::string_view id, AuditEntry audit, Done done) override;
    void append(AuditEntry audit, Done done) override;

    [[nodiscard]] bool takes_writes() const override { return true; }
    [[nodiscard]] std::optional<Command> find(CommandId const& id) const override;
    [[nodiscard]] std::optional<Command> find_by_key(std::string_view key) const override;
    [[nodiscard]] std::vector<Command> commands(CommandQuery const& query) const override;
    [[nodiscard]] std::vector<AuditLine> audit(AuditQuery const& query) const override;
    void visit_open(std::function<void(Command&&)> const& visit) const override;
    void visit_devices(std::function<void(StoredDevice&&)> const& visit) const override;

private:
    void add_line(AuditEntry entry);
    void forget_oldest();
    void complete(Done done);

    Limits limits_;
    Defer defer_;
    EventStore* events_;
    std::map<CommandId, Command> commands_;  // ids sort by age
    std::set<CommandId> settled_;
    std::map<std::string, std::set<CommandId>, std::less<>> by_device_;
    std::unordered_map<std::string, CommandId> by_key_;
    std::map<std::string, StoredDevice, std::less<>> devices_;
    std::map<std::uint64_t, AuditLine> trail_;
    std::uint64_t last_line_ = 0;
};

}  // namespace spoke::bridge
