#include "bridge/store/write_queue.hpp"

#include <unordered_set>
#include <utility>

namespace spoke::bridge {

bool WriteQueue::add(Write& write) {
    {
        std::lock_guard lock{mutex_};
        if (write.need == Need::now_or_never && writes_.size() >= writes_max_) return false;
        append(std::move(write));
    }
    changed_.notify_one();
    return true;
}

/// A record that may still fail cannot stand for one that must not.
void WriteQueue::append(Write write) {
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
    changed_.wait_until(lock, until, [&] { return stopped_ || (eager && !writes_.empty()); });
    latest_.clear();
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
    auto later = std::exchange(writes_, {});
    latest_.clear();
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
