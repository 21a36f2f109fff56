#include "bridge/store/memory_store.hpp"

#include <algorithm>
#include <utility>

namespace spoke::bridge {

void MemoryStore::put(Command const& record, std::vector<AuditEntry> audit,
                      std::vector<Event> events, Need need, Done done) {
    if (events_ != nullptr && !events.empty()) {
        events_->append_events(std::move(events), {}, need, {});
    }
    commands_.insert_or_assign(record.id, record);
    by_device_[record.request.device].insert(record.id);
    for (auto const& key : record.keys) by_key_.insert_or_assign(key, record.id);
    auto& device = devices_[record.request.device];
    device.record.id = record.request.device;
    device.n = std::max(device.n, record.n);
    if (is_settled(record.state)) settled_.insert(record.id);
    for (auto& entry : audit) add_line(std::move(entry));
    forget_oldest();
    complete(std::move(done));
}

void MemoryStore::put_device(DeviceRecord const& record, AuditEntry audit, Done done) {
    devices_[record.id].record = record;
    add_line(std::move(audit));
    complete(std::move(done));
}

void MemoryStore::erase_device(std::string_view id, AuditEntry audit, Done done) {
    auto found = devices_.find(id);
    if (found != devices_.end()) found->second.record = DeviceRecord{std::string{id}};
    add_line(std::move(audit));
    complete(std::move(done));
}

void MemoryStore::append(AuditEntry audit, Done done) {
    add_line(std::move(audit));
    complete(std::move(done));
}

std::optional<Command> MemoryStore::find(CommandId const& id) const {
    auto found = commands_.find(id);
    if (found == commands_.end()) return std::nullopt;
    return found->second;
}

std::optional<Command> MemoryStore::find_by_key(std::string_view key) const {
    auto found = by_key_.find(std::string{key});
    return found == by_key_.end() ? std::nullopt : find(found->second);
}

std::vector<Command> MemoryStore::commands(CommandQuery const& query) const {
    std::vector<Command> out;
    auto device = by_device_.find(query.device);
    if (device == by_device_.end()) return out;
    auto const& ids = device->second;
    auto at = query.before ? ids.lower_bound(*query.before) : ids.end();
    while (at != ids.begin() && out.size() < query.limit) {
        auto const& command = commands_.at(*--at);
        if (!query.open_only || !is_settled(command.state)) out.push_back(command);
    }
    return out;
}

std::vector<AuditLine> MemoryStore::audit(AuditQuery const& query) const {
    std::vector<AuditLine> out;
    for (auto at = trail_.upper_bound(query.after); at != trail_.end(); ++at) {
        if (out.size() >= query.limit) break;
        auto const& entry = at->second.entry;
        auto is_wanted = (query.device.empty() || entry.device == query.device) &&
                         (query.who.empty() || entry.who == query.who) && entry.at >= query.since;
        if (is_wanted) out.push_back(at->second);
    }
    return out;
}

void MemoryStore::visit_open(std::function<void(Command&&)> const& visit) const {
    for (auto const& [id, command] : commands_) {
        if (!is_settled(command.state)) visit(Command{command});
    }
}

void MemoryStore::visit_devices(std::function<void(StoredDevice&&)> const& visit) const {
    for (auto const& [id, device] : devices_) visit(StoredDevice{device});
}

void MemoryStore::add_line(AuditEntry entry) {
    ++last_line_;
    trail_.emplace(last_line_, AuditLine{last_line_, std::move(entry), {}});
    if (trail_.size() > limits_.audit_max) trail_.erase(trail_.begin());
}

void MemoryStore::forget_oldest() {
    if (settled_.size() <= limits_.settled_max) return;
    auto oldest = commands_.find(*settled_.begin());
    settled_.erase(settled_.begin());
    auto const& command = oldest->second;
    for (auto const& key : command.keys) {
        auto known = by_key_.find(key);
        if (known != by_key_.end() && known->second == command.id) by_key_.erase(known);
    }
    auto device = by_device_.find(command.request.device);
    device->second.erase(command.id);
    if (device->second.empty()) by_device_.erase(device);
    commands_.erase(oldest);
}

void MemoryStore::complete(Done done) {
    if (!done) return;
    defer_([done = std::move(done)] { done(true); });
}

}  // namespace spoke::bridge
