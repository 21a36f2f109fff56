#include "broker/core/packet_writer.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "broker/core/counters.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/publish_view.hpp"
#include "tests/support/script_packets.hpp"

using namespace spoke;
using namespace spoke::broker;
using mqtt::PacketId;
using mqtt::Version;
using test::qos0;
using test::qos1;
using test::qos2;

namespace {

constexpr WallTime kNow{std::chrono::milliseconds{1'700'000'000'000}};
constexpr Deadline kNowMs = 1'700'000'000'000;

/// A writer whose links are drained into byte strings.
struct Bench final : ShardPort {
    SegmentPool pool{};
    PacketWriter writer{*this, pool, 64 * 1024};
    std::vector<std::unique_ptr<Link>> links{};
    std::vector<Buffer> written{};
    int flushes = 0;

    ~Bench() override {
        for (auto& link : links) link->out.clear(pool);
    }
    Link& add(Version version) {
        links.push_back(std::make_unique<Link>());
        written.emplace_back();
        links.back()->version = version;
        return *links.back();
    }
    [[nodiscard]] Authenticator::Done when_authenticated(AuthTicket) override { return {}; }
    void flush_touched() override {
        ++flushes;
        for (std::size_t i = 0; i < links.size(); ++i) {
            std::array<iovec, 16> pieces;
            while (std::size_t count = links[i]->out.gather(pieces)) {
                std::size_t size = 0;
                for (std::size_t p = 0; p < count; ++p) {
                    auto const* from = static_cast<std::byte const*>(pieces[p].iov_base);
                    written[i].insert(written[i].end(), from, from + pieces[p].iov_len);
                    size += pieces[p].iov_len;
                }
                links[i]->out.consume(pool, size);
            }
        }
    }
    [[nodiscard]] bool logs(LogLevel) const override { return false; }
    void log(LogLevel, std::string const&) override {}
    [[nodiscard]] std::string peer_of(Link const&) const override { return {}; }

    /// What the link `index` got since the last call.
    Buffer taken(std::size_t index = 0) {
        flush_touched();
        return std::exchange(written[index], {});
    }
};

Buffer encoded(mqtt::Publish const& packet, Version version) {
    Buffer bytes;
    mqtt::encode(packet, version, bytes);
    return bytes;
}

SubscriptionIds ids_of(std::vector<std::uint32_t> const& ids) {
    return SubscriptionIds{std::span<std::uint32_t const>{ids}};
}

/// A PUBLISH as it came from a client, ready to be handed out.
struct Incoming {
    Buffer frame;
    mqtt::PublishView view;

    Incoming(mqtt::Publish const& packet, Version version)
        : frame(encoded(packet, version)),
          view(mqtt::decode_publish(frame, version, mqtt::Sender::client).value()) {}
    Publication publication(Version version, bool reuse, Deadline deadline = kNever) {
        return Publication{view, view.topic, deadline, version == Version::v5,
                           reuse ? std::span<std::byte>{frame} : std::span<std::byte>{}};
    }
};

mqtt::MessageProperties rich_properties() {
    mqtt::MessageProperties properties;
    properties.payload_format_indicator = 1;
    properties.content_type = "text/plain";
    properties.response_topic = "re/ply";
    properties.correlation_data = to_buffer(std::string_view{"\x00\xFF", 2});
    properties.user_properties = {{"b", "1"}, {"a", ""}, {"b", "1"}};
    return properties;
}

}  // namespace

