// What RocksDbStore does beyond what every store must: which changes cost a write or a sync, its
// limit, and what it does when the disk fails.

#include "broker/storage/rocksdb_store.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/broker/storage/faulty_disk.hpp"
#include "tests/unit/broker/storage/store_fixture.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

using namespace spoke;
using namespace spoke::broker;
using test::StoreFixture;

namespace {

using Lines = std::vector<std::string>;

StoredDelivery delivery_of(SessionNumber session, StoredAs as, mqtt::Qos qos) {
    StoredDelivery delivery;
    delivery.session = session;
    delivery.as = as;
    delivery.qos = qos;
    return delivery;
}

/// Lines of the log; a store writes them from several threads.
class Log {
public:
    [[nodiscard]] StoreLog sink() {
        return [this](LogLevel level, std::string const& line) {
            std::lock_guard lock{mutex_};
            if (level >= LogLevel::info) lines_.push_back(line);
        };
    }
    [[nodiscard]] Lines lines() const {
        std::lock_guard lock{mutex_};
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    Lines lines_{};
};

}  // namespace

TEST_CASE("RocksDbStore: a message that is done before its batch is cut costs no write",
          "[store]") {
    StoreFixture store{StoreSettings{}};
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    store.commit();
    auto before = store.rocksdb().statistics();
    auto shared = store.add_message("m", {a, b});
    auto own = store.add_message("n", {a}).at(0);
    store.shard().put_progress(delivery_of(a, own, mqtt::Qos::at_least_once),
                               {OutboundState::awaiting_puback, 1, 0});
    store.shard().remove_delivery(a, own, Removal::done);
    store.shard().remove_delivery(a, shared[0], Removal::done);
    store.shard().remove_delivery(b, shared[1], Removal::done);
    store.commit();
    auto after = store.rocksdb().statistics();
    CHECK(after.writes == before.writes);
    CHECK(after.syncs == before.syncs);
    CHECK(after.cancelled == before.cancelled + 3);
    CHECK(after.messages == 0);
    CHECK(after.message_bytes == 0);
}

TEST_CASE("RocksDbStore: only what somebody may wait for is synced", "[store]") {
    StoreFixture store{StoreSettings{}};
    auto a = store.add_session("a");
    store.commit();
    auto one = store.add_message("m", {a}).at(0);
    auto two = store.add_message("n", {a}).at(0);
    store.commit();
    auto& shard = store.shard();
    auto syncs = [&](auto change) {
        auto before = store.rocksdb().statistics();
        change();
        store.commit();
        auto after = store.rocksdb().statistics();
        CHECK(after.writes == before.writes + 1);
        return after.syncs - before.syncs;
    };
    CHECK(syncs([&] {
              shard.put_progress(delivery_of(a, one, mqtt::Qos::at_least_once),
                                 {OutboundState::awaiting_puback, 1, 0});
          }) == 0);
    CHECK(syncs([&] {
              shard.put_progress(delivery_of(a, two, mqtt::Qos::exactly_once),
                                 {OutboundState::awaiting_pubrec, 2, 0});
          }) == 1);
    CHECK(syncs([&] { shard.remove_delivery(a, one, Removal::done); }) == 0);
    CHECK(syncs([&] { shard.remove_delivery(a, two, Removal::done); }) == 0);
    CHECK(syncs([&] { shard.put_inbound(a, mqtt::PacketId{1}); }) == 1);
    CHECK(syncs([&] { shard.remove_inbound(a, mqtt::PacketId{1}); }) == 1);
    CHECK(syncs([&] { shard.put_subscription(a, "x", {}); }) == 1);
    CHECK(syncs([&] { shard.remove_subscription(a, "x"); }) == 1);
    CHECK(syncs([&] { shard.put_retained("x"); }) == 1);
    CHECK(syncs([&] { shard.remove_session(a); }) == 1);
}

TEST_CASE(
    "RocksDbStore: changes that nobody waits for are written with the next that somebody does",
    "[store]") {
    StoreFixture store{StoreSettings{.idle_write_delay = std::chrono::hours{1}}};
    auto a = store.add_session("a");
    auto as = store.add_message("m", {a}).at(0);
    store.commit();
    auto before = store.rocksdb().statistics();
    store.shard(0).remove_delivery(a, as, Removal::done);
    store.shard(0).submit();
    store.shard(1).put_subscription(a, "x", {});
    store.commit(1);
    store.await([&] { return store.shard(0).durable() == store.shard(0).last_ticket(); });
    CHECK(store.rocksdb().statistics().writes == before.writes + 1);
    CHECK(store.rocksdb().statistics().deliveries == 0);

    // And when the store is stopped.
    as = store.add_message("n", {a}).at(0);
    store.commit();
    store.shard().remove_delivery(a, as, Removal::done);
    store.shard().submit();
    auto loaded = store.reopen();
    CHECK(std::none_of(loaded.lines.begin(), loaded.lines.end(),
                       [](auto const& line) { return line.starts_with("delivery"); }));
}

TEST_CASE("RocksDbStore: does not sync what it is not to", "[store]") {
    SECTION("never") {
        StoreFixture store{StoreSettings{.sync = SyncMode::never}};
        auto a = store.add_session("a");
        store.add_message("m", {a});
        store.commit();
        CHECK(store.rocksdb().statistics().writes == 1);
        CHECK(store.rocksdb().statistics().syncs == 0);
        CHECK(store.reopen().lines.size() == 2);
    }
    SECTION("now and then") {
        StoreFixture store{
            StoreSettings{.sync = SyncMode::interval, .sync_interval = std::chrono::hours{1}}};
        auto a = store.add_session("a");
        store.commit();
        store.add_message("m", {a});
        store.commit();
        CHECK(store.rocksdb().statistics().writes == 2);
        CHECK(store.rocksdb().statistics().syncs == 0);
        CHECK(store.reopen().lines.size() == 2);
    }
    SECTION("and then") {
        StoreFixture store{StoreSettings{.sync = SyncMode::interval,
                                         .sync_interval = std::chrono::milliseconds{1}}};
        store.add_session("a");
        store.commit();
        // The sync comes by itself, and while the interval lasts nobody is told of it: each commit
        // here asks again.
        while (store.rocksdb().statistics().syncs == 0) {
            store.shard().put_retained("x");
            store.commit();
        }
        CHECK(store.reopen().lines.size() == 1);
    }
}

TEST_CASE("RocksDbStore: is over its limit while messages weigh more than they may", "[store]") {
    auto weight = test::sample_message("m0", "payload of m0")->footprint();
    StoreFixture store{StoreSettings{.bytes_max = weight * 32}};
    auto a = store.add_session("a");
    std::vector<StoredAs> all;
    for (int i = 0; i < 32; ++i)
        all.push_back(store.add_message(fmt::format("m{}", i % 10), {a})[0]);
    store.commit();
    CHECK(store.shard().health() == StoreHealth::good);
    CHECK(store.rocksdb().statistics().message_bytes == weight * 32);
    (void)store.shard(3);
    all.push_back(store.add_message("mx", {a})[0]);
    store.commit();
    store.await([&] { return store.wakes(3) == 1; });
    CHECK(store.shard().health() == StoreHealth::over_limit);

    // What is there already counts after a restart too.
    (void)store.reopen();
    CHECK(store.shard().health() == StoreHealth::over_limit);
    auto remove = [&] {
        store.shard().remove_delivery(a, all.back(), Removal::done);
        all.pop_back();
        store.commit();
    };
    remove();
    remove();
    CHECK(store.shard().health() == StoreHealth::over_limit);
    remove();
    CHECK(store.rocksdb().statistics().message_bytes == weight * 30);
    store.await([&] { return store.shard().health() == StoreHealth::good; });
}

TEST_CASE("RocksDbStore: gives the space of what was removed back", "[store]") {
    StoreFixture store{StoreSettings{}};
    auto size = [&] {
        std::uintmax_t bytes = 0;
        std::error_code gone;  // while it is looked at
        for (auto at = std::filesystem::recursive_directory_iterator{store.directory()};
             auto const& entry : at) {
            if (entry.path().extension() != ".sst") continue;
            auto more = entry.file_size(gone);
            if (!gone) bytes += more;
        }
        return bytes;
    };
    auto a = store.add_session("a");
    auto message = test::sample_message("m", std::string(100, 'x'));
    constexpr std::size_t kCount = 20'000;
    std::vector<StoredAs> all;
    for (std::size_t i = 0; i < kCount; ++i) {
        auto delivery = delivery_of(a, store.shard().reserve(1), mqtt::Qos::at_least_once);
        store.shard().put_message(message, {&delivery, 1});
        all.push_back(delivery.as);
    }
    store.commit();
    store.restart();  // so that it lies in a table
    CHECK(size() > kCount * 100);
    for (auto as : all) store.shard().remove_delivery(a, as, Removal::done);
    store.commit();
    store.restart();
    // RocksDB does it at its leisure, and waits for nobody.
    for (int i = 0; i < 10'000 && size() > kCount * 10; ++i) {
        store.shard().put_retained("x");
        store.commit();
    }
    CHECK(size() <= kCount * 10);
}

TEST_CASE("RocksDbStore: goes on where it was when the disk takes writes again", "[store]") {
    auto fault = GENERATE("write ENOSPC", "write EIO", "sync EIO", "write,name EROFS");
    INFO(fault);
    test::FaultyDisk disk;
    Log log;
    StoreFixture store{
        StoreSettings{.reopen_interval = std::chrono::milliseconds{5}, .log = log.sink()}};
    auto a = store.add_session("a");
    auto first = store.add_message("first", {a})[0];
    store.commit();
    auto lines_before = log.lines().size();

    disk.fail(fault);
    auto second = store.add_message("second", {a})[0];
    store.shard().submit();
    auto durable = store.shard().durable();
    auto health =
        std::string_view{fault}.ends_with("ENOSPC") ? StoreHealth::full : StoreHealth::failed;
    store.await([&] { return store.shard().health() == health; });
    // More comes, from another shard too.
    auto third = store.add_message("third", {a}, 1)[0];
    store.shard(1).submit();
    store.shard().remove_delivery(a, first, Removal::done);
    store.shard().put_subscription(a, "x", {});
    store.shard().submit();
    CHECK(store.shard().durable() == durable);

    disk.fail("");
    store.await([&] {
        return store.shard(0).durable() == store.shard(0).last_ticket() &&
               store.shard(1).durable() == store.shard(1).last_ticket();
    });
    CHECK(store.shard().health() == StoreHealth::good);
    auto body = [](std::string const& name) {
        return test::to_line(test::sample_message(name, "payload of " + name));
    };
    auto expected = Lines{"-", body("second"), body("third")};
    CHECK(store.read(a, {first, second, third}) == expected);
    auto lines = log.lines();
    lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(lines_before));
    REQUIRE(lines.size() >= 2);
    CHECK(lines.front().find("nothing is acknowledged") != std::string::npos);
    CHECK(lines.back().find("can be written again") != std::string::npos);
    auto loaded = store.reopen();
    CHECK(loaded.lines.size() == 4);
    CHECK(store.read(a, {first, second, third}) == expected);
}

