// Delivery receipts over sockets, from every shard.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/broker/core/receipt_bench.hpp"
#include "tests/unit/broker/net/running_broker.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::Version;

namespace {

std::int64_t now_us() {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

constexpr int kMessages = 50;

/// Takes and answers "1", "2", ... up to kMessages; gives how many came in order.
int take_in_order(SocketClient& client) {
    int next = 1;
    int to_release = 0;
    while (next <= kMessages || to_release > 0) {
        auto packet = client.takes_any();
        if (auto* pubrel = std::get_if<mqtt::PubRel>(&packet)) {
            client.sends(pubcomp(pubrel->id.value));
            --to_release;
            continue;
        }
        auto const& got = std::get<mqtt::Publish>(packet);
        if (as_text(got.payload) != std::to_string(next)) break;
        ++next;
        if (got.qos == qos1) client.sends(puback(got.id.value));
        if (got.qos != qos2) continue;
        client.sends(pubrec(got.id.value));
        ++to_release;
    }
    return next - 1;
}

BrokerOptions with_receipts(std::uint8_t shards) {
    auto options = with_shards(shards);
    options.core.receipts.clients = {"bridge"};
    return options;
}

}  // namespace

TEST_CASE("shards: receipts come from the receivers' shards, in order, with the time of day") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos0, qos1, qos2);
    constexpr int kShards = 3;
    RunningBroker broker{with_receipts(kShards)};
    std::map<std::string, SocketClient> receivers;
    for (int shard = 0; shard < kShards; ++shard) {
        auto id = broker.id_on_shard(shard, "b");
        auto client = broker.connected(connect(version).id(id));
        client.sends(subscribe(1, "t", qos2)).gets(suback(1));
        receivers.emplace(id, std::move(client));
    }
    auto bridge = broker.connected(connect(Version::v5).id("bridge"));
    bridge.sends(subscribe(1, "r")).gets(suback(1));
    auto began = now_us();
    for (int i = 1; i <= kMessages; ++i) {
        auto id = static_cast<std::uint16_t>(i);
        bridge.sends(ReceiptBench::asking(std::to_string(i), qos, id));
    }
    for (auto& [id, client] : receivers) CHECK(take_in_order(client) == kMessages);
    // By receiver and message.
    std::map<std::pair<std::string, std::string>, Steps> told;
    std::size_t const expected = kShards * kMessages * (qos == qos0 ? 1U : 2U);
    for (std::size_t count = 0; count < expected;) {
        auto packet = bridge.takes_any();
        if (auto* pubrec = std::get_if<mqtt::PubRec>(&packet)) {
            bridge.sends(pubrel(pubrec->id.value));
        }
        auto* receipt = std::get_if<mqtt::Publish>(&packet);
        if (receipt == nullptr) continue;
        ++count;
        auto json = as_text(receipt->payload);
        auto at = std::stoll(field(json, "at_us"));
        CHECK(at >= began - 1'000'000);
        CHECK(at <= now_us());
        auto correlation = std::string{as_text(receipt->properties.correlation_data.value())};
        auto step = in_short(*receipt);
        told[{step.substr(step.find(' ') + 1), correlation}].push_back(
            step.substr(0, step.find(' ')));
    }
    CHECK(told.size() == kShards * kMessages);
    auto steps = qos == qos0 ? Steps{"sent"} : Steps{"sent", "acked"};
    for (auto const& [key, got] : told) CHECK(got == steps);
    std::set<std::string> clients;
    for (auto const& [key, got] : told) clients.insert(key.first);
    CHECK(clients.size() == kShards);
}

TEST_CASE("shards: a receiver whose connection is reset leaves no step untold") {
    RunningBroker broker{with_receipts(2)};
    auto bridge = broker.connected(connect(Version::v5).id("bridge"));
    bridge.sends(subscribe(1, "r")).gets(suback(1));
    for (int round = 0; round < 20; ++round) {
        auto id = broker.id_on_shard(round % 2, "b");
        auto client = broker.connected(connect(Version::v5).id(id));
        client.sends(subscribe(1, "t", qos1)).gets(suback(1));
        // Racing with the message: it is told to be sent, or not; and then what became of it.
        bridge.sends(ReceiptBench::asking("x", qos1, 1));
        if (round % 4 > 1) (void)client.takes<mqtt::Publish>();
        client.close();
        Steps steps;
        bool had_receiver = true;
        while (had_receiver && (steps.empty() || !steps.back().starts_with("dropped"))) {
            auto packet = bridge.takes_any();
            if (auto* answer = std::get_if<mqtt::PubAck>(&packet)) {
                had_receiver = answer->reason != mqtt::ReasonCode::no_matching_subscribers;
            } else {
                steps.push_back(in_short(std::get<mqtt::Publish>(packet)));
            }
        }
        bool was_sent = !steps.empty() && steps.front().starts_with("sent");
        CHECK(steps.size() == (had_receiver ? (was_sent ? 2U : 1U) : 0U));
        if (was_sent) CHECK(steps.back().ends_with("sent=true"));
    }
}
