#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/storage/records.hpp"
#include "broker/storage/rocksdb_store.hpp"
#include "broker/storage/store_directory.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/storage/known_store.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

namespace spoke::test {
namespace {

using namespace broker;
using Catch::Matchers::Contains;

constexpr std::uint64_t kSessions = 8;
constexpr std::uint64_t kMessages = 50;  // of each

struct Found final : StoreVisitor {
    std::vector<std::string> clients{};
    std::vector<StoredDelivery> deliveries{};

    void on_session(StoredSession session) override { clients.push_back(session.client_id); }
    void on_subscription(SessionNumber, std::string_view, StoredSubscription const&) override {}
    void on_inbound(SessionNumber, mqtt::PacketId) override {}
    void on_delivery(StoredDelivery delivery, std::optional<StoredProgress>) override {
        deliveries.push_back(std::move(delivery));
    }
    void on_retained(MessagePtr) override {}
};

/// A store that runs; the test is its only shard.
class RunningStore {
public:
    explicit RunningStore(std::string const& directory, std::size_t memtable_bytes = 24U << 20)
        : store_(settings_of(directory, memtable_bytes)) {
        store_.load(found, WallTime{});
        store_.start({.wake =
                          [this](std::uint8_t) {
                              std::lock_guard lock{mutex_};
                              has_news_ = true;
                              news_.notify_all();
                          },
                      .find_retained = [](std::string_view) { return MessagePtr{}; }});
    }
    ~RunningStore() { store_.stop(); }

    [[nodiscard]] ShardStore& shard() { return store_.of_shard(0); }
    [[nodiscard]] std::uint64_t hash_seed() const { return store_.hash_seed(); }

    void commit() {
        shard().submit();
        await([&] { return shard().durable() == shard().last_ticket(); });
    }
    /// The payload of each; "-" where there is none.
    std::vector<std::string> read(std::vector<StoredDelivery> const& deliveries) {
        for (auto const& delivery : deliveries)
            shard().read({}, delivery.session, std::span{&delivery.as, 1});
        std::vector<LoadedMessage> loaded;
        await([&] {
            shard().take_loaded(loaded);
            return loaded.size() == deliveries.size();
        });
        std::vector<std::string> payloads;
        for (auto const& answer : loaded)
            payloads.emplace_back(answer.message ? as_text(answer.message->payload()) : "-");
        return payloads;
    }

    [[nodiscard]] bool has_logged(std::string_view text) {
        return lines.from(LogLevel::trace).find(text) != std::string::npos;
    }

    StoreLines lines{};
    Found found{};

private:
    StoreSettings settings_of(std::string const& directory, std::size_t memtable_bytes) {
        auto settings = settings_for(directory, lines);
        settings.memtable_bytes = memtable_bytes;
        settings.reopen_interval = std::chrono::milliseconds{10};
        return settings;
    }

    template <class Holds>
    void await(Holds const& holds) {
        std::unique_lock lock{mutex_};
        while (!holds()) {
            REQUIRE(news_.wait_for(lock, std::chrono::seconds{60}, [&] { return has_news_; }));
            has_news_ = false;
        }
    }