TEST_CASE("packet writer: the frame that came in and a new encoding give the same bytes",
          "[v3.1.1][MQTT-3.3.1-3][v5.0][MQTT-3.3.1-3]") {
    auto from = GENERATE(Version::v3_1_1, Version::v5);
    auto to = GENERATE(Version::v3_1_1, Version::v5);
    auto published = GENERATE(qos0, qos1, qos2);
    auto granted = GENERATE(qos0, qos1, qos2);
    bool retain_in = GENERATE(false, true);
    bool retain_out = GENERATE(false, true);
    bool rich = GENERATE(false, true);
    if (granted > published || (retain_out && !retain_in)) return;

    mqtt::Publish packet{.topic = "bikes/7/cmd", .payload = to_buffer("unlock")};
    packet.qos = published;
    packet.retain = retain_in;
    if (published != qos0) {
        packet.id = PacketId{0x1234};
        packet.dup = true;
    }
    if (rich && from == Version::v5) packet.properties = rich_properties();

    for (auto const& identifiers : std::vector<std::vector<std::uint32_t>>{{}, {5}, {1, 300, 1}}) {
        mqtt::Publish expected = packet;
        expected.qos = granted;
        expected.retain = retain_out;
        expected.dup = false;
        expected.id = granted == qos0 ? PacketId{} : PacketId{0x0102};
        expected.subscription_identifiers = identifiers;
        if (to == Version::v3_1_1) expected.properties = {};
        PacketWriter::PublishShape shape{.qos = granted, .retain = retain_out, .id = expected.id};

        for (bool reuse : {false, true}) {
            Bench bench;
            Incoming incoming{packet, from};
            auto publication = incoming.publication(from, reuse);
            // Several receivers of one kind: the first may get the frame, the others must not be
            // disturbed by it.
            for (std::uint16_t i = 0; i < 3; ++i) {
                Link& link = bench.add(to);
                if (granted != qos0) {
                    shape.id = PacketId{static_cast<std::uint16_t>(0x0102 + i)};
                }
                REQUIRE(bench.writer.write_publish(link, publication, shape, ids_of(identifiers),
                                                   kNow) == PacketWriter::Written::written);
            }
            for (std::uint16_t i = 0; i < 3; ++i) {
                if (granted != qos0) {
                    expected.id = PacketId{static_cast<std::uint16_t>(0x0102 + i)};
                }
                REQUIRE(bench.taken(i) == encoded(expected, to));
            }
        }
    }
}

TEST_CASE("packet writer: receivers of different kinds of one publication do not mix") {
    auto from = GENERATE(Version::v3_1_1, Version::v5);
    mqtt::Publish packet{.topic = "a",
                         .payload = to_buffer("payload"),
                         .qos = qos2,
                         .retain = true,
                         .id = PacketId{9}};
    if (from == Version::v5) packet.properties = rich_properties();
    Bench bench;
    Incoming incoming{packet, from};
    auto publication = incoming.publication(from, true);
    struct Kind {
        Version version;
        mqtt::Qos qos;
        bool retain;
        std::uint16_t id;
    };
    std::vector<Kind> kinds;
    std::uint16_t id = 100;
    for (int round = 0; round < 2; ++round) {
        for (auto version : {Version::v5, Version::v3_1_1}) {
            for (auto qos : {qos2, qos0, qos1}) {
                for (bool retain : {false, true}) {
                    kinds.push_back({version, qos, retain, qos == qos0 ? std::uint16_t{0} : ++id});
                }
            }
        }
    }
    for (auto const& kind : kinds) {
        REQUIRE(bench.writer.write_publish(
                    bench.add(kind.version), publication,
                    {.qos = kind.qos, .retain = kind.retain, .id = PacketId{kind.id}}, {},
                    kNow) == PacketWriter::Written::written);
    }
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        mqtt::Publish expected = packet;
        expected.qos = kinds[i].qos;
        expected.retain = kinds[i].retain;
        expected.id = PacketId{kinds[i].id};
        REQUIRE(bench.taken(i) == encoded(expected, kinds[i].version));
    }
    // And what was made of it for later is what was published.
    CHECK(publication.share()->topic() == "a");
    CHECK(as_text(publication.share()->payload()) == "payload");
}

TEST_CASE("packet writer: a resend has DUP") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Bench bench;
    mqtt::Publish packet{.topic = "a", .payload = to_buffer("x"), .qos = qos1, .id = PacketId{3}};
    Publication publication{Message::make(packet, kNever)};
    bench.writer.write_publish(bench.add(version), publication,
                               {.qos = qos1, .dup = true, .id = PacketId{3}}, {}, kNow);
    packet.dup = true;
    CHECK(bench.taken() == encoded(packet, version));
}

