#include "broker/storage/records.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/crc32c.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

constexpr SessionNumber kSession{0x12'3456'789A};
constexpr DeliveryNumber kNumber{0x0000'0300'0000'0007};

StoredDelivery sample_delivery() {
    StoredDelivery delivery;
    delivery.session = kSession;
    delivery.as = {kNumber, 300};
    delivery.ids = SubscriptionIds{std::vector<std::uint32_t>{1, 268'435'455, 77}};
    delivery.share = ShareId{0x0123'4567'89AB'CDEF};
    delivery.deadline = 1'700'000'000'123;
    delivery.message_size = 70'000;
    delivery.qos = mqtt::Qos::exactly_once;
    delivery.retain = true;
    return delivery;
}

struct Sample {
    std::string name;
    std::string key;
    std::string value;
    std::function<bool(std::string_view, std::string_view)> decodes;
};

template <class Decode>
auto asks(Decode decode) {
    return [decode](std::string_view key, std::string_view value) {
        return decode(key, value).has_value();
    };
}

/// One record of each kind, with all that may be in it and with as little as can be.
std::vector<Sample> samples() {
    std::vector<Sample> all;
    std::string value;
    auto add = [&](std::string name, std::string key, auto encode, auto decode) {
        encode(key, value);
        all.push_back({std::move(name), std::move(key), value, asks(decode)});
    };
    using Key = std::string_view;
    using Out = std::string&;
    add(
        "meta", meta_key(MetaField::starts),
        [](Key key, Out out) { encode_meta(key, 0x1234'5678'9ABC, out); }, decode_meta);
    add(
        "session", session_key(kSession),
        [](Key key, Out out) { encode_session(key, test::sample_session(kSession, "bike"), out); },
        decode_session);
    add(
        "bare session", session_key(kSession),
        [](Key key, Out out) { encode_session(key, StoredSession{}, out); }, decode_session);
    add(
        "subscription", subscription_key(kSession, "$share/g/a/+"),
        [](Key key, Out out) {
            encode_subscription(key, {268'435'455, mqtt::Qos::exactly_once, true, true}, out);
        },
        decode_subscription);
    add("inbound", inbound_key(kSession, mqtt::PacketId{0x1234}), encode_inbound, decode_inbound);
    add(
        "delivery", delivery_key(kSession, kNumber),
        [](Key key, Out out) {
            encode_delivery(key, sample_delivery(),
                            StoredProgress{OutboundState::awaiting_pubcomp, 70'000, 12}, out);
        },
        decode_delivery);
    add(
        "bare delivery", delivery_key(kSession, kNumber),
        [](Key key, Out out) { encode_delivery(key, StoredDelivery{}, std::nullopt, out); },
        decode_delivery);
    add(
        "message", message_key(kSession, {kNumber, 0}),
        [](Key key, Out out) {
            encode_message(key, *test::sample_message("a/b", "payload", 1'700'000'000'123), out);
        },
        decode_message);
    add(
        "message with a request for receipts", message_key(kSession, {kNumber, 0}),
        [](Key key, Out out) {
            encode_message(key, *test::sample_told_message("a/b", "payload"), out);
        },
        decode_message);
    add(
        "retained", retained_key("a/b"),
        [](Key key, Out out) {
            encode_retained(key, *test::sample_message("a/b", "payload", 1'700'000'000'123), out);
        },
        decode_retained);
    return all;
}

/// `fields` with a checksum that is right.
std::string sealed(std::string_view key, std::string_view fields) {
    std::string value{fields};
    auto sum = crc32c(fields, crc32c(key));
    for (int shift = 24; shift >= 0; shift -= 8) value.push_back(static_cast<char>(sum >> shift));
    return value;
}

}  // namespace

TEST_CASE("CRC-32C: is that of RFC 3720, with and without the instruction", "[records]") {
    CHECK(crc32c("123456789") == 0xE3069283);
    CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
    CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
    std::string text = "a text that is longer than one word of the processor";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        auto begin = std::string_view{text}.substr(0, cut);
        CHECK(crc32c(begin) == crc32c_portable(begin));
        CHECK(crc32c(std::string_view{text}.substr(cut), crc32c(begin)) == crc32c(text));
    }
}

TEST_CASE("records: keys sort by session, then by number", "[records]") {
    CHECK(delivery_key(SessionNumber{1}, DeliveryNumber{0xFFFF}) <
          delivery_key(SessionNumber{1}, DeliveryNumber{0x10000}));
    CHECK(delivery_key(SessionNumber{0xFF}, DeliveryNumber{UINT64_MAX}) <
          delivery_key(SessionNumber{0x100}, DeliveryNumber{1}));
    CHECK(message_key(kSession, {DeliveryNumber{10}, 0}) !=
          message_key(kSession, {DeliveryNumber{10}, 1}));
    CHECK(message_key(SessionNumber{1}, {DeliveryNumber{10}, 3}) ==
          message_key(SessionNumber{2}, {DeliveryNumber{9}, 2}));
    auto key = message_key(SessionNumber{1}, {DeliveryNumber{10}, 3});
    CHECK(parse_numbered_key(key) == NumberedKey{SessionNumber{}, DeliveryNumber{7}});
}

TEST_CASE("records: what was written is read", "[records]") {
    std::string value;
    SECTION("meta") {
        auto key = meta_key(MetaField::hash_seed);
        encode_meta(key, UINT64_MAX - 1, value);
        auto record = decode_meta(key, value);
        REQUIRE(record.has_value());
        CHECK(record->field == MetaField::hash_seed);
        CHECK(record->number == UINT64_MAX - 1);
    }
    SECTION("a session with everything") {
        auto session = test::sample_session(kSession, "bike-7");
        auto key = session_key(kSession);
        encode_session(key, session, value);
        auto record = decode_session(key, value);
        REQUIRE(record.has_value());
        CHECK(*record == session);
    }
    SECTION("a session with little") {
        StoredSession session;
        session.number = kSession;
        session.client_id = "c";
        session.expiry_interval = mqtt::kSessionNeverExpires;
        session.is_connected = true;
        session.will = mqtt::Will{.topic = "t"};
        auto key = session_key(kSession);
        encode_session(key, session, value);
        auto record = decode_session(key, value);
        REQUIRE(record.has_value());
        CHECK(*record == session);
    }
    SECTION("a subscription") {
        StoredSubscription subscription{12, mqtt::Qos::exactly_once, true, false};
        auto key = subscription_key(kSession, "a/#");
        encode_subscription(key, subscription, value);
        auto record = decode_subscription(key, value);
        REQUIRE(record.has_value());
        CHECK(record->session == kSession);
        CHECK(record->filter == "a/#");
        CHECK(record->subscription == subscription);
    }
    SECTION("an inbound id") {
        auto key = inbound_key(kSession, mqtt::PacketId{0xFFFE});
        encode_inbound(key, value);
        auto record = decode_inbound(key, value);
        REQUIRE(record.has_value());
        CHECK(record->session == kSession);
        CHECK(record->id == mqtt::PacketId{0xFFFE});
    }
    SECTION("a delivery with everything") {
        auto key = delivery_key(kSession, kNumber);
        StoredProgress progress{OutboundState::awaiting_pubrec, UINT64_MAX, UINT32_MAX};
        encode_delivery(key, sample_delivery(), progress, value);
        auto record = decode_delivery(key, value);
        REQUIRE(record.has_value());
        CHECK(record->progress == progress);
        CHECK(record->delivery.session == kSession);
        CHECK(record->delivery.as == StoredAs{kNumber, 300});
        CHECK(record->delivery.share == sample_delivery().share);
        CHECK(record->delivery.deadline == sample_delivery().deadline);
        CHECK(record->delivery.message_size == 70'000);
        CHECK(record->delivery.qos == mqtt::Qos::exactly_once);
        CHECK(record->delivery.retain);
        std::vector<std::uint32_t> ids;
        record->delivery.ids.each([&](std::uint32_t id) { ids.push_back(id); });
        CHECK(ids == std::vector<std::uint32_t>{1, 268'435'455, 77});
    }
    SECTION("a delivery with little") {
        auto key = delivery_key(kSession, kNumber);
        StoredDelivery delivery;
        delivery.as.number = kNumber;
        encode_delivery(key, delivery, std::nullopt, value);
        auto record = decode_delivery(key, value);
        REQUIRE(record.has_value());
        CHECK_FALSE(record->progress);
        CHECK(record->delivery.as == StoredAs{kNumber, 0});
        CHECK(record->delivery.ids.empty());
        CHECK(record->delivery.share == ShareId{});
        CHECK(record->delivery.deadline == kNever);
        CHECK(record->delivery.qos == mqtt::Qos::at_least_once);
        CHECK_FALSE(record->delivery.retain);
    }
    SECTION("messages") {
        auto message = GENERATE(test::sample_message("a/b", "payload", 1'700'000'000'123),
                                test::sample_message("a", ""), test::sample_told_message("m/b", ""),
                                Message::make(MessageParts{.topic = std::string_view{"ä/\x01"}}));
        auto key = message_key(kSession, {kNumber, 0});
        encode_message(key, *message, value);
        auto record = decode_message(key, value);
        REQUIRE(record.has_value());
        CHECK(test::is_same(*record, message));
        auto parts = message->parts();
        parts.receipt = {};
        message = Message::make(parts);
        key = retained_key(message->topic());
        encode_retained(key, *message, value);
        record = decode_retained(key, value);
        REQUIRE(record.has_value());
        CHECK(test::is_same(*record, message));
    }
}

TEST_CASE("records: a delivery says whether receipts were asked for, however little it has",
          "[records]") {
    auto key = delivery_key(kSession, kNumber);
    bool is_full = GENERATE(false, true);
    auto delivery = is_full ? sample_delivery() : StoredDelivery{};
    std::optional<StoredProgress> progress;
    if (is_full) progress = StoredProgress{OutboundState::awaiting_puback, 7, 0};
    std::string plain;
    encode_delivery(key, delivery, progress, plain);
    CHECK_FALSE(decode_delivery(key, plain).value().delivery.wants_receipt);
    delivery.wants_receipt = true;
    std::string value;
    encode_delivery(key, delivery, progress, value);
    auto record = decode_delivery(key, value);
    REQUIRE(record.has_value());
    CHECK(record->delivery.wants_receipt);
    CHECK(record->progress == progress);
    CHECK(value.size() == plain.size() + 1);
    auto fields = plain.substr(0, plain.size() - 4);
    CHECK(sealed(key, fields + '\x01') == value);
    // Flags that mean nothing yet, and a zero that is not written.
    for (auto const* more : {"\x02", "\x03", "\x01\x01", "\x81"}) {
        CHECK(decode_delivery(key, sealed(key, fields + more)).error() == RecordError::malformed);
    }
    CHECK_FALSE(decode_delivery(key, sealed(key, fields + '\0')).has_value());
}

TEST_CASE("records: a request for receipts that cannot be is refused", "[records]") {
    auto key = message_key(kSession, {kNumber, 0});
    auto with = [&](std::string_view request) {
        std::string fields{"\x10"};
        fields.append(request).append("\x00\x00\x01t", 4);
        return decode_message(key, sealed(key, fields)).has_value();
    };
    CHECK(with({"\x00\x01r", 3}));
    CHECK(with({"\x01\x02r/", 4}));
    CHECK_FALSE(with({"\x00\x00", 2}));     // no topic
    CHECK_FALSE(with({"\x01\x01r", 3}));    // nothing but a mount point
    CHECK_FALSE(with({"\x02\x03r/x", 5}));  // longer than the topic of the message
    auto topic = std::string(65'536, 'x');
    CHECK_FALSE(with(std::string{"\x00\x80\x80\x04", 4} + topic));
    auto retained = retained_key("t");
    CHECK_FALSE(decode_retained(retained, sealed(retained, std::string{"\x10\x00\x01r\x00", 5}))
                    .has_value());
}

TEST_CASE("records: a value that is cut anywhere is refused", "[records]") {
    for (auto const& sample : samples()) {
        INFO(sample.name);
        REQUIRE(sample.decodes(sample.key, sample.value));
        for (std::size_t size = 0; size < sample.value.size(); ++size) {
            INFO("cut to " << size);
            std::string cut = sample.value.substr(0, size);
            CHECK_FALSE(sample.decodes(sample.key, cut));
        }
        CHECK_FALSE(sample.decodes(sample.key, sample.value + '\0'));
    }
}

TEST_CASE("records: a flipped bit in key or value is seen", "[records]") {
    for (auto const& sample : samples()) {
        INFO(sample.name);
        for (std::size_t bit = 0; bit < sample.value.size() * 8; ++bit) {
            auto value = sample.value;
            value[bit / 8] = static_cast<char>(value[bit / 8] ^ 1 << bit % 8);
            CHECK_FALSE(sample.decodes(sample.key, value));
        }
        for (std::size_t bit = 0; bit < sample.key.size() * 8; ++bit) {
            auto key = sample.key;
            key[bit / 8] = static_cast<char>(key[bit / 8] ^ 1 << bit % 8);
            CHECK_FALSE(sample.decodes(key, sample.value));
        }
    }
}

TEST_CASE("records: lengths in a value are not believed, even under a right checksum",
          "[records]") {
    auto seed = test::seed_or(4);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    for (auto const& sample : samples()) {
        INFO(sample.name);
        auto fields = sample.value.substr(0, sample.value.size() - 4);
        REQUIRE(sample.decodes(sample.key, sealed(sample.key, fields)));
        auto is_body = family_of(sample.key) == RecordFamily::message ||
                       family_of(sample.key) == RecordFamily::retained;
        for (std::size_t size = 0; size < fields.size(); ++size) {
            auto decodes = sample.decodes(sample.key, sealed(sample.key, fields.substr(0, size)));
            // The payload is what is left, so that its own cut cannot be seen.
            if (!is_body) CHECK_FALSE(decodes);
        }
        for (std::size_t i = 0; i < fields.size(); ++i) {
            auto broken = fields;
            broken[i] = '\xFF';
            (void)sample.decodes(sample.key, sealed(sample.key, broken));
        }
        for (int round = 0; round < 2000; ++round) {
            std::string noise(random() % 40, '\0');
            for (auto& byte : noise) byte = static_cast<char>(random());
            (void)sample.decodes(sample.key, sealed(sample.key, noise));
        }
    }
}

TEST_CASE("records: errors say what is wrong", "[records]") {
    auto key = delivery_key(kSession, kNumber);
    CHECK(decode_delivery(key, "abc").error() == RecordError::cut);
    CHECK(decode_delivery(key, "abcdefgh").error() == RecordError::wrong_checksum);
    CHECK(decode_delivery(key, sealed(key, "")).error() == RecordError::malformed);
    CHECK(decode_delivery(key.substr(1), "abcdefgh").error() == RecordError::bad_key);
    CHECK(decode_delivery(message_key(kSession, {kNumber, 0}), "abcdefgh").error() ==
          RecordError::bad_key);
    // No more ids than bytes, however many are claimed.
    CHECK(decode_delivery(key, sealed(key, std::string_view{"\x41\x00\xFF\xFF\xFF\xFF\x7F\x01", 8}))
              .error() == RecordError::malformed);
    // A varint of more than 64 bits.
    auto endless = "\x01" + std::string(11, '\xFF');
    CHECK(decode_delivery(key, sealed(key, endless)).error() == RecordError::malformed);
}
