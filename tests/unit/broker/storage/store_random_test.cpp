// Long random sequences of changes, made to both stores alike: after each restart they must have
// the same in them.

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.hpp"
#include "tests/unit/broker/storage/store_fixture.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

using namespace spoke;
using namespace spoke::broker;
using test::StoreFixture;
using test::StoreKind;

namespace {

constexpr std::size_t kShards = 3;

/// What a test has done to one store, under names that are the same for all stores.
class Player {
public:
    explicit Player(StoreKind kind) : store(kind) {}

    void add_session(std::string const& name, std::uint8_t shard) {
        sessions[name] = store.add_session(name, shard);
    }
    void put_session(std::string const& name, std::uint64_t variant, std::uint8_t shard) {
        auto session = test::sample_session(sessions.at(name), name);
        session.is_connected = variant % 2 == 0;
        session.expiry_interval = static_cast<std::uint32_t>(variant);
        if (variant % 3 == 0) session.will.reset();
        store.shard(shard).put_session(session);
    }
    void add_message(std::string const& name, std::vector<std::string> const& receivers,
                     std::uint8_t shard) {
        std::vector<SessionNumber> numbers;
        for (auto const& receiver : receivers) numbers.push_back(sessions.at(receiver));
        auto as = store.add_message(name, numbers, shard);
        for (std::size_t i = 0; i < as.size(); ++i) {
            deliveries[fmt::format("{}.{}", name, i)] = {numbers[i], as[i]};
        }
    }
    void progress(std::string const& name, std::uint64_t variant, std::uint8_t shard) {
        auto const& place = deliveries.at(name);
        StoredDelivery delivery;
        delivery.session = place.session;
        delivery.as = place.as;
        delivery.qos = variant % 2 == 0 ? mqtt::Qos::at_least_once : mqtt::Qos::exactly_once;
        StoredProgress progress{static_cast<OutboundState>(1 + variant % 3), variant, 0};
        store.shard(shard).put_progress(delivery, progress);
    }
    void remove(std::string const& name, std::uint8_t shard) {
        auto const& place = deliveries.at(name);
        store.shard(shard).remove_delivery(place.session, place.as, Removal::done);
    }
    [[nodiscard]] std::vector<std::string> read_all() {
        std::vector<std::string> lines;
        for (auto const& entry : deliveries) {
            auto const& place = entry.second;
            lines.push_back(entry.first + " " + store.read(place.session, {place.as}).at(0));
        }
        return lines;
    }

    StoreFixture store;
    std::map<std::string, SessionNumber> sessions{};
    struct Place {
        SessionNumber session{};
        StoredAs as{};
    };
    std::map<std::string, Place> deliveries{};
};

class Sequence {
public:
    explicit Sequence(std::uint64_t seed) : random_(seed) {}

    void step() {
        auto shard = static_cast<std::uint8_t>(below(kShards));
        switch (below(16)) {
            case 0:
                return both([&, name = fresh_name("s")](Player& p) { p.add_session(name, shard); });
            case 1:
                return with_session([&, variant = random_() % 1000](Player& p, auto const& name) {
                    p.put_session(name, variant, shard);
                });
            case 2:
                if (below(4) != 0) return;
                return with_session([&](Player& p, auto const& name) {
                    p.store.shard(shard).remove_session(p.sessions.at(name));
                });
            case 3:
                return with_session([&, filter = some_filter()](Player& p, auto const& name) {
                    p.store.shard(shard).remove_subscription(p.sessions.at(name), filter);
                });
            case 4:
            case 5:
                return with_session(
                    [&, filter = some_filter(), id = static_cast<std::uint32_t>(below(5))](
                        Player& p, auto const& name) {
                        p.store.shard(shard).put_subscription(p.sessions.at(name), filter, {id});
                    });
            case 6:
            case 7:
                return with_session([&, id = some_packet_id(), is_put = below(2) == 0](
                                        Player& p, auto const& name) {
                    auto& to = p.store.shard(shard);
                    if (is_put) {
                        to.put_inbound(p.sessions.at(name), id);
                    } else {
                        to.remove_inbound(p.sessions.at(name), id);
                    }
                });
            case 8:
            case 9:
            case 10:
                return add_message(shard);
            case 11:
                return with_delivery(
                    [&, variant = random_() % 100'000](Player& p, auto const& name) {
                        p.progress(name, variant, shard);
                    });
            case 12:
            case 13:
                return with_delivery([&](Player& p, auto const& name) { p.remove(name, shard); });
            case 14:
                return retain(shard);
            default:
                return both([&](Player& p) { p.store.shard(shard).submit(); });
        }
    }

