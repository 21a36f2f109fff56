#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "broker/core/session_ref.hpp"
#include "broker/core/stored_as.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// What publishers on other shards must know of one shard's sessions that outlive their connection:
/// under which number each is stored, and whether its queue is full. Eight bytes a session; others
/// cost nothing. Written by the shard whose sessions they are, read by all without a lock.
class KeptSessions {
public:
    KeptSessions() = default;
    KeptSessions(KeptSessions const&) = delete;
    KeptSessions& operator=(KeptSessions const&) = delete;
    ~KeptSessions() {
        for (auto& chunk : chunks_) std::free(chunk.load(std::memory_order_relaxed));
    }

    struct Entry {
        SessionNumber number{};  // 0: the session is not kept, or it is gone
        bool queue_full = false;
    };
    /// Any thread.
    [[nodiscard]] Entry find(SessionRef session) const noexcept {
        auto const* place = place_of(session.slot);
        if (place == nullptr) return {};
        auto word = place->load(std::memory_order_acquire);
        if (static_cast<std::uint16_t>(word >> kNumberBits) != session.generation) return {};
        return {SessionNumber{word & kNumberMax}, (word & kFull) != 0};
    }

    // The owner.
    void put(SessionRef session, SessionNumber number, bool queue_full) {
        MQ_ASSERT(number.value <= kNumberMax);
        auto& chunk = chunks_.at(session.slot / kChunkSize);
        if (chunk.load(std::memory_order_relaxed) == nullptr) {
            // Pages of it that nobody writes to take no memory.
            void* made = std::calloc(kChunkSize, sizeof(Word));
            if (made == nullptr) throw std::bad_alloc{};
            chunk.store(static_cast<Word*>(made), std::memory_order_release);
        }
        auto word = number.value | std::uint64_t{session.generation} << kNumberBits |
                    (queue_full ? kFull : 0);
        place_of(session.slot)->store(word, std::memory_order_release);
    }
    void erase(SessionRef session) noexcept {
        if (auto* place = place_of(session.slot)) place->store(0, std::memory_order_release);
    }

private:
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free);

    static constexpr unsigned kNumberBits = 40;
    static constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << kNumberBits) - 1;
    static constexpr std::uint64_t kFull = std::uint64_t{1} << 63;
    static constexpr std::uint32_t kChunkSize = 1U << 18;
    static constexpr std::size_t kChunks = 1U << 12;

    [[nodiscard]] Word* place_of(std::uint32_t slot) const noexcept {
        if (slot / kChunkSize >= kChunks) return nullptr;
        auto* chunk = chunks_[slot / kChunkSize].load(std::memory_order_acquire);
        return chunk == nullptr ? nullptr : chunk + slot % kChunkSize;
    }

    std::array<std::atomic<Word*>, kChunks> chunks_{};
};

}  // namespace spoke::broker
