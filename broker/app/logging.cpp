#include "broker/app/logging.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "broker/config/config.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kLinesMax = 8192;

spdlog::level::level_enum level_of(LogConfig::Level level) {
    switch (level) {
        case LogConfig::Level::trace:
            return spdlog::level::trace;
        case LogConfig::Level::debug:
            return spdlog::level::debug;
        case LogConfig::Level::info:
            return spdlog::level::info;
        case LogConfig::Level::warning:
            return spdlog::level::warn;
        case LogConfig::Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

spdlog::sink_ptr sink_of(LogConfig const& config) {
    if (config.file.empty()) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
    return std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file);
}

}  // namespace

Logging::Logging(LogConfig const& config) {
    auto sink = sink_of(config);
    spdlog::init_thread_pool(kLinesMax, 1);
    auto logger = std::make_shared<spdlog::async_logger>(
        "spoke-broker", std::move(sink), spdlog::thread_pool(),
        spdlog::async_overflow_policy::overrun_oldest);
    logger->set_level(level_of(config.level));
    logger->flush_on(spdlog::level::trace);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-7l %v");
    spdlog::set_default_logger(std::move(logger));
}

Logging::~Logging() {
    spdlog::shutdown();
}

}  // namespace spoke::broker
