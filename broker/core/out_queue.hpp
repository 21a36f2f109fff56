#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "broker/core/message.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// A piece of what is to be written.
struct Segment {
    std::byte* data = nullptr;
    std::uint32_t size = 0;
    std::uint32_t spare = 0;  // room behind `data + size` in `block`
    std::uint32_t expiry_offset =
        0;  // of a timed packet: where its message expiry interval stands; 0: none
    mqtt::PacketId packet_id{};            // of a packet that is apart
    MessagePtr message{};                  // owner of a shared body, or of a packet that is apart
    std::unique_ptr<std::byte[]> block{};  // holds `data` after a spill
    bool borrowed = false;                 // lies in an arena
    bool apart = false;                    // a packet, or its header, that nothing is joined to
    bool timed = false;           // apart: dropped if it expires before its first byte is written
    bool receipt = false;         // apart: its publisher is told when all of it is written
    bool begun = false;           // some of it is written
    bool has_body = false;        // the next segment belongs to the same packet
    std::uint8_t first_byte = 0;  // of a packet with `receipt`: holds QoS and DUP
};

/// Segments come in blocks from a pool of the shard, so that an idle connection owns none.
struct SegmentBlock {
    static constexpr std::uint32_t kSegments = 8;
    SegmentBlock* next = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    Segment segments[kSegments];
};

class SegmentPool {
public:
    SegmentPool() = default;
    SegmentPool(SegmentPool const&) = delete;
    SegmentPool& operator=(SegmentPool const&) = delete;
    ~SegmentPool();
    [[nodiscard]] SegmentBlock* take();
    void give(SegmentBlock* block) noexcept;

private:
    SegmentBlock* free_ = nullptr;
    std::size_t count_ = 0;
};

/// What a connection still has to write, in order. Bytes in the shard's arenas are borrowed and
/// must be written or spilled before the arena is reset; bodies of large messages are shared;
/// spilled bytes are its own. Packets that may still be dropped, or whose writing is to be told,
/// are apart: segments of their own. One thread: the shard's.
class OutQueue {
public:
    OutQueue() = default;
    OutQueue(OutQueue const&) = delete;
    OutQueue& operator=(OutQueue const&) = delete;
    ~OutQueue() { MQ_ASSERT(head_ == nullptr); }  // clear() needs the pool

    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    /// Bytes in an arena of the shard. Joins the last segment if they lie right behind it.
    void append_borrowed(SegmentPool& pool, std::span<std::byte> bytes);
    /// The body of a packet whose header was appended before; shares the message.
    void append_body(SegmentPool& pool, MessagePtr message, Bytes body);
    /// What a packet (or its header, if a body follows) that is apart needs to know of itself.
    struct Apart {
        MessagePtr message{};  // null: it is not apart
        std::uint32_t expiry_offset =
            0;  // where its 4-byte message expiry interval stands; 0: nowhere
        mqtt::PacketId id{};
        bool has_body = false;
        bool timed = false;    // must not be written after its message expired
        bool receipt = false;  // its publisher wants to know when it is written
    };
    /// A packet in an arena that is apart.
    void append_apart(SegmentPool& pool, std::span<std::byte> bytes, Apart about);
    /// A packet too large for the arena, apart or not.
    void append_owned(SegmentPool& pool, std::unique_ptr<std::byte[]> block, std::size_t size,
                      Apart about);

    /// A packet that was apart and is so no longer, or was written.
    struct Taken {
        mqtt::PacketId id{};   // 0: QoS 0
        MessagePtr message{};  // null: no receipt is wanted
        std::uint8_t first_byte = 0;
        bool begun = false;  // some or all of it is written
    };
    /// Right before a write: drops timed packets whose time has passed and of which no byte was
    /// written, and brings the message expiry interval of the others up to date [MQTT-3.3.2-6].
    /// Appends the dropped ones.
    void settle_timed(WallTime now, std::vector<Taken>& dropped);
    [[nodiscard]] bool has_apart() const noexcept { return apart_ > 0; }
    /// Takes out packets of which no byte was written, and appends them: those with a receipt and,
    /// if `timed` says so, timed ones of QoS 1 and 2. One with a receipt that has begun stays, as
    /// one without, and is appended too.
    enum class TimedToo : bool { no, yes };
    void take_back(TimedToo timed, std::vector<Taken>& taken);

    /// Fills `pieces` from the front; gives how many.
    [[nodiscard]] std::size_t gather(std::span<iovec> pieces) const noexcept;
    /// The first `size` bytes are written. Appends to `written`, if given, those with a receipt of
    /// which that was the rest.
    void consume(SegmentPool& pool, std::uint64_t size, std::vector<Taken>* written = nullptr);
    /// Copies all that is borrowed, so that the arenas may be reset.
    void spill();
    void clear(SegmentPool& pool) noexcept;

private:
    Segment& append(SegmentPool& pool);
    void set_apart(Segment& segment, Apart about);
    [[nodiscard]] static Taken taken(Segment const& segment);
    void leave(Segment& segment, std::vector<Taken>* written);
    /// Empties each packet that is apart, has not begun, and for which `is_unwanted(header)` holds.
    template <class IsUnwanted>
    void drop_apart(IsUnwanted&& is_unwanted);
    template <class Visit>
    void each(Visit&& visit) const {
        for (SegmentBlock* block = head_; block != nullptr; block = block->next) {
            for (std::uint32_t i = block->begin; i < block->end; ++i) visit(block->segments[i]);
        }
    }

    SegmentBlock* head_ = nullptr;
    SegmentBlock* tail_ = nullptr;
    SegmentBlock* spilled_to_ = nullptr;  // nothing in front of it is borrowed
    std::uint64_t bytes_ = 0;
    std::uint32_t apart_ = 0;
};

}  // namespace spoke::broker
