#include "broker/app/persistence.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "broker/net/log_line.hpp"
#include "broker/storage/rocksdb_store.hpp"
#include "broker/storage/volatile_store.hpp"

namespace spoke::broker {
namespace {

SyncMode sync_mode(PersistenceConfig::Sync sync) {
    switch (sync) {
        case PersistenceConfig::Sync::always:
            return SyncMode::always;
        case PersistenceConfig::Sync::interval:
            return SyncMode::interval;
        case PersistenceConfig::Sync::never:
            return SyncMode::never;
    }
    return SyncMode::always;
}

}  // namespace

std::unique_ptr<Store> make_store(PersistenceConfig const& config) {
    if (config.directory.empty()) return std::make_unique<VolatileStore>();
    StoreSettings settings;
    settings.directory = config.directory;
    settings.sync = sync_mode(config.sync);
    settings.sync_interval = config.sync_interval;
    settings.bytes_max = config.bytes_max;
    settings.log = log_line;
    return std::make_unique<RocksDbStore>(std::move(settings));
}

std::string sync_name(PersistenceConfig const& config) {
    if (config.directory.empty()) return "off";
    switch (config.sync) {
        case PersistenceConfig::Sync::always:
            return "always";
        case PersistenceConfig::Sync::interval:
            return fmt::format("interval {} ms", config.sync_interval.count());
        case PersistenceConfig::Sync::never:
            return "never";
    }
    return "always";
}

void say_what_is_kept(PersistenceConfig const& config) {
    if (config.directory.empty()) {
        return spdlog::info("nothing is kept over a restart: [persistence] directory is not set");
    }
    switch (config.sync) {
        case PersistenceConfig::Sync::always:
            return spdlog::info("kept in {}, sync = always: what is acknowledged is on the disk",
                                config.directory);
        case PersistenceConfig::Sync::interval:
            return spdlog::warn(
                "kept in {}, sync = interval: a power failure takes what was acknowledged in the "
                "last {} ms",
                config.directory, config.sync_interval.count());
        case PersistenceConfig::Sync::never:
            return spdlog::warn(
                "kept in {}, sync = never: a power failure may take anything that was acknowledged",
                config.directory);
    }
}

}  // namespace spoke::broker