TEST_CASE("RocksDbStore: a sync that fails on its own is seen too", "[store]") {
    test::FaultyDisk disk;
    StoreFixture store{StoreSettings{.sync = SyncMode::interval,
                                     .sync_interval = std::chrono::milliseconds{1},
                                     .reopen_interval = std::chrono::milliseconds{5}}};
    auto a = store.add_session("a");
    store.commit();
    disk.fail("sync EIO");
    store.add_message("m", {a});
    store.commit();  // is written, and to be synced later
    store.await([&] { return store.shard().health() == StoreHealth::failed; });
    disk.fail("");
    store.await([&] { return store.shard().health() == StoreHealth::good; });
    store.add_message("n", {a});
    store.commit();
    CHECK(store.reopen().lines.size() == 3);
}

TEST_CASE("RocksDbStore: can be stopped while the disk fails", "[store]") {
    test::FaultyDisk disk;
    Log log;
    StoreFixture store{StoreSettings{.reopen_interval = std::chrono::hours{1}, .log = log.sink()}};
    auto a = store.add_session("a");
    store.add_message("first", {a});
    store.commit();
    disk.fail("write,sync EIO");
    store.add_message("second", {a});
    store.shard().submit();
    store.await([&] { return store.shard().health() == StoreHealth::failed; });
    auto durable = store.shard().durable();
    store.store().stop();
    CHECK(store.shard().durable() == durable);
    CHECK(log.lines().back().find("is not written") != std::string::npos);
    disk.fail("");
    // What was acknowledged is there; the rest may be.
    auto lines = store.reopen().lines;
    REQUIRE(lines.size() >= 2);
    CHECK(lines[1].find("first") != std::string::npos);
}

