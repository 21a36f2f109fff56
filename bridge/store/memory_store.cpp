#include "bridge/store/memory_store.hpp"

namespace spoke::bridge {

void MemoryStore::put(Command const& record, Done done) {
    records_.insert_or_assign(record.id, record);
    defer_([done = std::move(done)] { done(true); });
}

void MemoryStore::erase(CommandId const& id) {
    records_.erase(id);
}

void MemoryStore::visit(std::function<void(Command const&)> const& visit) const {
    for (auto const& [id, record] : records_) visit(record);
}

}  // namespace spoke::bridge
