#include "bridge/store/write_queue.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

namespace spoke::bridge {
namespace {

using std::chrono::steady_clock;

}  // namespace

bool WriteQueue::add(Write& write) {
    auto is_sooner = false;
    {
        std::lock_guard lock{mutex_};
        if (write.need == Need::now_or_never && writes_.size() >= writes_max_) return false;
        auto before = due();
        append(std::move(write));
        is_sooner = due() < before;
    }
    // Else the writer wakes up in time, or has been told already.
    if (is_sooner) changed_.notify_one();
    return true;
}

void WriteQueue::append_position(Write write) {
    auto name = std::get<ReaderPosition>(write.record).name;
    auto [known, is_first] = places_.try_emplace(std::move(name), positions_.size());
    if (!is_first) {
        positions_[known->second].record = std::move(write.record);
        return;
    }
    positions_due_ = std::min(positions_due_, steady_clock::now() + write.patience);
    positions_.push_back(std::move(write));
}

/// A record that may still fail cannot stand for one that must not.
void WriteQueue::append(Write write) {
    if (std::holds_alternative<ReaderPosition>(write.record)) {
        return append_position(std::move(write));
    }
    auto is_urgent = write.patience.count() == 0;
    due_ = std::min(due_, is_urgent ? SteadyTime{} : steady_clock::now() + write.patience);
    if (write.is_command) {
        auto [known, is_first] = latest_.try_emplace(write.command, writes_.size());
        if (!is_first && write.need == Need::certain) {
            auto& older = writes_[known->second];
            older.record = std::monostate{};
            older.need = Need::certain;
        }
        known->second = writes_.size();
    }
    writes_.push_back(std::move(write));
}

Writes WriteQueue::take(SteadyTime until, bool eager) {
    std::unique_lock lock{mutex_};
    while (!stopped_) {
        auto at = eager ? std::min(until, due()) : until;
        if (at <= steady_clock::now()) break;
        changed_.wait_until(lock, at);
    }
    auto writes = take_writes();
    auto is_last = !eager || stopped_;
    if (!is_last && positions_due_ > steady_clock::now()) return writes;
    auto positions = take_positions();
    std::ranges::move(positions, std::back_inserter(writes));
    return writes;
}

Writes WriteQueue::take_writes() {
    latest_.clear();
    due_ = SteadyTime::max();
    return std::exchange(writes_, {});
}

Writes WriteQueue::take_positions() {
    places_.clear();
    positions_due_ = SteadyTime::max();
    return std::exchange(positions_, {});
}

Writes WriteQueue::put_back(Writes writes) {
    std::lock_guard lock{mutex_};
    std::unordered_set<CommandId> certain;
    for (auto const* some : {&writes, &writes_}) {
        for (auto const& write : *some) {
            if (write.is_command && write.need == Need::certain) certain.insert(write.command);
        }
    }
    auto later = take_writes();
    auto positions = take_positions();
    Writes failed;
    for (auto* some : {&writes, &later, &positions}) {
        for (auto& write : *some) {
            if (write.is_command && certain.contains(write.command)) write.need = Need::certain;
            if (write.need == Need::certain) {
                append(std::move(write));
            } else {
                failed.push_back(std::move(write));
            }
        }
    }
    return failed;
}

void WriteQueue::stop() {
    {
        std::lock_guard lock{mutex_};
        stopped_ = true;
    }
    changed_.notify_one();
}

bool WriteQueue::is_stopped() const {
    std::lock_guard lock{mutex_};
    return stopped_;
}

std::size_t WriteQueue::size() const {
    std::lock_guard lock{mutex_};
    return writes_.size() + positions_.size();
}

}  // namespace spoke::bridge
