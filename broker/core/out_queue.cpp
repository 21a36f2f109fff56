#include "broker/core/out_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace spoke::broker {

namespace {

constexpr std::size_t kPooledMax = 4096;
constexpr std::uint32_t kSpillBlock = 2048;

void write_u32(std::byte* out, std::uint32_t value) noexcept {
    out[0] = static_cast<std::byte>(value >> 24);
    out[1] = static_cast<std::byte>(value >> 16);
    out[2] = static_cast<std::byte>(value >> 8);
    out[3] = static_cast<std::byte>(value);
}

}  // namespace

SegmentPool::~SegmentPool() {
    while (free_ != nullptr) delete std::exchange(free_, free_->next);
}

SegmentBlock* SegmentPool::take() {
    if (free_ == nullptr) return new SegmentBlock;
    --count_;
    SegmentBlock* block = std::exchange(free_, free_->next);
    block->next = nullptr;
    block->begin = block->end = 0;
    return block;
}

void SegmentPool::give(SegmentBlock* block) noexcept {
    if (count_ >= kPooledMax) {
        delete block;
        return;
    }
    block->next = free_;
    free_ = block;
    ++count_;
}

Segment& OutQueue::append(SegmentPool& pool) {
    if (tail_ == nullptr || tail_->end == SegmentBlock::kSegments) {
        SegmentBlock* block = pool.take();
        if (tail_ == nullptr) {
            head_ = block;
        } else {
            tail_->next = block;
        }
        tail_ = block;
    }
    return tail_->segments[tail_->end++];
}

void OutQueue::append_borrowed(SegmentPool& pool, std::span<std::byte> bytes) {
    bytes_ += bytes.size();
    if (tail_ != nullptr && tail_->end > tail_->begin) {
        Segment& last = tail_->segments[tail_->end - 1];
        if (last.borrowed && !last.apart && last.data + last.size == bytes.data()) {
            last.size += static_cast<std::uint32_t>(bytes.size());
            return;
        }
    }
    Segment& segment = append(pool);
    segment.data = bytes.data();
    segment.size = static_cast<std::uint32_t>(bytes.size());
    segment.borrowed = true;
}

void OutQueue::append_body(SegmentPool& pool, MessagePtr message, Bytes body) {
    Segment& segment = append(pool);
    segment.data = const_cast<std::byte*>(body.data());  // iovec wants it so; nothing writes to it
    segment.size = static_cast<std::uint32_t>(body.size());
    segment.message = std::move(message);
    bytes_ += body.size();
}

void OutQueue::set_apart(Segment& segment, Apart about) {
    segment.expiry_offset = about.expiry_offset;
    segment.packet_id = about.id;
    segment.has_body = about.has_body;
    segment.message = std::move(about.message);
    segment.apart = true;
    segment.timed = about.timed;
    segment.receipt = about.receipt;
    segment.first_byte = std::to_integer<std::uint8_t>(segment.data[0]);
    ++apart_;
}

void OutQueue::append_apart(SegmentPool& pool, std::span<std::byte> bytes, Apart about) {
    Segment& segment = append(pool);
    segment.data = bytes.data();
    segment.size = static_cast<std::uint32_t>(bytes.size());
    segment.borrowed = true;
    bytes_ += bytes.size();
    set_apart(segment, std::move(about));
}

void OutQueue::append_owned(SegmentPool& pool, std::unique_ptr<std::byte[]> block, std::size_t size,
                            Apart about) {
    Segment& segment = append(pool);
    segment.data = block.get();
    segment.size = static_cast<std::uint32_t>(size);
    segment.block = std::move(block);
    bytes_ += size;
    if (about.message) set_apart(segment, std::move(about));
}

template <class IsUnwanted>
void OutQueue::drop_apart(IsUnwanted&& is_unwanted) {
    if (apart_ == 0) return;
    bool drop_body = false;
    auto drop = [this](Segment& segment) {
        bytes_ -= segment.size;
        segment.size = 0;
        segment.message = nullptr;
    };
    each([&](Segment& segment) {
        if (drop_body) {
            drop(segment);
            drop_body = false;
        } else if (segment.apart && !segment.begun && segment.size > 0 && is_unwanted(segment)) {
            drop_body = segment.has_body;
            drop(segment);
            segment.apart = segment.timed = segment.receipt = false;
            --apart_;
        }
    });
}

void OutQueue::settle_timed(WallTime now, std::vector<Taken>& dropped) {
    drop_apart([&](Segment& header) {
        if (!header.timed) return false;
        if (header.message->has_expired(now)) {
            dropped.push_back(taken(header));
            return true;
        }
        if (header.expiry_offset != 0) {
            write_u32(header.data + header.expiry_offset,
                      remaining_expiry(header.message->deadline(), now));
        }
        return false;
    });
}

