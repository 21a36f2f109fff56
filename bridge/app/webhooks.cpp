#include "bridge/app/webhooks.hpp"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>

namespace spoke::bridge {
namespace {

HookSender::Options sender_options(HooksConfig const& config) {
    HookSender::Options options;
    options.timeout = config.timeout;
    options.allow_private = config.allow_private;
    options.allow_http = config.allow_http;
    options.ca_file = config.ca_file;
    return options;
}

Hooks::Limits limits_of(HooksConfig const& config) {
    Hooks::Limits limits;
    limits.hooks_max = config.hooks_max;
    limits.queue_max = config.queue_max;
    limits.dead_max = config.dead_max;
    limits.requests_per_hook_max = config.requests_per_hook_max;
    limits.requests_max = config.requests_max;
    limits.secret_overlap = config.secret_overlap;
    return limits;
}

}  // namespace

Webhooks::Webhooks(boost::asio::io_context& context, HooksConfig const& config, EventLog& log,
                   HookStore& store, std::function<std::uint64_t()> random)
    : timer_(context),
      sender_(context, sender_options(config)),
      hooks_(limits_of(config), {log, store, sender_, read_clocks, std::move(random),
                                 [this](SteadyTime when) { wake_at(when); },
                                 [](std::string const& line) { spdlog::warn(line); }}) {}

void Webhooks::stop() {
    hooks_.drain();
    timer_.cancel();
    sender_.stop();
}

void Webhooks::wake_at(SteadyTime when) {
    timer_.expires_at(when);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) hooks_.on_timer();
    });
}

}  // namespace spoke::bridge
