#include "tests/support/random_packet.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/seed.hpp"

namespace spoke::mqtt {

TEST_CASE("Random packets: what is encoded decodes to the same value") {
    auto version = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    auto sender = GENERATE(Sender::client, Sender::server);
    auto seed = test::seed_or(4);
    INFO("SPOKE_SEED=" << seed);
    CAPTURE(static_cast<int>(version), static_cast<int>(sender));
    std::mt19937_64 random{seed};
    std::set<std::size_t> kinds;
    for (auto round = 0; round < 1000; ++round) {
        auto packet = test::random_packet(random, version, sender);
        kinds.insert(packet.index());
        Buffer frame;
        encode(packet, version, frame);
        auto result = decode(frame, version, sender);
        if (!result || !(*result == packet)) {
            FAIL("round " << round << ", kind " << packet.index() << ": "
                          << test::describe(result));
        }
    }
    CHECK(kinds.size() >= (version == Version::v5 ? 10 : 8));
}

TEST_CASE("Random packets: a stream in random chunks falls into the same packets") {
    auto seed = test::seed_or(5);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    std::vector<Packet> sent;
    Buffer stream;
    for (auto round = 0; round < 300; ++round) {
        sent.push_back(test::random_packet(random, Version::v5, Sender::client));
        encode(sent.back(), Version::v5, stream);
    }
    std::vector<Packet> received;
    Buffer pending;
    for (std::size_t at = 0; at < stream.size();) {
        auto size = std::min<std::size_t>(stream.size() - at, 1 + random() % 3000);
        pending.insert(pending.end(), stream.begin() + static_cast<long>(at),
                       stream.begin() + static_cast<long>(at + size));
        at += size;
        for (;;) {
            auto header = read_fixed_header(pending, 0xFFFF'FFFF);
            REQUIRE(header);
            if (!*header || (*header)->packet_size() > pending.size()) break;
            auto packet_size = (*header)->packet_size();
            auto packet = decode(Bytes{pending}.first(packet_size), Version::v5, Sender::client);
            REQUIRE(test::describe(packet) == "good");
            received.push_back(*packet);
            pending.erase(pending.begin(), pending.begin() + static_cast<long>(packet_size));
        }
    }
    CHECK(pending.empty());
    CHECK(received == sent);
}

}  // namespace spoke::mqtt
