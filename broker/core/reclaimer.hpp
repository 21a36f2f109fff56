#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace spoke::broker {

/// Frees what writers took out of a shared structure once no reader can still see it (quiescent states).
/// Each shard is a reader: between two calls of quiescent() it may use any pointer it found in the structure.
/// A shard that sleeps is offline and holds nobody up.
class Reclaimer {
public:
    explicit Reclaimer(std::size_t readers);
    ~Reclaimer();  // frees everything; no reader may be left
    Reclaimer(Reclaimer const&) = delete;
    Reclaimer& operator=(Reclaimer const&) = delete;

    // Reader side, each reader from its own thread.
    void online(std::size_t reader) noexcept;
    void quiescent(std::size_t reader) noexcept;  // "I hold no pointer now"
    void offline(std::size_t reader) noexcept;

    /// Any thread: `free(object)` runs later, in some caller of retire() or collect(), after every reader
    /// that was online has been quiescent or offline once.
    void retire(void* object, void (*free)(void*));
    void collect();
};

}  // namespace spoke::broker
