// A broker with threads of its own and a store behind it: what was acknowledged is there after a
// restart, whichever shards were part of it.
#include <array>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/kept_sessions.hpp"
#include "broker/storage/reference_store.hpp"
#include "broker/storage/rocksdb_store.hpp"
#include "protocol/codec/encode.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/broker/net/running_broker.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::Version;

namespace {

// ThreadSanitizer does not see the locks inside of Debian's RocksDB.
#ifdef __SANITIZE_THREAD__
constexpr auto kOnDisk = {0};
#else
constexpr auto kOnDisk = {0, 1};
#endif

/// Makes the same store again and again.
class Stores {
public:
    explicit Stores(bool on_disk) : on_disk_(on_disk) {}
    broker::Store& open() {
        if (!on_disk_) return reference_;
        rocksdb_.reset();
        broker::StoreSettings settings;
        settings.directory = folder_.path() / "store";
        rocksdb_ = std::make_unique<broker::RocksDbStore>(std::move(settings));
        return *rocksdb_;
    }

private:
    bool on_disk_;
    TempFolder folder_;
    broker::ReferenceStore reference_;
    std::unique_ptr<broker::RocksDbStore> rocksdb_;
};

std::unique_ptr<RunningBroker> started(broker::Store& store, std::uint8_t shards) {
    auto options = with_shards(shards);
    options.store = &store;
    options.core.queue_window = 16;
    return std::make_unique<RunningBroker>(options);
}

/// Takes publishes with all that belongs to them until `count` have come.
std::vector<std::string> take(SocketClient& client, std::size_t count) {
    std::vector<std::string> got;
    while (got.size() < count) {
        auto packet = client.takes_any();
        if (auto* publish = std::get_if<mqtt::Publish>(&packet)) {
            got.emplace_back(as_text(publish->payload));
            if (publish->qos == qos1) client.sends(puback(publish->id.value));
            if (publish->qos == qos2) client.sends(pubrec(publish->id.value));
        } else if (auto* release = std::get_if<mqtt::PubRel>(&packet)) {
            client.sends(pubcomp(release->id.value));
        }
    }
    return got;
}

}  // namespace

TEST_CASE("kept: publishers and subscribers on all shards, and a restart with another number") {
    constexpr int kPairs = 6;
    constexpr int kMessages = 200;
    auto on_disk = GENERATE(values(kOnDisk)) == 1;
    Stores stores{on_disk};
    auto broker = started(stores.open(), 3);
    for (int i = 0; i < kPairs; ++i) {
        auto name = std::to_string(i);
        auto sub = broker->connected(connect(Version::v5).resume().id("sub" + name));
        sub.sends(subscribe(1, "t/" + name, i % 2 == 0 ? qos1 : qos2).also("all", qos1));
        (void)sub.takes<mqtt::SubAck>();
    }
    std::vector<std::future<void>> work;
    for (int i = 0; i < kPairs; ++i) {
        work.push_back(std::async(std::launch::async, [&broker, i] {
            auto name = std::to_string(i);
            auto pub = broker->connected(connect(Version::v5).id("pub" + name));
            for (int n = 0; n < kMessages; ++n) {
                auto id = static_cast<std::uint16_t>(n + 1);
                pub.sends(publish("t/" + name, std::to_string(n), n % 2 == 0 ? qos1 : qos2, id));
            }
            for (int open = kMessages; open > 0;) {
                auto packet = pub.takes_any();
                if (auto* pubrec = std::get_if<mqtt::PubRec>(&packet)) {
                    pub.sends(pubrel(pubrec->id.value));
                } else {
                    --open;  // PUBACK or PUBCOMP
                }
            }
        }));
    }
    for (auto& one : work) one.get();
    {
        auto pub = broker->connected(connect(Version::v5).id("to all"));
        pub.sends(publish("all", "to all", qos1, 1).retain());
        (void)pub.takes<mqtt::PubAck>();
    }
    broker.reset();
    broker = started(stores.open(), 2);
    for (int i = 0; i < kPairs; ++i) {
        auto name = std::to_string(i);
        auto sub = broker->client();
        sub.sends(connect(Version::v5).resume().id("sub" + name));
        REQUIRE(sub.takes<mqtt::ConnAck>().session_present);
        auto got = take(sub, kMessages + 1);
        REQUIRE(got.size() == kMessages + 1);
        CHECK(std::erase(got, "to all") == 1);
        // In order at each QoS, which is that of even and of odd numbers.
        std::array<int, 2> last{-2, -1};
        for (auto const& text : got) {
            int number = std::stoi(text);
            int& before = last[static_cast<std::size_t>(number % 2)];
            REQUIRE(number == before + 2);
            before = number;
        }
    }
    auto late = broker->connected(connect(Version::v5).id("late"));
    late.sends(subscribe(1, "#", qos0));
    (void)late.takes<mqtt::SubAck>();
    CHECK(late.takes<mqtt::Publish>().topic == "all");
}

TEST_CASE("kept: what came behind the CONNECT of a new session is read once it is durable") {
    auto on_disk = GENERATE(values(kOnDisk)) == 1;
    Stores stores{on_disk};
    auto broker = started(stores.open(), 2);
    for (int i = 0; i < 20; ++i) {
        auto client = broker->client();
        Buffer bytes;
        mqtt::encode(connect(Version::v5).resume().id("c" + std::to_string(i)).packet(), bytes);
        mqtt::encode(subscribe(1, "t", qos1).packet(), Version::v5, bytes);
        mqtt::encode(publish("t", "x", qos1, 2).packet(), Version::v5, bytes);
        client.sends_bytes(bytes);
        (void)client.takes<mqtt::ConnAck>();
        bool suback = false;
        bool puback = false;
        bool message = false;
        while (!suback || !puback || !message) {
            auto packet = client.takes_any();
            suback = suback || std::holds_alternative<mqtt::SubAck>(packet);
            puback = puback || std::holds_alternative<mqtt::PubAck>(packet);
            message = message || std::holds_alternative<mqtt::Publish>(packet);
        }
        client.sends(disconnect());
    }
}

TEST_CASE("kept: a reader on another thread sees a session's number while it comes and goes") {
    broker::KeptSessions kept;
    broker::SessionRef const session{7, 3, 0};
    CHECK(kept.find(session).number.value == 0);
    auto writer = std::async(std::launch::async, [&] {
        for (std::uint64_t i = 1; i <= 100'000; ++i) {
            kept.put(session, broker::SessionNumber{i}, i % 2 == 0);
            if (i % 7 == 0) kept.erase(session);
        }
    });
    std::uint64_t last = 0;
    while (last < 100'000) {
        auto entry = kept.find(session);
        if (entry.number.value == 0) continue;
        REQUIRE(entry.number.value >= last);
        REQUIRE(entry.queue_full == (entry.number.value % 2 == 0));
        last = entry.number.value;
    }
    writer.get();
    CHECK(kept.find({7, 4, 0}).number.value == 0);  // another generation
    CHECK(kept.find({8, 3, 0}).number.value == 0);
    broker::SessionRef const far{1U << 20, 1, 0};
    kept.put(far, broker::SessionNumber{(std::uint64_t{1} << 40) - 1}, true);
    CHECK(kept.find(far).number.value == (std::uint64_t{1} << 40) - 1);
    CHECK(kept.find(far).queue_full);
}
