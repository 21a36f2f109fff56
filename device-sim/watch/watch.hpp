#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "device-sim/city/programs.hpp"
#include "device-sim/watch/watch_cast.hpp"
#include "device-sim/watch/watch_report.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::sim {

/// Who plays, with which programs, and for how long.
struct WatchOptions {
    CastOptions cast{};
    ProgramsOptions programs{};
    std::chrono::milliseconds run_for{60'000};
    std::chrono::milliseconds start_for{60'000};   // until the bridge is ready
    std::chrono::milliseconds settle_for{60'000};  // until all readers know everything, at the end
    std::string fault_options{};                   // as the operator gave them
};

/// Writers, readers in five ways at once, owners of inboxes, a judge over all of them, and the
/// programs between them, which are killed as planned.
/// States   starting (the programs), running, settling (nothing more is written, the log is read
///          until every reader has been told its end and all that expires has), looking (at the
///          inboxes), over.
/// Thread   the one that runs the io_context.
class Watch {
public:
    using Say = std::function<void(RunNote const& note)>;

    /// `context` outlives it.
    Watch(boost::asio::io_context& context, WatchOptions options, Say say);
    Watch(Watch const&) = delete;
    Watch& operator=(Watch const&) = delete;
    ~Watch();

    /// `done` is called once it is over, with the programs stopped.
    /// Errors  std::runtime_error if a program cannot be started.
    void start(std::function<void()> done);

    /// Ends the running phase now.
    void end_early();

    [[nodiscard]] WatchLook look();
    [[nodiscard]] RunFacts facts() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace spoke::sim
