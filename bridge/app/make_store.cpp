#include "bridge/app/make_store.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "bridge/store/memory_store.hpp"
#include "bridge/store/sqlite_store.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

std::unique_ptr<Store> make_store(StoreConfig const& config, boost::asio::io_context& context) {
    auto defer = [&context](std::function<void()> task) {
        boost::asio::post(context, std::move(task));
    };
    if (config.path.empty()) {
        spdlog::warn(
            "store.path is empty: commands, devices and the audit trail are in memory and "
            "end with this process");
        return std::make_unique<MemoryStore>(MemoryStore::Limits{}, defer);
    }
    SqliteStore::Settings settings;
    settings.path = std::filesystem::absolute(config.path).string();
    settings.keep = config.keep;
    if (config.audit_keep.count() > 0) settings.audit_keep = config.audit_keep;
    settings.bytes_max = config.bytes_max;
    settings.writes_max = config.writes_max;
    SqliteStore::World world;
    world.defer = defer;
    world.clock = read_clocks;
    world.info = [](std::string const& line) { spdlog::info(line); };
    world.warn = [](std::string const& line) { spdlog::warn(line); };
    return std::make_unique<SqliteStore>(std::move(settings), std::move(world));
}

}  // namespace spoke::bridge
