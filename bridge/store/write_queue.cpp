#include "bridge/store/write_queue.hpp"

#include <algorithm>
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
        auto before = due_;
        append(std::move(write));
        is_sooner = due_ < before;
    }
    // Else the writer wakes up in time, or has been told already.
    if (is_sooner) changed_.notify_one();
    return true;
}

bool WriteQueue::replaces_position(Write const& write) {
    auto const* position = std::get_if<ReaderPosition>(&write.record);
    if (position == nullptr) return false;
    auto [known, is_first] = positions_.try_emplace(position->name, writes_.size());
    if (!is_first) writes_[known->second].record = *position;
    return !is_first;
}

/// A record that may still fail cannot stand for one that must not.
void WriteQueue::append(Write write) {
    auto is_urgent = write.patience.count() == 0;
    due_ = std::min(due_, is_urgent ? SteadyTime{} : steady_clock::now() + write.patience);
    if (replaces_position(write)) return;
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
        auto at = eager ? std::min(until, due_) : until;
        if (at <= steady_clock::now()) break;
        changed_.wait_until(lock, at);
    }
    return take_all();
}

Writes WriteQueue::take_all() {
    latest_.clear();
    positions_.clear();
    due_ = SteadyTime::max();
    return std::exchange(writes_, {});
}

Writes WriteQueue::put_back(Writes writes) {
    std::lock_guard lock{mutex_};
    std::unordered_set<CommandId> certain;
    for (auto const* some : {&writes, &writes_}) {
        for (auto const& write : *some) {
            if (write.is_command && write.need == Need::certain) certain.insert(write.command);
        }
    }
    auto later = take_all();
    Writes failed;
    for (auto* some : {&writes, &later}) {
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
    return writes_.size();
}

}  // namespace spoke::bridge
