#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "broker/auth/password_file.hpp"
#include "broker/auth/secret.hpp"

namespace spoke::broker {

/// Threads that check passwords, so that a slow hash does not stop a shard. Any thread.
class HashPool {
public:
    struct Settings {
        unsigned threads = 1;
        std::size_t pending_max = 1'000;  // checks that wait for a thread
    };

    /// Called on one of the pool's threads; must not throw or block for long.
    using Done = std::function<void(bool accepted)>;

    explicit HashPool(Settings const& settings);
    ~HashPool();  // as stop()
    HashPool(HashPool const&) = delete;
    HashPool& operator=(HashPool const&) = delete;

    /// Checks `password` against `users` (not null) and tells `done`, in the order of the calls if
    /// there is one thread. False: too many are waiting, or the pool is stopped; `done` will not be
    /// called.
    [[nodiscard]] bool check(std::shared_ptr<PasswordFile const> users, std::string user,
                             Secret password, Done done);

    /// Drops what waits, without calling its `done`, and awaits the checks that have begun. After
    /// it no `done` is called or running. Not from inside a `done`.
    void stop();

    [[nodiscard]] std::size_t pending() const;

private:
    struct Job {
        std::shared_ptr<PasswordFile const> users;
        std::string user;
        Secret password;
        Done done;
    };

    void work();

    std::size_t pending_max_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace spoke::broker