TEST_CASE("RocksDbStore: reads wait for a disk that cannot be read", "[store]") {
    test::FaultyDisk disk;
    Log log;
    StoreFixture store{StoreSettings{.block_cache_bytes = 1,
                                     .reopen_interval = std::chrono::milliseconds{5},
                                     .log = log.sink()}};
    auto a = store.add_session("a");
    std::vector<StoredAs> all;
    for (int i = 0; i < 2000; ++i) all.push_back(store.add_message("m", {a})[0]);
    store.commit();
    (void)store.reopen();  // so that they lie in tables
    disk.fail_reads(true);
    store.shard().read({1, 1, 0}, a, {all.data(), 1});
    auto const& rocksdb = store.rocksdb();
    while (rocksdb.statistics().read_errors == 0) {
        std::vector<LoadedMessage> none;
        store.shard().take_loaded(none);
        REQUIRE(none.empty());
        std::this_thread::yield();
    }
    disk.fail_reads(false);
    std::vector<LoadedMessage> answers;
    store.await([&] {
        store.shard().take_loaded(answers);
        return !answers.empty();
    });
    REQUIRE(answers.size() == 1);
    CHECK(test::is_same(answers[0].message, test::sample_message("m", "payload of m")));
}

TEST_CASE("RocksDbStore: reads wait for what another shard has handed over", "[store]") {
    auto receivers = GENERATE(1U, 2U);  // of the message: its own, or shared
    test::FaultyDisk disk;
    StoreFixture store{StoreSettings{.reopen_interval = std::chrono::milliseconds{5}}};
    std::vector<SessionNumber> sessions{store.add_session("a"), store.add_session("b")};
    sessions.resize(receivers);
    store.commit();
    disk.fail("write EIO");
    auto as = store.add_message("m", sessions, 1)[0];
    store.shard(1).submit();
    store.await([&] { return store.shard().health() == StoreHealth::failed; });
    store.shard().read({1, 1, 0}, sessions[0], {&as, 1});
    disk.fail("");
    std::vector<LoadedMessage> answers;
    store.await([&] {
        store.shard().take_loaded(answers);
        return !answers.empty();
    });
    REQUIRE(answers.size() == 1);
    CHECK(test::is_same(answers[0].message, test::sample_message("m", "payload of m")));
}

