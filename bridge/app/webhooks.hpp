#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

#include "bridge/app/hook_sender.hpp"
#include "bridge/config/config.hpp"
#include "bridge/hook/hooks.hpp"

namespace spoke::bridge {

/// The webhooks with their timer and what sends them.
/// Thread  that of the context, which outlives them, as log and store do.
class Webhooks {
public:
    /// Errors  std::runtime_error, one line for people.
    Webhooks(boost::asio::io_context& context, HooksConfig const& config, EventLog& log,
             HookStore& store, std::function<std::uint64_t()> random);

    void start() { hooks_.restore(); }

    /// Nothing more is sent; what is under way is sent again by the next process.
    void stop();

    [[nodiscard]] Hooks& hooks() noexcept { return hooks_; }

private:
    void wake_at(SteadyTime when);

    boost::asio::steady_timer timer_;
    HookSender sender_;
    Hooks hooks_;
};

}  // namespace spoke::bridge
