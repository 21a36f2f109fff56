#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "device-sim/report/progress.hpp"

namespace spoke::sim {

/// Shows how a run goes, on standard output: one line that is written over on a terminal, otherwise
/// a line each second, of JSON if asked for.
class Display {
public:
    explicit Display(bool json);

    [[nodiscard]] std::chrono::milliseconds interval() const noexcept;

    /// A remark, on a line of its own; left out in JSON.
    void say(std::string_view text);

    void show(Progress const& progress);

    /// The same for what is spelt already.
    void show(std::string_view line, std::string_view json);
    void show_end(std::string_view text, std::string_view json);

    /// The last word of a run.
    void show_summary(Progress const& progress);

private:
    void write_over(std::string_view line);

    bool json_;
    bool terminal_;
    bool line_open_ = false;
};

}  // namespace spoke::sim
