#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

namespace spoke::broker {

/// Frees what writers took out of a shared structure once no reader can still see it (quiescent
/// states). Each shard is a reader: between two calls of quiescent() it may use any pointer it
/// found in the structure. A shard that sleeps is offline and holds nobody up.
///
/// What is retired gathers in a batch. Closing a batch stamps it with the epoch and begins the next
/// epoch; a reader that has announced a later epoch than the stamp began after all of the batch was
/// out of reach.
class Reclaimer {
public:
    explicit Reclaimer(std::size_t readers);
    ~Reclaimer();  // frees everything; no reader may be left
    Reclaimer(Reclaimer const&) = delete;
    Reclaimer& operator=(Reclaimer const&) = delete;

    // Reader side, each reader from its own thread. Readers begin offline.
    void online(std::size_t reader) noexcept;
    void quiescent(std::size_t reader) noexcept;  // "I hold no pointer now"; only while online
    void offline(std::size_t reader) noexcept;

    /// Any thread: `free(object)` runs later, in some caller of retire() or collect(), after every
    /// reader that was online has been quiescent or offline once. Takes no lock unless it is its
    /// turn to collect, and waits for none.
    void retire(void* object, void (*free)(void*));

    /// Any thread: frees what can be freed now. Nothing needs it but a thread that wants memory
    /// back before the next few retire().
    void collect();

private:
    struct Retired {
        void* object;
        void (*free)(void*);
        Retired* next;
    };
    struct Batch {
        Retired* first;
        std::uint64_t stamp;
    };
    struct alignas(64) Reader {
        std::atomic<std::uint64_t> seen{0};  // the epoch it announced last; 0 while offline
    };

    void collect(std::unique_lock<std::mutex> lock);
    [[nodiscard]] std::uint64_t oldest_seen() noexcept;
    static void free_all(Retired* first);

    std::size_t reader_count_;
    std::unique_ptr<Reader[]> readers_;
    alignas(64) std::atomic<std::uint64_t> epoch_{1};      // read by every reader, rarely written
    alignas(64) std::atomic<Retired*> incoming_{nullptr};  // the open batch, last retired first
    std::atomic<std::size_t> incoming_count_{0};
    std::mutex mutex_;
    std::deque<Batch> batches_;  // closed, oldest first
};

}  // namespace spoke::broker
