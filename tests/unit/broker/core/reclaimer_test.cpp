#include "broker/core/reclaimer.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace spoke::broker {
namespace {

/// Something to retire that tells when it is freed.
struct Thing {
    int* freed;
    static void free(void* thing) {
        auto* it = static_cast<Thing*>(thing);
        ++*it->freed;
        delete it;
    }
};

struct Fixture {
    int freed = 0;
    Reclaimer reclaimer{3};

    void retire() { reclaimer.retire(new Thing{&freed}, Thing::free); }
    int collected() {
        reclaimer.collect();
        return freed;
    }
};

}  // namespace

TEST_CASE("reclaimer: frees at once when no reader is online") {
    Fixture f;
    f.retire();
    CHECK(f.freed == 0);  // not by retire() itself
    CHECK(f.collected() == 1);
}

TEST_CASE("reclaimer: waits for every reader that was online") {
    Fixture f;
    f.reclaimer.online(0);
    f.reclaimer.online(1);
    f.retire();
    CHECK(f.collected() == 0);
    f.reclaimer.quiescent(0);
    CHECK(f.collected() == 0);
    SECTION("until it is quiescent") {
        f.reclaimer.quiescent(1);
    }
    SECTION("or offline") {
        f.reclaimer.offline(1);
    }
    CHECK(f.collected() == 1);
    f.reclaimer.offline(0);
    f.reclaimer.offline(1);
}

TEST_CASE("reclaimer: does not wait for a reader that comes online later") {
    Fixture f;
    f.retire();
    f.reclaimer.collect();
    CHECK(f.freed == 1);
    f.reclaimer.online(0);
    f.retire();
    f.reclaimer.collect();
    f.reclaimer.online(1);
    f.reclaimer.quiescent(0);
    CHECK(f.collected() == 2);
    f.reclaimer.offline(0);
    f.reclaimer.offline(1);
}

TEST_CASE("reclaimer: an announcement from before a retirement does not count for it") {
    Fixture f;
    f.reclaimer.online(0);
    f.reclaimer.quiescent(0);
    f.retire();
    f.reclaimer.collect();
    CHECK(f.collected() == 0);
    f.reclaimer.quiescent(0);
    f.retire();  // a second batch, which the announcement came too early for
    CHECK(f.collected() == 1);
    f.reclaimer.quiescent(0);
    CHECK(f.collected() == 2);
    f.reclaimer.offline(0);
}

TEST_CASE("reclaimer: retiring is enough for what was retired long ago to be freed") {
    Fixture f;
    f.reclaimer.online(0);
    for (int i = 0; i < 1000; ++i) {
        f.retire();
        f.reclaimer.quiescent(0);
    }
    CHECK(f.freed > 800);
    f.reclaimer.offline(0);
}

TEST_CASE("reclaimer: what it still holds is freed with it") {
    int freed = 0;
    {
        Reclaimer reclaimer{1};
        reclaimer.online(0);
        for (int i = 0; i < 100; ++i) reclaimer.retire(new Thing{&freed}, Thing::free);
        reclaimer.offline(0);
    }
    CHECK(freed == 100);
}

TEST_CASE("reclaimer: what is freed may retire in turn") {
    struct Chain {
        Reclaimer* reclaimer;
        int* freed;
        int left;
        static void free(void* object) {
            std::unique_ptr<Chain> it{static_cast<Chain*>(object)};
            ++*it->freed;
            if (it->left > 0) {
                it->reclaimer->retire(new Chain{it->reclaimer, it->freed, it->left - 1}, free);
            }
        }
    };
    int freed = 0;
    Reclaimer reclaimer{1};
    reclaimer.retire(new Chain{&reclaimer, &freed, 3}, Chain::free);
    for (int i = 0; i < 4; ++i) reclaimer.collect();
    CHECK(freed == 4);
}

TEST_CASE("reclaimer: no reader ever meets what has been freed") {
    struct Value {
        std::atomic<int> alive{1};
        ~Value() { alive.store(0, std::memory_order_relaxed); }
        static void free(void* value) { delete static_cast<Value*>(value); }
    };
    constexpr std::size_t kReaders = 3;
    Reclaimer reclaimer{kReaders};
    std::atomic<Value*> shared{new Value};
    std::atomic<bool> stop{false};
    std::atomic<int> dead{0};
    std::atomic<std::size_t> running{0};
    std::vector<std::thread> readers;
    for (std::size_t reader = 0; reader < kReaders; ++reader) {
        readers.emplace_back([&, reader] {
            reclaimer.online(reader);
            ++running;
            for (unsigned turn = 0; !stop.load(std::memory_order_relaxed); ++turn) {
                auto* value = shared.load(std::memory_order_acquire);
                for (int i = 0; i < 10; ++i)
                    dead += value->alive.load(std::memory_order_relaxed) != 1;
                if (turn % 3 == 0) {
                    reclaimer.offline(reader);
                    reclaimer.online(reader);
                } else {
                    reclaimer.quiescent(reader);
                }
            }
            reclaimer.offline(reader);
        });
    }
    while (running < kReaders) std::this_thread::yield();
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 2; ++writer) {
        writers.emplace_back([&] {
            for (int i = 0; i < 20'000; ++i) {
                reclaimer.retire(shared.exchange(new Value, std::memory_order_acq_rel),
                                 Value::free);
            }
        });
    }
    for (auto& writer : writers) writer.join();
    stop = true;
    for (auto& reader : readers) reader.join();
    CHECK(dead == 0);
    delete shared.load();
}

}  // namespace spoke::broker