void OutQueue::take_back(TimedToo timed, std::vector<Taken>& all) {
    drop_apart([&](Segment& header) {
        bool is_wanted_back = timed == TimedToo::yes && header.timed && header.packet_id.value != 0;
        if (!header.receipt && !is_wanted_back) return false;
        all.push_back(taken(header));
        return true;
    });
    if (apart_ == 0) return;
    each([&](Segment& begun) {
        if (!begun.receipt) return;
        all.push_back(taken(begun));
        begun.receipt = false;
    });
}

OutQueue::Taken OutQueue::taken(Segment const& segment) {
    return {segment.packet_id, segment.receipt ? segment.message : nullptr, segment.first_byte,
            segment.begun};
}

std::size_t OutQueue::gather(std::span<iovec> pieces) const noexcept {
    std::size_t count = 0;
    for (SegmentBlock* block = head_; block != nullptr; block = block->next) {
        for (std::uint32_t i = block->begin; i < block->end; ++i) {
            if (count == pieces.size()) return count;
            Segment const& segment = block->segments[i];
            if (segment.size > 0) pieces[count++] = {segment.data, segment.size};
        }
    }
    return count;
}

void OutQueue::consume(SegmentPool& pool, std::uint64_t size, std::vector<Taken>* written) {
    MQ_ASSERT(size <= bytes_);
    bytes_ -= size;
    while (head_ != nullptr) {
        Segment& segment = head_->segments[head_->begin];
        if (segment.size > size) {
            segment.data += size;
            segment.size -= static_cast<std::uint32_t>(size);
            if (size > 0) segment.begun = true;
            return;
        }
        size -= segment.size;
        if (segment.apart) leave(segment, written);
        segment = Segment{};
        if (++head_->begin < head_->end) continue;
        SegmentBlock* empty = std::exchange(head_, head_->next);
        if (head_ == nullptr) tail_ = nullptr;
        if (spilled_to_ == empty) spilled_to_ = nullptr;
        pool.give(empty);
    }
}

/// All of a segment that is apart is written: if it is a header, its body is what is left.
void OutQueue::leave(Segment& segment, std::vector<Taken>* written) {
    --apart_;
    if (!segment.receipt) return;
    if (!segment.has_body) {
        segment.begun = true;
        if (written != nullptr) written->push_back(taken(segment));
        return;
    }
    bool is_last = head_->begin + 1 == head_->end;
    Segment& body =
        is_last ? head_->next->segments[head_->next->begin] : head_->segments[head_->begin + 1];
    body.packet_id = segment.packet_id;
    body.first_byte = segment.first_byte;
    body.apart = body.receipt = body.begun = true;
    ++apart_;
}

void OutQueue::spill() {
    // All in front of `spilled_to_` is owned already. Small pieces are gathered in blocks, as a
    // receiver which is slow gets many of them.
    Segment* sink = nullptr;
    auto keep = [&sink](Segment& segment) {
        if (segment.size == 0) return;
        if (!segment.borrowed) {
            sink = segment.spare > 0 ? &segment : nullptr;
        } else if (sink != nullptr && !segment.apart && segment.size <= sink->spare) {
            std::memcpy(sink->data + sink->size, segment.data, segment.size);
            sink->size += segment.size;
            sink->spare -= segment.size;
            segment.size = 0;
            segment.borrowed = false;
        } else {
            std::uint32_t room = segment.apart ? segment.size : std::max(segment.size, kSpillBlock);
            auto block = std::make_unique_for_overwrite<std::byte[]>(room);
            std::memcpy(block.get(), segment.data, segment.size);
            segment.data = block.get();
            segment.block = std::move(block);
            segment.spare = room - segment.size;
            segment.borrowed = false;
            sink = segment.apart ? nullptr : &segment;
        }
    };
    for (SegmentBlock* block = spilled_to_ != nullptr ? spilled_to_ : head_; block != nullptr;
         block = block->next) {
        for (std::uint32_t i = block->begin; i < block->end; ++i) keep(block->segments[i]);
        spilled_to_ = block;
    }
    while (tail_ != nullptr && tail_->end > tail_->begin + 1 &&
           tail_->segments[tail_->end - 1].size == 0) {
        --tail_->end;
    }
}

void OutQueue::clear(SegmentPool& pool) noexcept {
    consume(pool, bytes_);
}

}  // namespace spoke::broker
