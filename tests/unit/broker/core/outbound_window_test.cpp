#include "broker/core/outbound_window.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <vector>

#include "tests/support/script_packets.hpp"
#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;
using mqtt::PacketId;
using Answer = OutboundWindow::Answer;

namespace {

MessagePtr some_message() {
    static MessagePtr const message =
        Message::make(mqtt::Publish{.topic = "a", .payload = to_buffer("x")}, kNever);
    return message;
}

PacketId send(OutboundWindow& window, mqtt::Qos qos = test::qos1) {
    PacketId id = window.next_id();
    window.open(id, {.message = some_message(), .qos = qos});
    return id;
}

std::vector<std::uint16_t> values(std::vector<PacketId> const& ids) {
    std::vector<std::uint16_t> values;
    for (PacketId id : ids) values.push_back(id.value);
    return values;
}

/// Sends again all that is due; gives the ids in that order.
std::vector<std::uint16_t> send_all_again(OutboundWindow& window) {
    std::vector<std::uint16_t> ids;
    while (Outbound* again = window.next_unsent()) {
        ids.push_back(again->id.value);
        window.mark_sent(*again);
    }
    return ids;
}

}  // namespace

TEST_CASE("outbound window: ids rise from 1, never 0, and pass 65535",
          "[v3.1.1][MQTT-2.3.1-1][v5.0][MQTT-2.2.1-4]") {
    OutboundWindow window;
    for (unsigned i = 1; i <= 140'000; ++i) {
        PacketId id = send(window);
        REQUIRE(id.value == (i - 1) % 65'535 + 1);
        REQUIRE(window.on_puback(id) == Answer::settled);
    }
    CHECK(window.empty());
}

TEST_CASE("outbound window: an id in use is not given again, whatever else goes on",
          "[v3.1.1][MQTT-2.3.1-4][v5.0][MQTT-2.2.1-4]") {
    // Ids that stay open while the others go round several times.
    std::vector<std::vector<unsigned>> const held_ids{
        {1},           {1, 2}, {5, 100}, {1, 65'535}, {65'534, 65'535}, {30'000, 30'001, 60'000},
        {7, 8, 9, 300}};
    auto const& held = GENERATE_REF(from_range(held_ids));
    OutboundWindow window;
    for (unsigned i = 1; i <= 65'535; ++i) {
        PacketId id = send(window, test::qos2);
        if (std::ranges::find(held, i) != held.end()) continue;
        REQUIRE(window.on_pubrec(id, false) == Answer::released);
        REQUIRE(window.on_pubcomp(id) == Answer::settled);
    }
    for (unsigned i = 0; i < 200'000; ++i) {
        PacketId id = send(window);
        if (std::ranges::find(held, id.value) != held.end()) FAIL("id " << id.value << " again");
        REQUIRE(window.on_puback(id) == Answer::settled);
    }
    CHECK(window.open_count() == held.size());
}

TEST_CASE("outbound window: all 65535 ids may be open") {
    OutboundWindow window;
    std::set<std::uint16_t> seen;
    for (unsigned i = 0; i < 65'535; ++i) seen.insert(send(window).value);
    CHECK(seen.size() == 65'535);
    CHECK(seen.count(0) == 0);
    REQUIRE(window.on_puback(PacketId{777}) == Answer::settled);
    CHECK(send(window).value == 777);
}

TEST_CASE("outbound window: acknowledgements in any order settle just their own") {
    OutboundWindow window;
    for (int i = 0; i < 5; ++i) send(window);
    CHECK(window.on_puback(PacketId{4}) == Answer::settled);
    CHECK(window.on_puback(PacketId{4}) == Answer::unknown);
    CHECK(window.on_puback(PacketId{1}) == Answer::settled);
    CHECK(window.open_count() == 3);
    CHECK(window.on_puback(PacketId{6}) == Answer::unknown);
    CHECK(window.on_puback(PacketId{5}) == Answer::settled);
    CHECK(window.on_puback(PacketId{2}) == Answer::settled);
    CHECK(window.on_puback(PacketId{3}) == Answer::settled);
    CHECK(window.empty());
}

TEST_CASE("outbound window: an acknowledgement of the other kind is told apart") {
    OutboundWindow window;
    PacketId one = send(window, test::qos1);
    PacketId two = send(window, test::qos2);
    CHECK(window.on_pubrec(one, false) == Answer::wrong_exchange);
    CHECK(window.on_pubcomp(one) == Answer::wrong_exchange);
    CHECK(window.on_puback(two) == Answer::wrong_exchange);
    CHECK(window.on_pubcomp(two) == Answer::unknown);  // PUBREC did not come yet
    CHECK(window.on_pubrec(two, false) == Answer::released);
    CHECK(window.on_puback(two) == Answer::wrong_exchange);
    CHECK(window.on_pubrec(two, false) == Answer::released);  // asked again: PUBREL again
    CHECK(window.on_pubcomp(two) == Answer::settled);
    CHECK(window.open_count() == 1);
}

TEST_CASE("outbound window: PUBREC with an error settles the delivery", "[v5.0][MQTT-4.4.0-2]") {
    OutboundWindow window;
    PacketId id = send(window, test::qos2);
    CHECK(window.on_pubrec(id, true) == Answer::settled);
    CHECK(window.empty());
    window.begin_resume();
    CHECK(window.next_unsent() == nullptr);
    CHECK(window.releases().empty());
}

TEST_CASE("outbound window: resume sends again in the order of the first sends",
          "[v3.1.1][MQTT-4.6.0-1][v5.0][MQTT-4.6.0-1]") {
    OutboundWindow window;
    for (int i = 0; i < 10; ++i) send(window, i % 2 == 0 ? test::qos1 : test::qos2);  // 1, 3, 5...
    REQUIRE(window.on_puback(PacketId{3}) == Answer::settled);
    REQUIRE(window.on_puback(PacketId{1}) == Answer::settled);
    REQUIRE(window.on_pubrec(PacketId{6}, false) == Answer::released);
    window.begin_resume();
    CHECK(window.open_count() == 8);
    CHECK(window.unsent_count() == 7);
    CHECK(send_all_again(window) == std::vector<std::uint16_t>{2, 4, 5, 7, 8, 9, 10});
    CHECK(window.unsent_count() == 0);
    CHECK(send(window).value == 11);
}

TEST_CASE("outbound window: an acknowledgement may come before the resend",
          "[v5.0][MQTT-4.9.0-2]") {
    // The client answers what it had got before the connection broke.
    OutboundWindow window;
    for (int i = 0; i < 4; ++i) send(window, test::qos2);
    window.begin_resume();
    CHECK(window.on_pubrec(PacketId{2}, false) == Answer::released);
    CHECK(window.unsent_count() == 3);
    CHECK(window.on_pubcomp(PacketId{2}) == Answer::settled);
    CHECK(window.on_pubrec(PacketId{1}, true) == Answer::settled);
    CHECK(window.unsent_count() == 2);
    CHECK(send_all_again(window) == std::vector<std::uint16_t>{3, 4});
    CHECK(window.open_count() == 2);
}

TEST_CASE("outbound window: PUBREL in the order of the PUBRECs, and no PUBLISH after it",
          "[v3.1.1][MQTT-4.6.0-4][MQTT-4.3.3-1][v5.0][MQTT-4.6.0-4][MQTT-4.3.3-6]") {
    OutboundWindow window;
    for (int i = 0; i < 4; ++i) send(window, test::qos2);
    for (auto id : {PacketId{3}, PacketId{1}, PacketId{4}}) {
        REQUIRE(window.on_pubrec(id, false) == Answer::released);
    }
    window.begin_resume();
    CHECK(values(window.releases()) == std::vector<std::uint16_t>{3, 1, 4});
    CHECK(send_all_again(window) == std::vector<std::uint16_t>{2});
}

TEST_CASE("outbound window: resume drops what has no message, but not PUBREL") {
    OutboundWindow window;
    for (int i = 0; i < 3; ++i) {
        PacketId id = window.next_id();
        window.open(id, {.qos = test::qos2});
    }
    REQUIRE(window.on_pubrec(PacketId{2}, false) == Answer::released);
    window.begin_resume();
    CHECK(window.open_count() == 1);
    CHECK(values(window.releases()) == std::vector<std::uint16_t>{2});
    CHECK(window.next_unsent() == nullptr);
    CHECK(window.on_pubcomp(PacketId{2}) == Answer::settled);
    CHECK(window.empty());
}

TEST_CASE("outbound window: what was never written is forgotten and its id is free") {
    OutboundWindow window;
    PacketId id = send(window);
    window.forget(id);
    CHECK(window.empty());
    window.forget(id);
    CHECK(window.on_puback(id) == Answer::unknown);
}

TEST_CASE("outbound window: what was not written is marked until it is sent again") {
    OutboundWindow window;
    PacketId first = send(window);
    PacketId second = send(window);
    window.mark_unwritten(second);
    window.mark_unwritten(PacketId{99});
    window.begin_resume();
    Outbound* again = window.next_unsent();
    REQUIRE(again != nullptr);
    CHECK(again->id == first);
    CHECK_FALSE(again->unwritten);
    window.mark_sent(*again);
    again = window.next_unsent();
    REQUIRE(again != nullptr);
    CHECK(again->unwritten);
    window.mark_sent(*again);
    CHECK_FALSE(again->unwritten);
}

TEST_CASE("outbound window: agrees with a plain list under random use") {
    auto seed = test::seed_or(GENERATE(1, 2, 3, 4));
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    struct Open {
        std::uint16_t id;
        bool qos2;
        bool released;
        std::uint64_t release_order;
        bool sent;
    };
    OutboundWindow window;
    std::vector<Open> model;
    std::uint64_t releases = 0;
    std::size_t wanted_open = 1;
    for (int step = 0; step < 100'000; ++step) {
        if (step % 1000 == 0) wanted_open = 1 + random() % 200;
        auto dice = random() % 100;
        bool all_sent = std::ranges::all_of(model, [](auto& o) { return o.sent || o.released; });
        if (model.empty() || (all_sent && model.size() < wanted_open && dice < 60)) {
            bool qos2 = random() % 2 == 0;
            PacketId id = send(window, qos2 ? test::qos2 : test::qos1);
            REQUIRE(id.value != 0);
            REQUIRE(std::ranges::find(model, id.value, &Open::id) == model.end());
            model.push_back({id.value, qos2, false, 0, true});
        } else if (dice == 0 && random() % 20 == 0) {
            window.begin_resume();
            for (auto& open : model) open.sent = false;
            std::vector<Open> released;
            std::ranges::copy_if(model, std::back_inserter(released), &Open::released);
            std::ranges::sort(released, {}, &Open::release_order);
            std::vector<std::uint16_t> ids;
            for (auto const& open : released) ids.push_back(open.id);
            REQUIRE(values(window.releases()) == ids);
        } else if (!all_sent && dice < 60) {
            Outbound* again = window.next_unsent();
            auto next = std::ranges::find_if(model, [](auto& o) { return !o.sent && !o.released; });
            REQUIRE(again != nullptr);
            REQUIRE(again->id.value == next->id);
            window.mark_sent(*again);
            next->sent = true;
        } else {
            // One stays open for long, as a client does that never answers it.
            auto at = model.size() > 1 ? 1 + random() % (model.size() - 1) : 0;
            if (dice == 99) at = 0;
            Open& open = model[at];
            PacketId id{open.id};
            if (!open.qos2) {
                REQUIRE(window.on_puback(id) == Answer::settled);
                model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
            } else if (!open.released) {
                REQUIRE(window.on_pubrec(id, false) == Answer::released);
                open.released = true;
                open.release_order = releases++;
            } else {
                REQUIRE(window.on_pubcomp(id) == Answer::settled);
                model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
            }
        }
        REQUIRE(window.open_count() == model.size());
        auto unsent = std::ranges::count_if(model, [](auto& o) { return !o.sent && !o.released; });
        REQUIRE(window.unsent_count() == static_cast<std::uint32_t>(unsent));
    }
}
