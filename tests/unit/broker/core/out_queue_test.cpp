#include "broker/core/out_queue.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;
using mqtt::PacketId;

namespace {

constexpr WallTime kNow{std::chrono::milliseconds{1'700'000'000'000}};
constexpr Deadline kNowMs = 1'700'000'000'000;

MessagePtr message_until(Deadline deadline, std::string_view payload = "x") {
    return Message::make(mqtt::Publish{.topic = "t", .payload = to_buffer(payload)}, deadline);
}

/// A queue with its pool, an arena that is overwritten at every flush, and a socket.
struct Bench {
    SegmentPool pool{};
    OutQueue queue{};
    std::vector<Buffer> arenas{};
    std::string socket{};
    std::vector<PacketId> dropped{};
    std::vector<OutQueue::Taken> written{};

    ~Bench() { queue.clear(pool); }

    std::span<std::byte> in_arena(std::string_view text) {
        arenas.push_back(to_buffer(text));
        return arenas.back();
    }
    void borrow(std::string_view text) { queue.append_borrowed(pool, in_arena(text)); }
    void timed(std::string_view text, Deadline deadline, std::uint16_t id,
               std::uint32_t expiry_offset = 0, bool has_body = false) {
        queue.append_apart(pool, in_arena(text),
                           {.message = message_until(deadline),
                            .expiry_offset = expiry_offset,
                            .id = PacketId{id},
                            .has_body = has_body,
                            .timed = true});
    }
    /// With a receipt; it does not expire.
    void told(std::string_view text, std::uint16_t id, bool has_body = false) {
        queue.append_apart(pool, in_arena(text),
                           {.message = message_until(kNever, text),
                            .id = PacketId{id},
                            .has_body = has_body,
                            .receipt = true});
    }
    void body(std::string_view text) {
        auto message = message_until(kNever, text);
        auto bytes = message->payload();
        queue.append_body(pool, std::move(message), bytes);
    }
    void spill() {
        queue.spill();
        for (auto& arena : arenas) std::ranges::fill(arena, std::byte{'#'});
        arenas.clear();
    }
    void settle(WallTime now = kNow) {
        std::vector<OutQueue::Taken> taken;
        queue.settle_timed(now, taken);
        for (auto const& one : taken) dropped.push_back(one.id);
    }
    std::vector<OutQueue::Taken> take_back(OutQueue::TimedToo timed) {
        std::vector<OutQueue::Taken> taken;
        queue.take_back(timed, taken);
        return taken;
    }

    /// One gathered write, of which the socket takes `size` bytes.
    std::size_t write(std::size_t size, std::size_t pieces_max = 64) {
        std::vector<iovec> pieces(pieces_max);
        std::size_t count = queue.gather(pieces);
        std::size_t taken = 0;
        for (std::size_t i = 0; i < count && taken < size; ++i) {
            std::size_t part = std::min(pieces[i].iov_len, size - taken);
            socket.append(static_cast<char const*>(pieces[i].iov_base), part);
            taken += part;
        }
        queue.consume(pool, taken, &written);
        return taken;
    }
    void write_all(std::size_t pieces_max = 64) {
        while (write(SIZE_MAX, pieces_max) > 0) {
        }
    }
};

}  // namespace

TEST_CASE("out queue: what was appended is written in order") {
    Bench bench;
    CHECK(bench.queue.empty());
    bench.borrow("one ");
    bench.borrow("two ");
    bench.body("three ");
    bench.borrow("four");
    CHECK(bench.queue.bytes() == 18);
    bench.write_all(GENERATE(1, 2, 64));
    CHECK(bench.socket == "one two three four");
    CHECK(bench.queue.empty());
    CHECK(bench.queue.bytes() == 0);
}

TEST_CASE("out queue: neighbours in the arena become one piece") {
    Bench bench;
    auto arena = bench.in_arena("abcdef");
    bench.queue.append_borrowed(bench.pool, arena.first(2));
    bench.queue.append_borrowed(bench.pool, arena.subspan(2, 3));
    std::array<iovec, 4> pieces;
    CHECK(bench.queue.gather(pieces) == 1);
    CHECK(pieces[0].iov_len == 5);
    bench.write_all();
    CHECK(bench.socket == "abcde");
}

TEST_CASE("out queue: a write may stop at every byte, with and without a spill") {
    bool spills = GENERATE(false, true);
    std::string const expected = "head body tail1 tail2 a body apart. end";
    for (std::size_t cut = 0; cut <= expected.size(); ++cut) {
        for (std::size_t second = 0; second <= expected.size() - cut; second += 5) {
            Bench bench;
            bench.borrow("head ");
            bench.timed("body ", kNever - 1, 7);
            bench.borrow("tail1 ");
            bench.borrow("tail2 ");
            bench.body("a body apart. ");
            bench.borrow("end");
            REQUIRE(bench.write(cut) == cut);
            if (spills) bench.spill();
            bench.settle();
            REQUIRE(bench.write(second) == second);
            if (spills) bench.spill();
            REQUIRE(bench.queue.bytes() == expected.size() - cut - second);
            bench.write_all();
            REQUIRE(bench.socket == expected);
            REQUIRE(bench.queue.empty());
        }
    }
}

