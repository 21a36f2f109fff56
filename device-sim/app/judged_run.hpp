#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "device-sim/report/run_report.hpp"

namespace spoke::sim {

/// Where a judged run is told of.
struct ReportOptions {
    bool json = false;      // lines of it on standard output, in place of text
    std::string summary{};  // file names; empty: none
    std::string junit{};
};

/// Something that is played until it is over and judged: a city, a watch.
class JudgedPlay {
public:
    virtual ~JudgedPlay() = default;

    virtual void start(std::function<void()> done) = 0;
    virtual void end_early() = 0;

    struct Line {
        std::string text{};
        std::string json{};
    };
    [[nodiscard]] virtual Line line() = 0;

    struct Verdict {
        std::string text{};
        std::string summary{};  // JSON
        std::string junit{};
        RunEnd end = RunEnd::fail;
    };
    [[nodiscard]] virtual Verdict verdict() = 0;
};

/// Makes a play; it says what happens by `say`.
using MakePlay = std::function<std::unique_ptr<JudgedPlay>(
    boost::asio::io_context& context, std::function<void(RunNote const& note)> say)>;

/// Raises the limit of open files to what `name` needs.
/// Errors  std::runtime_error if that is more than the system allows.
void require_open_files(std::string_view name, std::uint64_t wanted);

/// Plays it to its verdict; SIGINT and SIGTERM end the running phase, a second one the process.
/// Out     0 what must never happen has not, 1 it has, 3 it proves nothing.
/// Errors  std::runtime_error if a program cannot be started or a file cannot be written.
[[nodiscard]] int run_judged(ReportOptions const& report, std::uint64_t seed, MakePlay const& make);

}  // namespace spoke::sim