TEST_CASE("packet writer: message expiry goes to MQTT 5 as what is left", "[v5.0][MQTT-3.3.2-6]") {
    auto waited = GENERATE(0, 1, 999, 1000, 2500, 9999);
    Bench bench;
    mqtt::Publish packet{.topic = "a", .payload = to_buffer("x")};
    packet.properties.message_expiry_interval = 10;
    Incoming incoming{packet, Version::v5};
    auto publication = incoming.publication(Version::v5, true, kNowMs + 10'000);
    auto now = kNow + std::chrono::milliseconds{waited};
    bench.writer.write_publish(bench.add(Version::v5), publication, {}, {}, now);
    bench.writer.write_publish(bench.add(Version::v3_1_1), publication, {}, {}, now);
    packet.properties.message_expiry_interval = 10 - waited / 1000;
    CHECK(bench.taken(0) == encoded(packet, Version::v5));
    CHECK(bench.taken(1) == encoded(packet, Version::v3_1_1));
}

TEST_CASE("packet writer: a packet as large as the client takes is written, one byte more is not",
          "[v5.0][MQTT-3.1.2-24]") {
    bool reuse = GENERATE(false, true);
    auto qos = GENERATE(qos0, qos1);
    auto payload_size = GENERATE(0U, 1U, 100U, 8'191U, 8'192U, 40'000U, 200'000U);
    auto identifiers = GENERATE(std::vector<std::uint32_t>{}, std::vector<std::uint32_t>{7, 400});
    mqtt::Publish packet{
        .topic = "some/topic", .payload = Buffer(payload_size, std::byte{'p'}), .qos = qos};
    if (qos == qos1) packet.id = PacketId{77};
    mqtt::Publish expected = packet;
    expected.subscription_identifiers = identifiers;
    auto size = static_cast<std::uint32_t>(encoded(expected, Version::v5).size());
    for (std::uint32_t maximum : {size - 1, size, size + 1}) {
        Bench bench;
        Incoming incoming{packet, Version::v5};
        auto publication = incoming.publication(Version::v5, reuse);
        Link& link = bench.add(Version::v5);
        link.maximum_packet_size = maximum;
        Link& unbounded = bench.add(Version::v5);
        PacketWriter::PublishShape shape{.qos = qos, .id = packet.id};
        auto written =
            bench.writer.write_publish(link, publication, shape, ids_of(identifiers), kNow);
        bench.writer.write_publish(unbounded, publication, shape, ids_of(identifiers), kNow);
        if (maximum < size) {
            CHECK(written == PacketWriter::Written::too_large);
            CHECK(link.out.empty());
        } else {
            CHECK(written == PacketWriter::Written::written);
            CHECK(bench.taken(0) == encoded(expected, Version::v5));
        }
        CHECK(bench.taken(1) == encoded(expected, Version::v5));
    }
}

TEST_CASE("packet writer: a client with a limit does not keep others from the shared encoding") {
    Bench bench;
    mqtt::Publish packet{.topic = "a", .payload = Buffer(100, std::byte{'p'})};
    Publication publication{Message::make(packet, kNever)};
    bench.writer.write_publish(bench.add(Version::v5), publication, {}, {}, kNow);
    Link& small = bench.add(Version::v5);
    small.maximum_packet_size = 50;
    CHECK(bench.writer.write_publish(small, publication, {}, {}, kNow) ==
          PacketWriter::Written::too_large);
    bench.writer.write_publish(bench.add(Version::v5), publication, {}, {}, kNow);
    CHECK(bench.taken(0) == encoded(packet, Version::v5));
    CHECK(bench.taken(1).empty());
    CHECK(bench.taken(2) == encoded(packet, Version::v5));
}

TEST_CASE("packet writer: large payloads are shared, small ones copied, the bytes are the same") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto size = GENERATE(8'191U, 8'192U, 8'193U, 1'000'000U);
    Bench bench;
    mqtt::Publish packet{
        .topic = "a/b", .payload = Buffer(size, std::byte{'p'}), .qos = qos1, .id = PacketId{4}};
    Incoming incoming{packet, version};
    auto publication = incoming.publication(version, true);
    for (int i = 0; i < 3; ++i) {
        bench.writer.write_publish(bench.add(version), publication,
                                   {.qos = qos1, .id = PacketId{4}}, {}, kNow);
    }
    for (std::size_t i = 0; i < 3; ++i) CHECK(bench.taken(i) == encoded(packet, version));
}

TEST_CASE("packet writer: properties too large for the arena are written all the same") {
    Bench bench;
    mqtt::Publish packet{.topic = "a", .payload = to_buffer("x")};
    packet.properties.user_properties.assign(10, {std::string(3000, 'n'), std::string(3000, 'v')});
    Incoming incoming{packet, Version::v5};
    bool timed = GENERATE(false, true);
    if (timed) {
        packet.properties.message_expiry_interval = 5;
    }
    auto publication = incoming.publication(Version::v5, false, timed ? kNowMs + 5'000 : kNever);
    bench.writer.write_publish(bench.add(Version::v5), publication, {}, {}, kNow);
    CHECK(bench.taken() == encoded(packet, Version::v5));
}

TEST_CASE("packet writer: an arena that is full is flushed and used again") {
    Bench bench;
    Link& link = bench.add(Version::v5);
    Link& other = bench.add(Version::v5);
    Buffer expected;
    for (int i = 0; i < 1000; ++i) {
        mqtt::Publish packet{.topic = "t", .payload = Buffer(400, static_cast<std::byte>(i))};
        Publication publication{Message::make(packet, kNever)};
        bench.writer.write_publish(link, publication, {}, {}, kNow);
        // Between two uses of one encoding the arena may have been emptied.
        if (i % 3 == 0) bench.writer.write(other, Buffer(300, std::byte{1}));
        bench.writer.write_publish(link, publication, {}, {}, kNow);
        for (int twice = 0; twice < 2; ++twice) {
            auto bytes = encoded(packet, Version::v5);
            expected.insert(expected.end(), bytes.begin(), bytes.end());
        }
    }
    CHECK(bench.flushes > 5);
    CHECK(bench.taken(0) == expected);
}

TEST_CASE("packet writer: an alias is set by the first packet and used by the next",
          "[v5.0][MQTT-3.1.2-26]") {
    Bench bench;
    Link& link = bench.add(Version::v5);
    link.aliases_out = std::make_unique<OutboundAliases>(std::uint16_t{1});
    auto send = [&](std::string topic, std::size_t size = 1, Deadline deadline = kNever) {
        mqtt::Publish packet{.topic = std::move(topic), .payload = Buffer(size, std::byte{'x'})};
        Publication publication{Message::make(packet, deadline)};
        bench.writer.write_publish(link, publication, {}, {}, kNow);
        auto frame = bench.taken();
        if (frame.empty()) return mqtt::Publish{.topic = "(nothing)"};
        return std::get<mqtt::Publish>(
            mqtt::decode(frame, Version::v5, mqtt::Sender::server).value());
    };
    link.maximum_packet_size = 100;
    CHECK(send("a/long/topic", 200).topic == "(nothing)");  // must not count as having set it

    auto timed = send("a/long/topic", 1, kNowMs + 60'000);  // may still be dropped: sets none
    CHECK(timed.topic == "a/long/topic");
    CHECK_FALSE(timed.topic_alias);

    auto first = send("a/long/topic");
    CHECK(first.topic == "a/long/topic");
    CHECK(first.topic_alias == 1);
    auto second = send("a/long/topic");
    CHECK(second.topic.empty());
    CHECK(second.topic_alias == 1);
    auto other = send("b");
    CHECK(other.topic == "b");
    CHECK_FALSE(other.topic_alias);
    CHECK(send("a/long/topic", 1, kNowMs + 60'000).topic.empty());  // uses what is known
}

TEST_CASE("packet writer: acknowledgements in the short form") {
    Bench bench;
    Link& link = bench.add(Version::v5);
    bench.writer.write_short_ack(link, 0x40, PacketId{0x1234});
    bench.writer.write_short_ack(link, 0x62, PacketId{1});
    CHECK(as_text(bench.taken()) == std::string("\x40\x02\x12\x34\x62\x02\x00\x01", 8));
}