TEST_CASE("out queue: appends after a spill go behind what was spilled") {
    Bench bench;
    std::string expected;
    for (int round = 0; round < 40; ++round) {
        for (int i = 0; i < round % 5; ++i) {
            std::string text(static_cast<std::size_t>(round * 31 + i), static_cast<char>('a' + i));
            bench.borrow(text);
            expected += text;
        }
        if (round % 3 == 0) bench.write(static_cast<std::size_t>(round) * 7);
        bench.spill();
    }
    bench.write_all(3);
    CHECK(bench.socket == expected);
}

TEST_CASE("out queue: a timed packet is dropped when its time has passed, with its body",
          "[v5.0][MQTT-3.3.2-5]") {
    Bench bench;
    bench.borrow("first ");
    bench.timed("late-head ", kNowMs, 5, 0, true);
    bench.body("late-body ");
    bench.timed("in-time ", kNowMs + 1, 6);
    bench.timed("late0 ", kNowMs - 1000, 0);
    bench.borrow("last");
    bench.settle();
    CHECK(bench.dropped == std::vector<PacketId>{PacketId{5}, PacketId{0}});
    CHECK(bench.queue.bytes() == 18);
    bench.write_all();
    CHECK(bench.socket == "first in-time last");
    CHECK_FALSE(bench.queue.has_apart());
}

TEST_CASE("out queue: a timed packet of which a byte is written goes out whole") {
    // Cut inside the header, at its end, inside the body: there is no way back.
    std::size_t cut = GENERATE(1U, 4U, 5U, 8U);
    bool spills = GENERATE(false, true);
    Bench bench;
    bench.timed("head ", kNowMs + 10, 5, 0, true);
    bench.body("body ");
    bench.timed("next", kNowMs + 10, 6);
    bench.settle(kNow);
    REQUIRE(bench.write(cut) == cut);
    if (spills) bench.spill();
    bench.settle(kNow + std::chrono::seconds{1});
    CHECK(bench.dropped == std::vector<PacketId>{PacketId{6}});
    bench.write_all();
    CHECK(bench.socket == "head body ");
}

TEST_CASE("out queue: everything dropped leaves a queue that can go on") {
    Bench bench;
    bench.timed("a", kNowMs, 1);
    bench.timed("b", kNowMs, 2);
    bench.settle();
    CHECK(bench.queue.bytes() == 0);
    bench.spill();
    bench.settle();
    CHECK(bench.dropped.size() == 2);
    bench.borrow("new");
    bench.write_all();
    CHECK(bench.socket == "new");
    CHECK(bench.queue.empty());
}

TEST_CASE("out queue: the message expiry interval is brought up to date before the write",
          "[v5.0][MQTT-3.3.2-6]") {
    bool spills = GENERATE(false, true);
    Bench bench;
    bench.timed(std::string_view{"ab\0\0\0\0z", 7}, kNowMs + 300'000, 1, 2);
    if (spills) bench.spill();
    auto waited = GENERATE(0, 1, 999, 1000, 1001, 299'999);
    bench.settle(kNow + std::chrono::milliseconds{waited});
    bench.write_all();
    auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bench.socket[at]); };
    int value = byte(4) << 8 | byte(5);
    CHECK(value == 300 - waited / 1000);
    CHECK(bench.socket.substr(0, 4) == std::string("ab\0\0", 4));
    CHECK(bench.socket[6] == 'z');
}

TEST_CASE("out queue: timed packets of QoS 1 and 2 that have not begun are taken back") {
    bool spills = GENERATE(false, true);
    Bench bench;
    bench.timed("begun ", kNowMs + 10, 4);
    bench.timed("head ", kNowMs + 10, 5, 0, true);
    bench.body("body ");
    bench.timed("qos0 ", kNowMs + 10, 0);
    bench.borrow("plain");
    REQUIRE(bench.write(1) == 1);
    if (spills) bench.spill();
    auto taken = bench.take_back(OutQueue::TimedToo::yes);
    REQUIRE(taken.size() == 1);
    CHECK(taken[0].id == PacketId{5});
    CHECK_FALSE(taken[0].message);
    bench.write_all();
    CHECK(bench.socket == "begun qos0 plain");
    CHECK_FALSE(bench.queue.has_apart());
}

TEST_CASE("out queue: a packet with a receipt is told of when all of it is written") {
    bool spills = GENERATE(false, true);
    Bench bench;
    bench.borrow("plain ");
    bench.told("head ", 5, true);
    bench.body("body ");
    bench.told("alone ", 0);
    bench.borrow("more");
    std::vector<std::size_t> told_at;
    for (std::size_t written = 0; bench.queue.bytes() > 0; ++written) {
        if (spills) bench.spill();
        while (told_at.size() < bench.written.size()) told_at.push_back(written);
        REQUIRE(bench.write(1) == 1);
    }
    CHECK(told_at == std::vector<std::size_t>{16, 22});
    REQUIRE(bench.written.size() == 2);
    CHECK(bench.written[0].id == PacketId{5});
    CHECK(bench.written[0].message);
    CHECK(bench.written[0].first_byte == 'h');
    CHECK(bench.written[0].begun);
    CHECK(bench.written[1].id == PacketId{0});
    CHECK(bench.socket == "plain head body alone more");
    CHECK_FALSE(bench.queue.has_apart());
}

