#include "broker/app/tls_upkeep.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace spoke::broker {

TlsUpkeep::TlsUpkeep(Server& server) : server_(server) {
    auto files = server_.tls_files();
    if (files.empty()) return;
    FileWatchSettings settings;
    settings.failed = [](std::string const& what) { spdlog::warn("{}", what); };
    try {
        watch_ = std::make_unique<FileWatch>(
            std::move(files), [this](std::vector<std::string> const&) { server_.reload_tls(); },
            settings);
    } catch (std::system_error const& error) {
        spdlog::warn("TLS files are not watched, only SIGHUP reads them again: {}", error.what());
    }
    server_.log_certificates();
    daily_ = std::jthread{[this](std::stop_token const& stop) { say_daily(stop); }};
}

void TlsUpkeep::say_daily(std::stop_token const& stop) {
    constexpr std::chrono::hours kDay{24};
    std::unique_lock lock{mutex_};
    for (;;) {
        ended_.wait_for(lock, stop, kDay, [] { return false; });
        if (stop.stop_requested()) return;
        server_.log_certificates();
    }
}

}  // namespace spoke::broker
