#include "broker/core/subscriber_list.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "broker/core/child_table.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

// A spread has as many lists as make this their usual size; it is made anew with twice or half as
// many when they come to hold twice or a quarter of it.
constexpr std::uint32_t kPartSize = 1024;

void give_back(void* memory) noexcept {
    ::operator delete(memory);
}

std::size_t part_of(SessionRef session, std::uint32_t parts) noexcept {
    auto number = std::uint64_t{session.slot} | std::uint64_t{session.shard} << 32 |
                  std::uint64_t{session.generation} << 40;
    return level_bits::mix(number, level_bits::kFirst) & (parts - 1);
}

}  // namespace

struct SubscriberList::Block {
    std::atomic<std::uint32_t> size;  // entries below it are never written again
    std::uint32_t capacity;

    /// Holds `entries`, with room for `more` and what else malloc gives in a block that large.
    [[nodiscard]] static Block* make(std::span<Subscriber const> entries, std::size_t more) {
        auto bytes = sizeof(Block) + (entries.size() + more) * sizeof(Subscriber);
        bytes = (bytes + 8 + 15) / 16 * 16 - 8;
        auto capacity = (bytes - sizeof(Block)) / sizeof(Subscriber);
        auto* block = new (::operator new(bytes))
            Block{static_cast<std::uint32_t>(entries.size()), static_cast<std::uint32_t>(capacity)};
        std::uninitialized_copy(entries.begin(), entries.end(), block->entries());
        return block;
    }
    [[nodiscard]] Subscriber* entries() noexcept { return reinterpret_cast<Subscriber*>(this + 1); }
    [[nodiscard]] std::span<Subscriber const> view() const noexcept {
        return {reinterpret_cast<Subscriber const*>(this + 1),
                size.load(std::memory_order_acquire)};
    }
    void append(Subscriber subscriber) noexcept {
        auto end = size.load(std::memory_order_relaxed);
        MQ_ASSERT(end < capacity);
        new (entries() + end) Subscriber{subscriber};
        size.store(end + 1, std::memory_order_release);
    }
};

struct SubscriberList::Spread {
    std::uint32_t parts;  // a power of two
    std::uint32_t live;   // writer only

    /// Sorts `entries` by the list they go to.
    [[nodiscard]] static Spread* make(std::uint32_t parts, std::span<Subscriber> entries) {
        std::sort(entries.begin(), entries.end(), [&](Subscriber const& a, Subscriber const& b) {
            return part_of(a.session(), parts) < part_of(b.session(), parts);
        });
        auto* memory = ::operator new(sizeof(Spread) + parts * sizeof(SubscriberList));
        auto* made = new (memory) Spread{parts, static_cast<std::uint32_t>(entries.size())};
        for (std::uint32_t part = 0; part < parts; ++part) {
            auto end = std::find_if(entries.begin(), entries.end(), [&](Subscriber const& entry) {
                return part_of(entry.session(), parts) != part;
            });
            auto here = entries.first(static_cast<std::size_t>(end - entries.begin()));
            auto* list = new (made->lists() + part) SubscriberList;
            if (!here.empty())
                list->publish(reinterpret_cast<Word>(Block::make(here, here.size() / 4)));
            entries = entries.subspan(here.size());
        }
        return made;
    }
    [[nodiscard]] SubscriberList* lists() noexcept {
        return reinterpret_cast<SubscriberList*>(this + 1);
    }
    [[nodiscard]] std::span<SubscriberList const> all() const noexcept {
        return {reinterpret_cast<SubscriberList const*>(this + 1), parts};
    }
};

SubscriberList::Spread* SubscriberList::spread(Word word) noexcept {
    return word & kSpreadBit ? reinterpret_cast<Spread*>(word & ~kSpreadBit) : nullptr;
}

std::span<Subscriber const> SubscriberList::view(Word word, Subscriber const& own) noexcept {
    if (word == kNone) return {};
    if (word == kOwn) return {&own, 1};
    return block(word)->view();
}

void SubscriberList::append_to(std::vector<std::span<Subscriber const>>& spans,
                               Subscriber const& own) const {
    auto now = word_.load(std::memory_order_acquire);
    if (auto const* several = spread(now)) {
        for (auto const& list : several->all()) list.append_to(spans, own);
    } else if (auto entries = view(now, own); !entries.empty()) {
        spans.push_back(entries);
    }
}

