#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "protocol/base/log_level.hpp"

namespace spoke::broker {

[[nodiscard]] inline spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::trace:
            return spdlog::level::trace;
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

inline void log_line(LogLevel level, std::string const& line) {
    spdlog::log(spdlog_level(level), line);
}

}  // namespace spoke::broker
