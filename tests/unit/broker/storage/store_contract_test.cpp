// What every store must do (broker/core/ports/store.hpp), asked of each of them: sessions,
// subscriptions, inbound ids and retained messages; tickets; restarts.

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/broker/storage/store_fixture.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

using namespace spoke;
using namespace spoke::broker;
using test::StoreFixture;
using test::StoreKind;

namespace {

using Lines = std::vector<std::string>;

/// Lines that begin with `word`.
Lines of_kind(test::Loaded const& loaded, std::string_view word) {
    Lines lines;
    for (auto const& line : loaded.lines) {
        if (line.starts_with(word)) lines.push_back(line);
    }
    return lines;
}

}  // namespace

TEST_CASE("store: a session comes back with every field", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto number = store.shard().new_session_number();
    auto session = test::sample_session(number, "bike");
    store.shard().put_session(session);
    store.commit();
    CHECK(store.reopen().sessions == std::vector{session});

    session.is_connected = true;
    session.will.reset();
    session.will_at = kNever;
    session.expires_at = kNever;
    session.user_name.reset();
    session.expiry_interval = mqtt::kSessionNeverExpires;
    store.shard().put_session(session);
    store.commit();
    CHECK(store.reopen().sessions == std::vector{session});

    store.shard().remove_session(number);
    store.commit();
    CHECK(store.reopen().sessions.empty());
}

TEST_CASE("store: subscriptions come back with their options", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    auto& shard = store.shard();
    shard.put_subscription(a, "x/#", {0, mqtt::Qos::at_most_once, false, false});
    shard.put_subscription(a, "$share/g/x", {268'435'455, mqtt::Qos::exactly_once, false, true});
    shard.put_subscription(b, "x/#", {7, mqtt::Qos::at_least_once, true, false});
    store.commit();
    CHECK(of_kind(store.reopen(), "subscription") ==
          Lines{"subscription a $share/g/x: id=268435455 qos=2 no_local=false as_published=true",
                "subscription a x/#: id=0 qos=0 no_local=false as_published=false",
                "subscription b x/#: id=7 qos=1 no_local=true as_published=false"});

    store.shard().put_subscription(a, "x/#", {8, mqtt::Qos::exactly_once, false, false});
    store.shard().remove_subscription(b, "x/#");
    store.commit();
    CHECK(of_kind(store.reopen(), "subscription") ==
          Lines{"subscription a $share/g/x: id=268435455 qos=2 no_local=false as_published=true",
                "subscription a x/#: id=8 qos=2 no_local=false as_published=false"});
}

