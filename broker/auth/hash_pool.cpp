#include "broker/auth/hash_pool.hpp"

#include <algorithm>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

HashPool::HashPool(Settings const& settings) : pending_max_(settings.pending_max) {
    for (unsigned i = 0; i < std::max(settings.threads, 1U); ++i)
        threads_.emplace_back([this] { work(); });
}

HashPool::~HashPool() {
    stop();
}

bool HashPool::check(std::shared_ptr<PasswordFile const> users, std::string user, Secret password,
                     Done done) {
    MQ_ASSERT(users);
    {
        std::lock_guard lock{mutex_};
        if (stopped_ || jobs_.size() >= pending_max_) return false;
        jobs_.push_back({std::move(users), std::move(user), std::move(password), std::move(done)});
    }
    changed_.notify_one();
    return true;
}

void HashPool::stop() {
    std::deque<Job> dropped;
    {
        std::lock_guard lock{mutex_};
        stopped_ = true;
        dropped.swap(jobs_);
    }
    changed_.notify_all();
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

std::size_t HashPool::pending() const {
    std::lock_guard lock{mutex_};
    return jobs_.size();
}

void HashPool::work() {
    for (;;) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
        if (stopped_) return;
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job.done(job.users->accepts(job.user, job.password.view()));
    }
}

}  // namespace spoke::broker
