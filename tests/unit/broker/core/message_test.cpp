#include "broker/core/message.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "protocol/codec/encode.hpp"

namespace spoke::broker {
namespace {

std::string hex(Bytes bytes) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (auto byte : bytes) {
        out.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
        out.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
    }
    return out;
}

mqtt::PublishView view_of(Buffer const& frame, mqtt::Version version) {
    auto view = mqtt::decode_publish(frame, version, mqtt::Sender::client);
    REQUIRE(view.has_value());
    return *view;
}

WallTime at(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

}  // namespace

TEST_CASE("message: holds a copy of what a PUBLISH shows") {
    auto version = GENERATE(mqtt::Version::v3_1_1, mqtt::Version::v5);
    MessagePtr message;
    {
        mqtt::Publish publish{.topic = "a/b",
                              .payload = to_buffer("hello"),
                              .qos = mqtt::Qos::exactly_once,
                              .retain = true,
                              .id = mqtt::PacketId{9}};
        Buffer frame;
        mqtt::encode(publish, version, frame);
        auto view = view_of(frame, version);
        message = Message::make(view, view.topic, 1234);
    }
    CHECK(message->topic() == "a/b");
    CHECK(hex(message->encoded_topic()) == "0003612f62");
    CHECK(message->forwarded_properties().empty());
    CHECK(as_text(message->payload()) == "hello");
    CHECK(message->qos() == mqtt::Qos::exactly_once);
    CHECK(message->retain());
    CHECK(message->deadline() == 1234);
    CHECK(message->footprint() == sizeof(Message) + 5 + 5);
}

TEST_CASE("message: keeps the properties that are forwarded, in their order, and no others",
          "[v5.0][MQTT-3.3.2-4][MQTT-3.3.2-15][MQTT-3.3.2-16][MQTT-3.3.2-17][MQTT-3.3.2-18]"
          "[MQTT-3.3.2-20]") {
    mqtt::Publish publish{.topic = "t",
                          .payload = to_buffer("p"),
                          .topic_alias = 3,
                          .properties = {.payload_format_indicator = 1,
                                         .message_expiry_interval = 60,
                                         .content_type = "ct",
                                         .response_topic = "rt",
                                         .correlation_data = to_buffer("cd"),
                                         .user_properties = {{"k", "2"}, {"j", ""}, {"k", "1"}}}};
    std::string const user = "2600016b0001322600016a00002600016b000131";
    SECTION("as they came") {
        Buffer frame;
        mqtt::encode(publish, mqtt::Version::v5, frame);
        auto view = view_of(frame, mqtt::Version::v5);
        auto message = Message::make(view, "name behind the alias", kNever);
        CHECK(message->topic() == "name behind the alias");
        CHECK(message->forwarded_properties().size() == view.forwarded_size);
        CHECK(hex(message->forwarded_properties()).ends_with(user));
        CHECK(message->forwarded_properties().size() == 2 + 5 + 5 + 5 + user.size() / 2);
        CHECK(as_text(message->payload()) == "p");
    }
    SECTION("from a packet that owns its bytes") {
        publish.topic_alias.reset();
        publish.qos = mqtt::Qos::at_least_once;
        publish.retain = true;
        publish.subscription_identifiers = {4};
        auto message = Message::make(publish, 77);
        CHECK(hex(message->forwarded_properties()) ==
              "0101"
              "0300026374"
              "0800027274"
              "0900026364" +
                  user);
        CHECK(message->topic() == "t");
        CHECK(as_text(message->payload()) == "p");
        CHECK(message->qos() == mqtt::Qos::at_least_once);
        CHECK(message->retain());
        CHECK(message->deadline() == 77);
    }
}

TEST_CASE("message: as large as a topic and a payload can be") {
    mqtt::Publish publish{.topic = std::string(65'535, 'x'),
                          .payload = Buffer(3'000'000, std::byte{7})};
    auto message = Message::make(publish, kNever);
    CHECK(message->topic() == publish.topic);
    CHECK(message->encoded_topic().size() == 65'537);
    CHECK(std::equal(publish.payload.begin(), publish.payload.end(), message->payload().begin(),
                     message->payload().end()));
}

TEST_CASE("message: an empty payload stays empty") {
    auto message = Message::make(mqtt::Publish{.topic = "t"}, kNever);
    CHECK(message->payload().empty());
    CHECK(message->footprint() == sizeof(Message) + 3);
}

TEST_CASE("message: expires at its deadline") {
    auto message = Message::make(mqtt::Publish{.topic = "t"}, 1000);
    CHECK_FALSE(message->has_expired(at(999)));
    CHECK(message->has_expired(at(1000)));
    CHECK(message->has_expired(at(1001)));
    auto lasting = Message::make(mqtt::Publish{.topic = "t"}, kNever);
    CHECK_FALSE(lasting->has_expired(at(INT64_MAX - 1)));
}

TEST_CASE("message pointer: counts what it shares") {
    auto first = Message::make(mqtt::Publish{.topic = "t", .payload = to_buffer("p")}, kNever);
    MessagePtr second = first;
    CHECK(second == first);
    MessagePtr third = std::move(first);
    CHECK_FALSE(
        first);  // NOLINT(bugprone-use-after-move): a moved-from pointer is null by contract
    first = second;
    first = first;
    second = nullptr;
    third = MessagePtr{};
    CHECK(as_text(first->payload()) == "p");
    auto* owned = first.release();
    CHECK_FALSE(first);
    first = MessagePtr::adopt(owned);
    CHECK(first->topic() == "t");
}

TEST_CASE("message pointer: the last of many threads frees it") {
    for (int round = 0; round < 50; ++round) {
        auto message =
            Message::make(mqtt::Publish{.topic = "t", .payload = to_buffer("payload")}, kNever);
        std::atomic<int> intact{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([copy = message, &intact] {
                for (int n = 0; n < 100; ++n) {
                    MessagePtr another = copy;
                    intact += as_text(another->payload()) == "payload";
                }
            });
        }
        message = nullptr;
        for (auto& thread : threads) thread.join();
        CHECK(intact == 400);
    }
}

}  // namespace spoke::broker