TEST_CASE("store: inbound ids come back until they are released", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    store.shard().put_inbound(a, mqtt::PacketId{65'535});
    store.shard().put_inbound(a, mqtt::PacketId{1});
    store.shard().put_inbound(b, mqtt::PacketId{1});
    store.commit();
    CHECK(of_kind(store.reopen(), "inbound") ==
          Lines{"inbound a 1", "inbound a 65535", "inbound b 1"});
    store.shard().remove_inbound(a, mqtt::PacketId{1});
    store.commit();
    CHECK(of_kind(store.reopen(), "inbound") == Lines{"inbound a 65535", "inbound b 1"});
}

TEST_CASE("store: of a retained message counts what is found when it is written", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    store.set_retained("a", test::sample_message("a", "first"));
    store.set_retained("b/c", test::sample_message("b/c", "kept", 1'800'000'000'000));
    store.shard().put_retained("a");
    store.shard().put_retained("b/c");
    store.shard().put_retained("never/there");
    store.set_retained("a", test::sample_message("a", "second"));
    store.commit();
    CHECK(of_kind(store.reopen(), "retained") ==
          Lines{"retained a:second qos=1 retain=true deadline=9223372036854775807 properties=6",
                "retained b/c:kept qos=1 retain=true deadline=1800000000000 properties=6"});

    store.set_retained("a", {});
    store.set_retained("b/c", test::sample_message("b/c", "not told of"));
    store.shard().put_retained("a");
    store.commit();
    CHECK(of_kind(store.reopen(), "retained") ==
          Lines{"retained b/c:kept qos=1 retain=true deadline=1800000000000 properties=6"});
}

TEST_CASE("store: what has expired is not retained any more, also for a clock set back",
          "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto deadline = test::kNow.time_since_epoch().count() + 1000;
    store.set_retained("a", test::sample_message("a", "x", deadline));
    store.set_retained("b", test::sample_message("b", "x"));
    store.shard().put_retained("a");
    store.shard().put_retained("b");
    store.commit();
    CHECK(of_kind(store.reopen(test::kNow + std::chrono::milliseconds{999}), "retained").size() ==
          2);
    CHECK(of_kind(store.reopen(test::kNow + std::chrono::milliseconds{1000}), "retained").size() ==
          1);
    CHECK(of_kind(store.reopen(), "retained").size() == 1);
}

TEST_CASE("store: what was not handed over is not kept", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    store.commit();
    store.shard().put_subscription(a, "x", {});
    CHECK(store.shard().durable() < store.shard().last_ticket());
    auto loaded = store.reopen();
    CHECK(loaded.sessions.size() == 1);
    CHECK(of_kind(loaded, "subscription").empty());
}

TEST_CASE("store: tickets rise with each submit and become durable in order", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto& shard = store.shard();
    auto before = shard.last_ticket();
    CHECK(shard.durable() == before);
    shard.submit();  // of nothing
    CHECK(shard.last_ticket() == before);

    auto number = shard.new_session_number();
    auto first = shard.put_session(test::sample_session(number, "a"));
    CHECK(first > before);
    CHECK(shard.put_subscription(number, "x", {}) == first);
    CHECK(shard.last_ticket() == first);
    CHECK(shard.durable() < first);
    shard.submit();
    CHECK(shard.last_ticket() == first);
    auto second = shard.put_subscription(number, "y", {});
    CHECK(second > first);
    shard.submit();
    store.await([&] { return shard.durable() >= first; });
    store.await([&] { return shard.durable() == second; });
    CHECK(shard.is_durable());
    CHECK(shard.health() == StoreHealth::good);
}

TEST_CASE("store: every kind of change has a ticket that becomes durable", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto& shard = store.shard();
    auto number = shard.new_session_number();
    auto as = shard.reserve(1);
    StoredDelivery delivery;
    delivery.session = number;
    delivery.as = as;
    std::vector<StoreTicket> tickets;
    auto made = [&](StoreTicket ticket) {
        CHECK(ticket == shard.last_ticket());
        CHECK((tickets.empty() || tickets.back() < ticket));
        tickets.push_back(ticket);
        store.commit();
        CHECK(shard.durable() == ticket);
    };
    made(shard.put_session(test::sample_session(number, "a")));
    made(shard.put_subscription(number, "x", {}));
    made(shard.put_inbound(number, mqtt::PacketId{1}));
    made(shard.put_message(test::sample_message("x", "1"), {&delivery, 1}));
    made(shard.put_progress(delivery, {OutboundState::awaiting_puback, 1, 0}));
    made(shard.remove_delivery(number, as));
    made(shard.put_retained("x"));
    made(shard.remove_inbound(number, mqtt::PacketId{1}));
    made(shard.remove_subscription(number, "x"));
    made(shard.remove_session(number));
    CHECK(store.reopen().lines.empty());
}

TEST_CASE("store: only the shard that has news is woken", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    store.add_session("a", 2);
    store.commit(2);
    CHECK(store.wakes(2) > 0);
    CHECK(store.wakes(0) == 0);
    CHECK(store.wakes(1) == 0);
}

TEST_CASE("store: changes of several shards take effect in the order of their submit", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a", 0);
    store.shard(0).submit();
    for (std::uint32_t round = 1; round <= 100; ++round) {
        auto index = static_cast<std::uint8_t>(round % 3);
        store.shard(index).put_subscription(a, "x", {round});
        store.shard(index).submit();
        if (round % 10 == 0) {
            store.shard(0).remove_subscription(a, "y");
            store.shard(1).put_subscription(a, "y", {round});
            store.shard(0).submit();
            store.shard(1).submit();
        }
    }
    for (std::uint8_t index = 0; index < 3; ++index) store.commit(index);
    CHECK(of_kind(store.reopen(), "subscription") ==
          Lines{"subscription a x: id=100 qos=0 no_local=false as_published=false",
                "subscription a y: id=100 qos=0 no_local=false as_published=false"});
}

TEST_CASE("store: each change may be made twice", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto& shard = store.shard();
    auto is_apart = GENERATE(false, true);
    auto a = store.add_session("a");
    auto twice = [&](auto change) {
        change();
        if (is_apart) store.commit();
        change();
        if (is_apart) store.commit();
    };
    twice([&] { shard.put_session(test::sample_session(a, "a")); });
    twice([&] { shard.put_subscription(a, "x", {3}); });
    twice([&] { shard.put_subscription(a, "y", {3}); });
    twice([&] { shard.remove_subscription(a, "y"); });
    twice([&] { shard.put_inbound(a, mqtt::PacketId{1}); });
    twice([&] { shard.put_inbound(a, mqtt::PacketId{2}); });
    twice([&] { shard.remove_inbound(a, mqtt::PacketId{2}); });
    store.set_retained("r", test::sample_message("r", "x"));
    twice([&] { shard.put_retained("r"); });
    store.commit();
    auto loaded = store.reopen();
    CHECK(loaded.sessions == std::vector{test::sample_session(a, "a")});
    CHECK(of_kind(loaded, "subscription").size() == 1);
    CHECK(of_kind(loaded, "inbound") == Lines{"inbound a 1"});
    CHECK(of_kind(loaded, "retained").size() == 1);
}

TEST_CASE("store: to remove what is not there has no effect", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    store.commit();
    auto before = store.reopen();
    auto& shard = store.shard();
    shard.remove_session(shard.new_session_number());
    shard.remove_subscription(a, "x");
    shard.remove_inbound(a, mqtt::PacketId{4});
    shard.remove_delivery(a, shard.reserve(1));
    shard.remove_delivery(a, shard.reserve(3));
    StoredDelivery delivery;
    delivery.session = a;
    delivery.as = shard.reserve(1);
    shard.put_progress(delivery, {OutboundState::awaiting_puback, 1, 0});
    shard.put_retained("nothing");
    store.commit();
    CHECK(store.reopen() == before);
}

TEST_CASE("store: what belongs to no session is dropped when the store is loaded", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    std::vector<SessionNumber> sessions;
    for (auto const* name : {"a", "b", "c", "d", "e"}) sessions.push_back(store.add_session(name));
    auto& shard = store.shard();
    std::vector<StoredAs> own;
    for (auto session : sessions) {
        shard.put_subscription(session, "x", {});
        shard.put_subscription(session, "y", {});
        shard.put_inbound(session, mqtt::PacketId{1});
        shard.put_inbound(session, mqtt::PacketId{2});
        own.push_back(store.add_message("own", {session}).at(0));
    }
    auto shared = store.add_message("shared", {sessions[0], sessions[1]});
    auto lost = store.add_message("lost", {sessions[0], sessions[2]});
    for (auto gone : {0, 2, 4}) shard.remove_session(sessions[static_cast<std::size_t>(gone)]);
    store.commit();

    auto loaded = store.reopen();
    auto lines = [&](std::string_view kind) { return of_kind(loaded, kind).size(); };
    CHECK(lines("session") == 2);
    CHECK(lines("subscription") == 4);
    CHECK(lines("inbound") == 4);
    CHECK(lines("delivery") == 3);
    // Their messages are gone too, but for those which others share.
    CHECK(store.read(sessions[0], {own[0], shared[0], lost[0]}) ==
          Lines{"-", store.read(sessions[1], {shared[1]}).at(0), "-"});
    CHECK(store.read(sessions[1], {shared[1]}).at(0).starts_with("shared:"));

    // They do not come back with a session: its number is never given again.
    store.shard().put_session(test::sample_session(sessions[0], "a"));
    store.commit();
    loaded = store.reopen();
    CHECK(lines("session") == 3);
    CHECK(lines("subscription") == 4);
    CHECK(lines("inbound") == 4);
    CHECK(lines("delivery") == 3);
}

TEST_CASE("store: numbers rise across restarts and are never given twice", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto seed = store.store().hash_seed();
    SessionNumber last_session{};
    DeliveryNumber last_number{};
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3; ++i) {
            auto& shard = store.shard(static_cast<std::uint8_t>(i));
            for (int j = 0; j < 500; ++j) {
                auto session = shard.new_session_number();
                CHECK(session > last_session);
                CHECK(session.value < std::uint64_t{1} << 40);
                last_session = session;
            }
            shard.put_session(test::sample_session(last_session, "a"));
            auto one = shard.reserve(1);
            CHECK(one.is_stored());
            CHECK(one.owns_message());
            CHECK(one.number > last_number);
            auto many = shard.reserve(1000);
            CHECK_FALSE(many.owns_message());
            // Where the message lies is no number that anything else has.
            CHECK(many.number.value - many.message_back > one.number.value);
            last_number = DeliveryNumber{many.number.value + 999};
            store.commit(static_cast<std::uint8_t>(i));
        }
        (void)store.reopen();
        CHECK(store.store().hash_seed() == seed);
    }
}