TEST_CASE("RocksDbStore: shards may do all of it at once", "[store]") {
    StoreFixture store{StoreSettings{
        .block_cache_bytes = 1,
    }};
    constexpr std::uint8_t kShards = 3;
    constexpr int kRounds = 300;
    std::vector<SessionNumber> sessions;
    for (std::uint8_t shard = 0; shard < kShards; ++shard) {
        sessions.push_back(store.add_session(fmt::format("s{}", shard), shard));
        store.commit(shard);
    }
    std::vector<std::vector<StoredAs>> kept(kShards);
    std::vector<std::thread> threads;
    for (std::uint8_t index = 0; index < kShards; ++index) {
        threads.emplace_back([&, index] {
            auto& shard = store.shard(index);
            auto session = sessions[index];
            auto other = sessions[(index + 1U) % kShards];
            auto message = test::sample_message(fmt::format("t{}", index), "x");
            std::vector<LoadedMessage> loaded;
            for (int round = 0; round < kRounds; ++round) {
                auto as = shard.reserve(2);
                std::array<StoredDelivery, 2> both;
                both[0] = delivery_of(session, as, mqtt::Qos::at_least_once);
                both[1] = delivery_of(other, following(as), mqtt::Qos::at_least_once);
                shard.put_message(message, both);
                shard.submit();
                if (round % 3 == 0) {
                    kept[index].push_back(following(as));
                } else {
                    shard.remove_delivery(other, following(as), Removal::done);
                }
                shard.remove_delivery(session, as, Removal::done);
                if (!kept[index].empty()) shard.read({1, 1, index}, other, {&kept[index][0], 1});
                shard.take_loaded(loaded);
                (void)shard.health();
                shard.submit();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (std::uint8_t shard = 0; shard < kShards; ++shard) store.commit(shard);
    CHECK(store.rocksdb().statistics().deliveries == kShards * kRounds / 3);
    for (std::uint8_t index = 0; index < kShards; ++index) {
        std::vector<LoadedMessage> rest;
        store.await([&] {
            store.shard(index).read({9, 9, index}, sessions[(index + 1U) % kShards],
                                    {&kept[index].back(), 1});
            store.shard(index).take_loaded(rest);
            return !rest.empty() && rest.back().session.slot == 9;
        });
        CHECK(test::to_line(rest.back().message).starts_with(fmt::format("t{}:x", index)));
    }
    CHECK(store.reopen().lines.size() == kShards + kShards * kRounds / 3);
}
