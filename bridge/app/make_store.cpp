#include "bridge/app/make_store.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "bridge/app/random_words.hpp"
#include "bridge/store/memory_event_store.hpp"
#include "bridge/store/memory_hook_store.hpp"
#include "bridge/store/memory_store.hpp"
#include "bridge/store/sqlite_store.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {
namespace {

/// Nobody has a cursor of another log with the same one.
std::string new_epoch() {
    constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
    constexpr std::size_t kLength = 8;
    auto word = RandomWords{}();
    std::string out;
    for (; out.size() < kLength; word /= kDigits.size()) out += kDigits[word % kDigits.size()];
    return out;
}

}  // namespace

std::vector<EventClass> event_classes(EventsConfig const& config) {
    std::vector<EventClass> out;
    for (auto const& c : config.records)
        out.push_back({c.filter, c.keep, c.events_max, c.bytes_max});
    return out;
}

Stores make_stores(StoreConfig const& config, EventsConfig const& events,
                   boost::asio::io_context& context) {
    auto defer = [&context](std::function<void()> task) {
        boost::asio::post(context, std::move(task));
    };
    if (config.path.empty()) {
        spdlog::warn(
            "store.path is empty: commands, devices, events and the audit trail are in memory "
            "and end with this process");
        auto log = std::make_shared<MemoryEventStore>(new_epoch(), event_classes(events), defer);
        auto records = std::make_shared<MemoryStore>(MemoryStore::Limits{}, defer, log.get());
        auto audit = [records](AuditEntry entry) { records->append(std::move(entry), {}); };
        return {records, log, std::make_shared<MemoryHookStore>(defer, audit)};
    }
    SqliteStore::Settings settings;
    settings.path = std::filesystem::absolute(config.path).string();
    settings.classes = event_classes(events);
    settings.keep = config.keep;
    if (config.audit_keep.count() > 0) settings.audit_keep = config.audit_keep;
    settings.bytes_max = config.bytes_max;
    settings.writes_max = config.writes_max;
    SqliteStore::World world;
    world.defer = defer;
    world.clock = read_clocks;
    world.info = [](std::string const& line) { spdlog::info(line); };
    world.warn = [](std::string const& line) { spdlog::warn(line); };
    auto store = std::make_shared<SqliteStore>(std::move(settings), std::move(world));
    return {store, store, store};
}

}  // namespace spoke::bridge
