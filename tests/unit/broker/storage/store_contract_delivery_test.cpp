// What every store must do with messages and deliveries.

#include <fmt/format.h>

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

Lines deliveries_in(test::Loaded const& loaded) {
    Lines lines;
    for (auto const& line : loaded.lines) {
        if (line.starts_with("delivery")) lines.push_back(line.substr(9));
    }
    return lines;
}

/// As the fixture writes what add_message() has stored.
std::string line_of(std::string const& session, std::string const& name, int index,
                    std::string const& progress = "") {
    auto message = test::sample_message(name, "payload of " + name);
    return fmt::format("{} {}.{}: size={} qos=1 retain=false deadline={} share=0 ids={} {}",
                       session, name, index, message->footprint(), kNever, progress,
                       test::to_line(message));
}

}  // namespace

TEST_CASE("store: a delivery comes back with every field", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto& shard = store.shard();
    StoredDelivery delivery;
    delivery.session = a;
    delivery.as = shard.reserve(1);
    store.name_delivery(delivery.as.number, "d");
    delivery.ids = SubscriptionIds{std::vector<std::uint32_t>{5, 1, 268'435'455}};
    delivery.share = ShareId{UINT64_MAX};
    delivery.deadline = 1'700'000'000'001;
    delivery.message_size = 123'456;
    delivery.qos = mqtt::Qos::exactly_once;
    delivery.retain = true;
    auto message = test::sample_message("x/y", "body", 1'700'000'000'001);
    shard.put_message(message, {&delivery, 1});
    store.commit();
    auto start = fmt::format(
        "a d: size=123456 qos=2 retain=true deadline=1700000000001 share={} "
        "ids=5,1,268435455,",
        UINT64_MAX);
    CHECK(deliveries_in(store.reopen()) == Lines{start + " " + test::to_line(message)});

    delivery.deadline = kNever;
    start = fmt::format(
        "a d: size=123456 qos=2 retain=true deadline={} share={} "
        "ids=5,1,268435455,",
        kNever, UINT64_MAX);
    store.shard().put_progress(delivery, {OutboundState::awaiting_pubrec, 65'536, 0});
    store.commit();
    CHECK(deliveries_in(store.reopen()) ==
          Lines{start + " state=2 send=65536 released=0 " + test::to_line(message)});

    // It may go on in the turn in which it came.
    store.shard().put_progress(delivery, {OutboundState::awaiting_pubrec, UINT64_MAX, 0});
    store.shard().put_progress(delivery, {OutboundState::awaiting_pubcomp, UINT64_MAX, UINT32_MAX});
    store.commit();
    CHECK(deliveries_in(store.reopen()) ==
          Lines{start + fmt::format(" state=3 send={} released={} ", UINT64_MAX, UINT32_MAX) +
                test::to_line(message)});

    store.shard().remove_delivery(a, delivery.as);
    store.commit();
    CHECK(deliveries_in(store.reopen()).empty());
}

TEST_CASE("store: a request for receipts comes back with delivery and message", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    StoredDelivery delivery;
    delivery.session = a;
    delivery.as = store.shard().reserve(1);
    delivery.message_size = 1;
    delivery.wants_receipt = true;
    store.name_delivery(delivery.as.number, "d");
    auto message = test::sample_told_message("m/x", "body");
    store.shard().put_message(message, {&delivery, 1});
    store.commit();
    auto start =
        fmt::format("a d: size=1 qos=1 retain=false deadline={} share=0 ids= receipt", kNever);
    CHECK(deliveries_in(store.reopen()) == Lines{start + " " + test::to_line(message)});
    store.shard().put_progress(delivery, {OutboundState::awaiting_puback, 1, 0});
    store.commit();
    CHECK(deliveries_in(store.reopen()) ==
          Lines{start + " state=1 send=1 released=0 " + test::to_line(message)});
}

TEST_CASE("store: a delivery that is sent in the turn it comes is stored with its progress",
          "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto as = store.add_message("m", {a}).at(0);
    StoredDelivery sent;
    sent.session = a;
    sent.as = as;
    sent.message_size =
        static_cast<std::uint32_t>(test::sample_message("m", "payload of m")->footprint());
    store.shard().put_progress(sent, {OutboundState::awaiting_puback, 1, 0});
    store.commit();
    CHECK(deliveries_in(store.reopen()) ==
          Lines{line_of("a", "m", 1, " state=1 send=1 released=0")});
}

TEST_CASE("store: a message of one receiver goes with its delivery", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto first = store.add_message("first", {a}).at(0);
    auto second = store.add_message("second", {a}).at(0);
    store.commit();
    if (GENERATE(false, true)) (void)store.reopen();
    store.shard().remove_delivery(a, first);
    store.commit();
    CHECK(store.read(a, {first, second}) ==
          Lines{"-", test::to_line(test::sample_message("second", "payload of second"))});
    CHECK(deliveries_in(store.reopen()) == Lines{line_of("a", "second", 1)});
}

TEST_CASE("store: a shared message goes with its last delivery", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto reopens = GENERATE(false, true);
    auto commits = GENERATE(false, true);
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    auto c = store.add_session("c");
    auto as = store.add_message("m", {a, b, c});
    auto body = test::to_line(test::sample_message("m", "payload of m"));
    auto next = [&] {
        if (commits) store.commit();
        if (commits && reopens) (void)store.reopen();
    };
    next();
    store.shard().remove_delivery(b, as[1]);
    next();
    store.shard().remove_delivery(b, as[1]);  // once more: counts once
    next();
    store.shard().remove_delivery(a, as[0]);
    next();
    store.commit();
    CHECK(store.read(c, {as[2]}) == Lines{body});
    CHECK(deliveries_in(store.reopen()) == Lines{line_of("c", "m", 3)});
    store.shard().remove_delivery(c, as[2]);
    store.commit();
    CHECK(store.read(c, {as[2]}) == Lines{"-"});
    CHECK(deliveries_in(store.reopen()).empty());
}

TEST_CASE("store: a message put twice is counted once", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto is_apart = GENERATE(false, true);
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    auto as = store.shard().reserve(2);
    std::vector<StoredDelivery> deliveries(2);
    deliveries[0].session = a;
    deliveries[0].as = as;
    deliveries[1].session = b;
    deliveries[1].as = following(as);
    auto message = test::sample_message("m", "x");
    for (int i = 0; i < 2; ++i) {
        store.shard().put_message(message, deliveries);
        if (is_apart) store.commit();
    }
    store.shard().remove_delivery(a, deliveries[0].as);
    store.commit();
    CHECK(store.read(b, {deliveries[1].as}) == Lines{test::to_line(message)});
    store.shard().remove_delivery(b, deliveries[1].as);
    store.commit();
    CHECK(store.read(b, {deliveries[1].as}) == Lines{"-"});
    CHECK(deliveries_in(store.reopen()).empty());
}

TEST_CASE("store: what comes and goes between two submits leaves nothing", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    auto own = store.add_message("own", {a}).at(0);
    auto shared = store.add_message("shared", {a, b});
    auto half = store.add_message("half", {a, b});
    store.shard().remove_delivery(a, own);
    store.shard().remove_delivery(b, shared[1]);
    store.shard().remove_delivery(a, shared[0]);
    store.shard().remove_delivery(a, half[0]);
    store.commit();
    CHECK(store.read(a, {own, shared[0]}) == Lines{"-", "-"});
    CHECK(deliveries_in(store.reopen()) == Lines{line_of("b", "half", 2)});
}

TEST_CASE("store: progress after the removal does not bring a delivery back", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto is_apart = GENERATE(false, true);
    auto a = store.add_session("a");
    auto as = store.add_message("m", {a}).at(0);
    if (is_apart) store.commit();
    store.shard().remove_delivery(a, as);
    if (is_apart) store.commit();
    StoredDelivery delivery;
    delivery.session = a;
    delivery.as = as;
    store.shard().put_progress(delivery, {OutboundState::awaiting_puback, 1, 0});
    store.commit();
    CHECK(deliveries_in(store.reopen()).empty());
}

TEST_CASE("store: messages are read in the order they were asked for", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto b = store.add_session("b");
    std::vector<StoredAs> asked;
    Lines expected;
    for (int i = 0; i < 3000; ++i) {
        auto name = fmt::format("m{}", i);
        auto receivers = i % 3 == 0   ? std::vector{a, b}
                         : i % 3 == 1 ? std::vector{b, a}
                                      : std::vector{a};
        auto as = store.add_message(name, receivers);
        asked.push_back(as[i % 3 == 1 ? 1 : 0]);
        expected.push_back(test::to_line(test::sample_message(name, "payload of " + name)));
    }
    auto never_there = store.shard().reserve(1);
    store.commit();
    if (GENERATE(false, true)) (void)store.reopen();
    CHECK(store.read(a, asked) == expected);

    // Backwards, with gaps and with one that is missing.
    std::vector<StoredAs> some;
    Lines some_expected;
    for (std::size_t i = asked.size(); i-- > 0;) {
        if (i % 7 == 3) continue;
        if (i == 1500) {
            some.push_back(never_there);
            some_expected.push_back("-");
        }
        some.push_back(asked[i]);
        some_expected.push_back(expected[i]);
    }
    CHECK(store.read(a, some) == some_expected);
    CHECK(store.read(a, {}).empty());
}

TEST_CASE("store: every shard gets the messages that it has asked for", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    auto as = store.add_message("m", {a});
    store.commit();
    SessionRef here{1, 1, 0};
    SessionRef there{2, 2, 1};
    store.shard(0).read(here, a, as);
    store.shard(1).read(there, a, as);
    store.shard(1).read(there, a, as);
    std::vector<LoadedMessage> first;
    std::vector<LoadedMessage> second;
    store.await([&] {
        store.shard(0).take_loaded(first);
        store.shard(1).take_loaded(second);
        return first.size() + second.size() == 3;
    });
    REQUIRE(first.size() == 1);
    REQUIRE(second.size() == 2);
    CHECK(first[0].session == here);
    CHECK(second[0].session == there);
    CHECK(second[1].session == there);
    CHECK(as_text(second[1].message->payload()) == "payload of m");
}

TEST_CASE("store: large messages come back whole", "[store]") {
    StoreFixture store{GENERATE(test::store_kinds())};
    auto a = store.add_session("a");
    std::string payload(3'000'000, '\0');
    for (std::size_t i = 0; i < payload.size(); ++i)
        payload[i] = static_cast<char>(i * 7 + i / 251);
    StoredDelivery delivery;
    delivery.session = a;
    delivery.as = store.shard().reserve(1);
    store.shard().put_message(test::sample_message("big", payload), {&delivery, 1});
    store.commit();
    auto expected = test::to_line(test::sample_message("big", payload));
    CHECK((store.read(a, {delivery.as}) == Lines{expected}));
    (void)store.reopen();
    CHECK((store.read(a, {delivery.as}) == Lines{expected}));
}
