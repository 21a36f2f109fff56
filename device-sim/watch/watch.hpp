#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "device-sim/watch/programs.hpp"
#include "device-sim/watch/reading.hpp"
#include "device-sim/watch/watch_faults.hpp"
#include "device-sim/watch/watch_reader.hpp"
#include "device-sim/watch/watch_report.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::sim {

/// What is written and read, what befalls it and for how long.
struct WatchOptions {
    ReadingOptions reading{};
    ProgramsOptions programs{};
    WatchFaultPlan faults{};
    ReaderFlaw flaw = ReaderFlaw::none;  // of the first reader
    std::string forgets{};  // a topic of which the bridge keeps few events; empty: there is none
    std::size_t readers_per_way = 3;
    std::size_t writers = 10;
    double events_per_s = 50;
    std::size_t tables = 4;
    std::size_t bikes = 4;
    std::size_t inboxes = 3;
    std::uint64_t seed = 1;
    std::chrono::milliseconds run_for{60'000};
    std::chrono::milliseconds start_for{60'000};   // until the bridge is ready
    std::chrono::milliseconds settle_for{60'000};  // until all readers know everything, at the end
    std::string fault_options{};                   // as the operator gave them
};

/// Writers, readers in five ways at once, owners of inboxes, a judge over all of them, and the
/// programs between them, which are killed as planned.
/// States   starting (the programs), running, settling (nothing more is written, the log is read
///          until every reader has been told its end), looking (at the inboxes), over.
/// Thread   the one that runs the io_context.
class Watch {
public:
    using Say = std::function<void(WatchNote const& note)>;

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
    [[nodiscard]] WatchFacts facts() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace spoke::sim