    std::mutex mutex_{};
    std::condition_variable news_{};
    bool has_news_ = false;
    RocksDbStore store_;
};

std::string payload_of(std::uint64_t session, std::uint64_t message) {
    return fmt::format("message {} of session {}, {:>80}", message, session, "long enough");
}

/// Puts messages for sessions into tables.
void make_store(std::string const& directory) {
    {
        RunningStore running{directory};
        for (std::uint64_t session = 1; session <= kSessions; ++session) {
            StoredSession stored;
            stored.number = running.shard().new_session_number();
            stored.client_id = fmt::format("client {}", session);
            stored.expiry_interval = 60;
            running.shard().put_session(stored);
            for (std::uint64_t i = 0; i < kMessages; ++i) {
                StoredDelivery delivery;
                delivery.session = stored.number;
                delivery.as = running.shard().reserve(1);
                running.shard().put_message(sample_message("t", payload_of(session, i)),
                                            std::span{&delivery, 1});
            }
        }
        running.commit();
    }
    RunningStore{directory}.commit();  // opening moves what is in the log into a table
}

/// Flips a bit of the one place in the tables where `text` stands.
void damage(std::string const& directory, std::string_view text) {
    int places = 0;
    for (auto [name, bytes] : files_below(directory)) {
        auto const at = bytes.find(text);
        if (!name.ends_with(".sst") || at == std::string::npos) continue;
        ++places;
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
        std::ofstream{directory + "/" + name, std::ios::binary} << bytes;
    }
    REQUIRE(places == 1);
}

TEST_CASE("Damaged store: a message that is damaged is lost, those beside it are read",
          "[recovery]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store(directory);
    damage(directory, payload_of(3, 20));
    for (auto const* time : {"first", "second"}) {
        INFO(time);
        RunningStore running{directory};
        REQUIRE(running.found.deliveries.size() == kSessions * kMessages);
        auto const payloads = running.read(running.found.deliveries);
        INFO(running.lines.from(LogLevel::info));
        for (std::uint64_t i = 0; i < payloads.size(); ++i) {
            auto const session = i / kMessages + 1;
            auto const is_lost = session == 3 && i % kMessages == 20;
            REQUIRE(payloads[i] == (is_lost ? "-" : payload_of(session, i % kMessages)));
        }
        auto const is_first = time == std::string{"first"};
        CHECK(is_first ==
              (running.lines.from(LogLevel::warning).find("made anew") != std::string::npos));
        // It goes on as before.
        running.shard().put_inbound(running.found.deliveries[0].session, mqtt::PacketId{1});
        running.commit();
    }
}

TEST_CASE("Damaged store: what is met while it is loaded does not keep the rest from loading",
          "[recovery]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store(directory);
    damage(directory, "client 5");
    {
        RunningStore running{directory};
        CHECK(running.found.clients.size() == kSessions - 1);
        CHECK(std::count(running.found.clients.begin(), running.found.clients.end(), "client 5") ==
              0);
        // Those of a session that nobody knows any more are nobody's.
        CHECK(running.found.deliveries.size() == (kSessions - 1) * kMessages);
        CHECK_THAT(running.lines.from(LogLevel::info),
                   Contains("store opened: 7 sessions, 0 subscriptions, 350 deliveries, 0 retained "
                            "messages, 1 records quarantined, in "));
    }
    RunningStore again{directory};
    CHECK(again.lines.from(LogLevel::warning).empty());
    CHECK_THAT(again.lines.from(LogLevel::info), Contains("7 sessions, 0 subscriptions, 350"));
}

TEST_CASE("Damaged store: what a compaction meets does not keep it from writing", "[recovery]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store(directory);
    damage(directory, payload_of(3, 20));
    RunningStore running{directory, 1U << 20};
    auto const session = running.found.deliveries[0].session;
    // Each some tables more, which are soon put together with the damaged one.
    for (int i = 0; i < 1'000 && !running.has_logged("made anew with"); ++i) {
        std::string const payload(20'000, static_cast<char>('a' + i % 26));
        StoredDelivery delivery;
        delivery.session = session;
        delivery.as = running.shard().reserve(1);
        running.shard().put_message(sample_message("t", payload), std::span{&delivery, 1});
        running.commit();
        running.found.deliveries.push_back(std::move(delivery));
    }
    REQUIRE(running.has_logged("made anew with"));
    auto const payloads = running.read(running.found.deliveries);
    CHECK(std::count(payloads.begin(), payloads.end(), "-") == 1);
}

TEST_CASE("Damaged store: a meta record that is damaged while it runs is written again",
          "[recovery]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store(directory);
    std::uint64_t seed = 0;
    {
        RunningStore running{directory};
        seed = running.hash_seed();
        std::string value;
        encode_meta(meta_key(MetaField::hash_seed), seed, value);
        damage(directory, value);
        damage(directory, payload_of(3, 20));
        static_cast<void>(running.read(running.found.deliveries));
        REQUIRE(running.has_logged("made anew with"));
    }
    CHECK(RunningStore{directory}.hash_seed() == seed);
}

TEST_CASE("Damaged store: of two sessions of one client the later one counts", "[recovery]") {
    TempFolder folder;
    auto const directory = folder / "store";
    make_store(directory);
    {
        StoreLines lines;
        StoreDirectory opened{settings_for(directory, lines)};
        std::string value;
        for (auto const& [number, client_id] :
             {std::pair{100, "client 2"}, {101, "client 7"}, {102, "client 2"}}) {
            auto const session = SessionNumber{static_cast<std::uint64_t>(number)};
            encode_session(session_key(session), {.number = session, .client_id = client_id},
                           value);
            REQUIRE(opened.get()->Put({}, session_key(session), value).ok());
        }
    }
    RunningStore running{directory};
    std::vector<std::string> const clients{"client 1", "client 3", "client 4", "client 5",
                                           "client 6", "client 8", "client 7", "client 2"};
    CHECK(running.found.clients == clients);
    CHECK(running.found.deliveries.size() == (kSessions - 2) * kMessages);
    CHECK_THAT(running.lines.from(LogLevel::info), Contains("3 records quarantined"));
}

}  // namespace
}  // namespace spoke::test