Subscriber const* SubscriberList::find(SessionRef session, Subscriber const& own) const noexcept {
    auto now = word_.load(std::memory_order_acquire);
    if (auto const* several = spread(now)) {
        return several->all()[part_of(session, several->parts)].find(session, own);
    }
    auto entries = view(now, own);
    auto found = std::find_if(entries.begin(), entries.end(), [&](Subscriber const& entry) {
        return entry.slot == session.slot && entry.session() == session;
    });
    return found == entries.end() ? nullptr : &*found;
}

SubscriberList::Put SubscriberList::put(Subscriber subscriber, Subscriber const& own,
                                        Reclaimer& reclaimer) {
    if (auto* several = spread(word())) {
        auto& part = several->lists()[part_of(subscriber.session(), several->parts)];
        auto put = part.put_in_block(subscriber, own, reclaimer);
        if (put == Put::added && ++several->live > 2 * kPartSize * several->parts) {
            spread_over(several->parts * 2, reclaimer);
        }
        return put;
    }
    auto put = put_in_block(subscriber, own, reclaimer);
    if (put == Put::added && word() > kOwn && block(word())->size > kBlockMax) {
        spread_over(kBlockMax / kPartSize, reclaimer);
    }
    return put;
}

SubscriberList::Put SubscriberList::put_in_block(Subscriber subscriber, Subscriber const& own,
                                                 Reclaimer& reclaimer) {
    auto now = word();
    auto entries = view(now, own);
    auto const* present = find(subscriber.session(), own);
    if (present && *present == subscriber) return Put::unchanged;
    if (present) {
        auto* made = Block::make(entries, 0);
        made->entries()[present - entries.data()] = subscriber;
        publish(reinterpret_cast<Word>(made));
    } else if (now > kOwn && entries.size() < block(now)->capacity) {
        block(now)->append(subscriber);
        return Put::added;
    } else {
        auto* made = Block::make(entries, 1 + entries.size() / 2);
        made->append(subscriber);
        publish(reinterpret_cast<Word>(made));
    }
    retire(now, reclaimer);
    return present ? Put::replaced : Put::added;
}

bool SubscriberList::remove(SessionRef session, Subscriber const& own, Reclaimer& reclaimer) {
    auto* several = spread(word());
    if (!several) return remove_from_block(session, own, reclaimer);
    auto& part = several->lists()[part_of(session, several->parts)];
    if (!part.remove_from_block(session, own, reclaimer)) return false;
    if (--several->live < kPartSize / 4 * several->parts)
        spread_over(several->parts / 2, reclaimer);
    return true;
}

bool SubscriberList::remove_from_block(SessionRef session, Subscriber const& own,
                                       Reclaimer& reclaimer) {
    auto now = word();
    auto const* present = find(session, own);
    if (!present) return false;
    auto entries = view(now, own);
    Block* made = nullptr;
    if (entries.size() > 1) {
        // A copy without the last, which then takes the place of the one that goes.
        made = Block::make(entries.first(entries.size() - 1), 0);
        if (present != &entries.back()) made->entries()[present - entries.data()] = entries.back();
    }
    publish(reinterpret_cast<Word>(made));
    retire(now, reclaimer);
    return true;
}

void SubscriberList::spread_over(std::uint32_t parts, Reclaimer& reclaimer) {
    auto now = word();
    std::vector<std::span<Subscriber const>> spans;
    append_to(spans, Subscriber{});
    std::vector<Subscriber> entries;
    for (auto span : spans) entries.insert(entries.end(), span.begin(), span.end());
    if (parts == 1) {
        publish(reinterpret_cast<Word>(Block::make(entries, 0)));
    } else {
        publish(reinterpret_cast<Word>(Spread::make(parts, entries)) | kSpreadBit);
    }
    retire(now, reclaimer);
}

void SubscriberList::retire(Word old, Reclaimer& reclaimer) {
    if (auto* several = spread(old)) {
        for (auto const& list : several->all()) {
            if (list.word() > kOwn) reclaimer.retire(block(list.word()), give_back);
        }
        reclaimer.retire(several, give_back);
    } else if (old > kOwn) {
        reclaimer.retire(block(old), give_back);
    }
}

void SubscriberList::free() noexcept {
    auto now = word();
    if (auto* several = spread(now)) {
        for (std::uint32_t i = 0; i < several->parts; ++i) several->lists()[i].free();
        give_back(several);
    } else if (now > kOwn) {
        give_back(block(now));
    }
    publish(kNone);
}

}  // namespace spoke::broker
