#include "device-sim/city/self_watch.hpp"

#include <unistd.h>

#include <algorithm>

#include "device-sim/load/process_sample.hpp"

namespace spoke::sim {
namespace {

constexpr std::chrono::milliseconds kTick{50};

}  // namespace

void SelfWatch::start() {
    looked_at_ = read_clocks().steady;
    wait();
}

void SelfWatch::wait() {
    due_ = std::max(due_ + kTick, read_clocks().steady);
    timer_.expires_at(due_);
    timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        auto late = read_clocks().steady - due_;
        lag_.add(std::chrono::duration_cast<std::chrono::microseconds>(late));
        wait();
    });
}

SelfWatch::Look SelfWatch::look() {
    auto now = read_clocks().steady;
    auto sample = load::sample_process(::getpid());
    auto cpu = sample ? sample->cpu_total : std::chrono::nanoseconds{};
    auto took = std::chrono::duration<double>{now - looked_at_}.count();
    Look look{lag_.take_latest()};
    if (took > 0) {
        look.cpu_percent = std::chrono::duration<double>{cpu - cpu_looked_}.count() / took * 100;
    }
    cpu_looked_ = cpu;
    looked_at_ = now;
    return look;
}

}  // namespace spoke::sim
