#pragma once

#include <cstdint>
#include <vector>

#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"

struct epoll_event;

namespace spoke::sim::load {

class Client;

/// Called at the end of each turn, after all that was read and before anything is written.
class TurnEnd {
public:
    virtual void on_turn_end() = 0;

protected:
    ~TurnEnd() = default;
};

/// The loop of the load generator: waits, lets every readable client read once, calls `TurnEnd`,
/// then writes what each touched client has, one call per client. Owns the epoll descriptor and one
/// read buffer for all. One thread. Clients outlive the turn in which they were touched.
class Reactor {
public:
    /// Errors: throws LoadFailure if the kernel gives no epoll descriptor.
    Reactor();
    ~Reactor();
    Reactor(Reactor const&) = delete;
    Reactor& operator=(Reactor const&) = delete;

    /// One turn. Sleeps until something is ready or `wake_at` has come.
    void turn(SteadyTime wake_at, TurnEnd* end);

    /// The clock as it was when the current piece of work began.
    [[nodiscard]] SteadyTime now() const noexcept { return now_; }
    void read_clock() noexcept { now_ = std::chrono::steady_clock::now(); }

    /// How long the last turn worked after it woke up.
    [[nodiscard]] std::chrono::nanoseconds last_turn() const noexcept { return last_turn_; }

    void add(int descriptor, Client& client, bool writable);
    void change(int descriptor, Client& client, bool writable);
    void flush_at_turn_end(Client& client) { touched_.push_back(&client); }
    [[nodiscard]] Buffer& inbound() noexcept { return inbound_; }

private:
    int wait(SteadyTime wake_at);
    void flush_touched();

    int epoll_ = -1;
    SteadyTime now_{};
    std::chrono::nanoseconds last_turn_{};
    std::vector<epoll_event> ready_;
    std::vector<Client*> touched_;
    std::vector<Client*> flushing_;
    Buffer inbound_;
};

}  // namespace spoke::sim::load