TEST_CASE("out queue: packets with a receipt are taken back, begun ones as such") {
    bool spills = GENERATE(false, true);
    auto timed = GENERATE(OutQueue::TimedToo::no, OutQueue::TimedToo::yes);
    std::size_t cut = GENERATE(1U, 5U, 8U);  // in the header, behind it, in the body
    Bench bench;
    bench.told("head ", 1, true);
    bench.body("body ");
    bench.told("two ", 2);
    bench.timed("three ", kNowMs + 10, 3);
    bench.told("zero ", 0);
    bench.borrow("plain");
    REQUIRE(bench.write(cut) == cut);
    if (spills) bench.spill();
    auto taken = bench.take_back(timed);
    bool all = timed == OutQueue::TimedToo::yes;
    REQUIRE(taken.size() == (all ? 4 : 3));
    CHECK(taken[0].id == PacketId{2});
    CHECK_FALSE(taken[0].begun);
    CHECK(taken[taken.size() - 2].id == PacketId{0});
    CHECK(taken.back().id == PacketId{1});
    CHECK(taken.back().begun);
    CHECK(taken.back().message);
    bench.write_all();
    CHECK(bench.socket == (all ? "head body plain" : "head body three plain"));
    CHECK(bench.written.empty());  // it was told that it may not have been
    CHECK_FALSE(bench.queue.has_apart());
}

TEST_CASE("out queue: memory of its own is written and freed") {
    Bench bench;
    auto own = [&](char fill, std::size_t size, OutQueue::Apart about) {
        auto block = std::make_unique<std::byte[]>(size);
        std::memset(block.get(), fill, size);
        bench.queue.append_owned(bench.pool, std::move(block), size, std::move(about));
    };
    own('a', 100'000, {});
    own('b', 70'000, {.message = message_until(kNowMs), .id = PacketId{3}, .timed = true});
    own('c', 80'000, {.message = message_until(kNowMs + 5), .id = PacketId{4}, .timed = true});
    bench.spill();
    bench.settle();
    CHECK(bench.dropped == std::vector<PacketId>{PacketId{3}});
    bench.write_all();
    CHECK(bench.socket == std::string(100'000, 'a') + std::string(80'000, 'c'));
}

TEST_CASE("out queue: agrees with a string under random use") {
    auto seed = test::seed_or(GENERATE(11, 12, 13));
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    Bench bench;
    struct Packet {
        std::string text;
        Deadline deadline;
        std::uint16_t id;
    };
    std::vector<Packet> model;  // unwritten packets, the first perhaps begun
    std::size_t begun = 0;      // bytes of the first that are written
    std::string expected;
    WallTime now = kNow;
    auto now_ms = [&] { return now.time_since_epoch().count(); };
    for (int step = 0; step < 30'000; ++step) {
        auto dice = random() % 10;
        if (dice < 5 && model.size() < 60) {
            std::string text(1 + random() % 40, static_cast<char>('a' + random() % 26));
            auto id = static_cast<std::uint16_t>(random() % 1000);
            if (random() % 3 == 0) {
                auto deadline = now_ms() + static_cast<Deadline>(random() % 40);
                bench.timed(text, deadline, id);
                model.push_back({text, deadline, id});
            } else if (random() % 4 == 0) {
                bench.body(text);
                model.push_back({text, kNever, 0});
            } else {
                bench.borrow(text);
                model.push_back({text, kNever, 0});
            }
        } else if (dice < 8) {
            bench.dropped.clear();
            bench.settle(now);
            std::vector<PacketId> dropped;
            for (std::size_t i = begun > 0 ? 1 : 0; i < model.size();) {
                if (model[i].deadline > now_ms()) {
                    ++i;
                    continue;
                }
                dropped.push_back(PacketId{model[i].id});
                model.erase(model.begin() + static_cast<std::ptrdiff_t>(i));
            }
            REQUIRE(bench.dropped == dropped);
            std::size_t size = bench.write(random() % 100, 1 + random() % 8);
            while (size > 0) {
                std::size_t part = std::min(size, model.front().text.size() - begun);
                expected += model.front().text.substr(begun, part);
                begun += part;
                size -= part;
                if (begun < model.front().text.size()) continue;
                model.erase(model.begin());
                begun = 0;
            }
            REQUIRE(bench.socket == expected);
            if (expected.size() > 100'000) {
                expected.clear();
                bench.socket.clear();
            }
        } else if (dice == 8) {
            bench.spill();
        } else {
            now += std::chrono::milliseconds{random() % 10};
        }
        std::uint64_t left = 0;
        for (auto const& packet : model) left += packet.text.size();
        REQUIRE(bench.queue.bytes() == left - begun);
    }
}