TEST_CASE("store: is loaded in order of sessions and numbers", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    std::vector<SessionNumber> sessions;
    for (int i = 0; i < 300; ++i) sessions.push_back(store.add_session(fmt::format("s{:03}", i)));
    for (int i = 0; i < 5; ++i) {
        for (std::size_t j = sessions.size(); j-- > 0;) {
            auto index = static_cast<std::uint8_t>(j % 2);
            store.add_message(fmt::format("m{}", i), {sessions[j], sessions[j / 2]}, index);
            store.shard(index).put_inbound(sessions[j],
                                           mqtt::PacketId{static_cast<std::uint16_t>(i + 1)});
        }
    }
    store.set_retained("r", test::sample_message("r", "x"));
    store.shard().put_retained("r");
    store.commit(0);
    store.commit(1);
    auto loaded = store.reopen();
    REQUIRE(loaded.lines.size() == 300 + 1500 + 3000 + 1);
    auto sessions_seen = of_kind(loaded, "session");
    CHECK(std::is_sorted(sessions_seen.begin(), sessions_seen.end()));
    CHECK(std::equal(sessions_seen.begin(), sessions_seen.end(), loaded.lines.begin()));
    auto inbound = of_kind(loaded, "inbound");
    CHECK(std::is_sorted(inbound.begin(), inbound.end()));
    Lines places;
    for (auto const& line : of_kind(loaded, "delivery")) places.push_back(line.substr(9, 7));
    CHECK(places.size() == 3000);
    CHECK(std::is_sorted(places.begin(), places.end()));
    CHECK(loaded.lines.back().starts_with("retained"));
}