    void compare() {
        for (std::uint8_t shard = 0; shard < kShards; ++shard) {
            both([&](Player& p) { p.store.commit(shard); });
        }
        REQUIRE(reference_.read_all() == rocksdb_.read_all());
        auto now = test::kNow + std::chrono::milliseconds{below(2000)};
        auto expected = reference_.store.reopen(now);
        auto loaded = rocksdb_.store.reopen(now);
        REQUIRE(loaded.lines == expected.lines);
        REQUIRE(reference_.read_all() == rocksdb_.read_all());
        lines_ += expected.lines.size();
    }

    /// So that a sequence which stores nothing is seen.
    [[nodiscard]] std::size_t lines() const noexcept { return lines_; }

private:
    std::size_t below(std::size_t end) { return random_() % end; }
    std::string fresh_name(std::string_view kind) { return fmt::format("{}{:04}", kind, ++names_); }
    std::string some_filter() { return fmt::format("f/{}", below(4)); }
    mqtt::PacketId some_packet_id() {
        return mqtt::PacketId{static_cast<std::uint16_t>(1 + below(4))};
    }

    template <class Do>
    void both(Do const& act) {
        act(reference_);
        act(rocksdb_);
    }
    template <class Do>
    void with_session(Do const& act) {
        if (reference_.sessions.empty()) return;
        auto name = std::next(reference_.sessions.begin(),
                              static_cast<std::ptrdiff_t>(below(reference_.sessions.size())))
                        ->first;
        both([&](Player& p) { act(p, name); });
    }
    template <class Do>
    void with_delivery(Do const& act) {
        if (reference_.deliveries.empty()) return;
        // The last ones more often than others: what came and went in one turn.
        auto size = reference_.deliveries.size();
        auto back = below(2) == 0 ? below(size) : below(std::min<std::size_t>(size, 4));
        auto name =
            std::prev(reference_.deliveries.end(), static_cast<std::ptrdiff_t>(back + 1))->first;
        both([&](Player& p) { act(p, name); });
    }
    void add_message(std::uint8_t shard) {
        if (reference_.sessions.empty()) return;
        std::vector<std::string> receivers;
        for (auto const& session : reference_.sessions) {
            if (below(reference_.sessions.size()) < 2) receivers.push_back(session.first);
        }
        if (receivers.empty()) return;
        auto name = fresh_name("m");
        both([&](Player& p) { p.add_message(name, receivers, shard); });
    }
    void retain(std::uint8_t shard) {
        auto topic = fmt::format("r/{}", below(6));
        auto deadline = below(2) == 0 ? kNever
                                      : test::kNow.time_since_epoch().count() +
                                            static_cast<std::int64_t>(below(2000));
        auto message =
            below(3) == 0 ? MessagePtr{} : test::sample_message(topic, fresh_name("p"), deadline);
        // What is written is what is found at that time, so both must be written before the next.
        both([&](Player& p) {
            p.store.set_retained(topic, message);
            p.store.shard(shard).put_retained(topic);
            p.store.commit(shard);
        });
    }

    std::mt19937_64 random_;
    std::size_t names_ = 0;
    std::size_t lines_ = 0;
    Player reference_{StoreKind::reference};
    Player rocksdb_{StoreKind::rocksdb};
};

}  // namespace

TEST_CASE("stores: keep the same after the same changes", "[store]") {
    auto seed = test::seed_or(4711);
    INFO("SPOKE_SEED=" << seed);
    Sequence sequence{seed};
    for (int round = 0; round < 8; ++round) {
        for (int step = 0; step < 400; ++step) sequence.step();
        sequence.compare();
    }
    CHECK(sequence.lines() > 500);
}
