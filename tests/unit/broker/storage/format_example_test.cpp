// The example in broker/storage/FORMAT.md: what it says is in a store is what is written for that.

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/records.hpp"

using namespace spoke;
using namespace spoke::broker;

namespace {

struct Record {
    std::string key;
    std::string value;
    friend auto operator<=>(Record const&, Record const&) = default;
};

std::string hex(std::string_view bytes) {
    std::string text;
    for (char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
}

/// Session 1 of client "b7" has subscribed to "d/7/#" and holds packet id 9 of a QoS 2 PUBLISH; one
/// message waits for it alone, and one for it and session 2, to which that was sent. "d/7/state"
/// has a retained message.
std::vector<Record> example() {
    std::vector<Record> records;
    std::string value;
    auto add = [&](std::string const& key, auto const& encode) {
        encode(key, value);
        records.push_back({hex(key), hex(value)});
    };
    auto meta = [&](MetaField field, std::uint64_t number) {
        add(meta_key(field), [&](auto& key, auto& out) { encode_meta(key, number, out); });
    };
    auto delivery = [&](StoredDelivery const& stored, std::optional<StoredProgress> progress) {
        add(delivery_key(stored.session, stored.as.number),
            [&](auto& key, auto& out) { encode_delivery(key, stored, progress, out); });
    };

    constexpr std::uint64_t kStart = std::uint64_t{3} << 40;
    constexpr SessionNumber kOne{1};
    constexpr SessionNumber kTwo{2};
    auto own = Message::make(MessageParts{.topic = "d/7/cmd",
                                          .payload = as_bytes("open"),
                                          .qos = mqtt::Qos::exactly_once,
                                          .deadline = 1'700'000'060'000});
    auto shared = Message::make(MessageParts{.topic = "d/7/fw",
                                             .forwarded_properties = as_bytes({"\x01\x01", 2}),
                                             .payload = as_bytes("v2"),
                                             .qos = mqtt::Qos::at_least_once});
    auto retained = Message::make(
        MessageParts{.topic = "d/7/state", .payload = as_bytes("shut"), .retain = true});
    auto size_of = [](MessagePtr const& message) {
        return static_cast<std::uint32_t>(message->footprint());
    };

    StoredAs as{DeliveryNumber{kStart + 1}, 0};
    add(message_key(kOne, as), [&](auto& key, auto& out) { encode_message(key, *own, out); });
    StoredDelivery waiting{.session = kOne,
                           .as = as,
                           .ids = SubscriptionIds{5},
                           .share = {},
                           .deadline = own->deadline(),
                           .message_size = size_of(own),
                           .qos = mqtt::Qos::exactly_once};
    delivery(waiting, std::nullopt);
    as = {DeliveryNumber{kStart + 3}, 1};
    add(message_key(kOne, as), [&](auto& key, auto& out) { encode_message(key, *shared, out); });
    StoredDelivery first{.session = kOne, .as = as, .message_size = size_of(shared)};
    delivery(first, std::nullopt);
    StoredDelivery second{.session = kTwo, .as = following(as), .message_size = size_of(shared)};
    delivery(second, StoredProgress{OutboundState::awaiting_puback, 300, 0});
    auto told = Message::make(MessageParts{.topic = "d/7/cmd",
                                           .payload = as_bytes("ring"),
                                           .qos = mqtt::Qos::at_least_once,
                                           .receipt = {.topic = "bridge/r"}});
    as = {DeliveryNumber{kStart + 5}, 0};
    add(message_key(kOne, as), [&](auto& key, auto& out) { encode_message(key, *told, out); });
    delivery({.session = kOne, .as = as, .message_size = size_of(told), .wants_receipt = true},
             std::nullopt);
    add(inbound_key(kOne, mqtt::PacketId{9}),
        [&](auto& key, auto& out) { encode_inbound(key, out); });
    meta(MetaField::hash_seed, 0x0123'4567'89AB'CDEF);
    meta(MetaField::session_mark, 4099);
    meta(MetaField::starts, 3);
    meta(MetaField::format_version, 2);
    add(retained_key("d/7/state"),
        [&](auto& key, auto& out) { encode_retained(key, *retained, out); });
    StoredSession session;
    session.client_id = "b7";
    session.listener = "mqtt";
    session.user_name = "bob";
    session.expiry_interval = 3600;
    session.expires_at = 1'700'000'123'000;
    session.will_at = 1'700'000'000'000;
    session.will = mqtt::Will{.topic = "d/7/gone",
                              .payload = to_buffer("x"),
                              .qos = mqtt::Qos::at_least_once,
                              .will_delay_interval = 10};
    add(session_key(kOne), [&](auto& key, auto& out) { encode_session(key, session, out); });
    session = {};
    session.client_id = "b8";
    session.listener = "mqtt";
    session.expiry_interval = 60;
    session.is_connected = true;
    add(session_key(kTwo), [&](auto& key, auto& out) { encode_session(key, session, out); });
    add(subscription_key(kOne, "d/7/#"), [&](auto& key, auto& out) {
        encode_subscription(key, {5, mqtt::Qos::exactly_once, true, false}, out);
    });
    std::sort(records.begin(), records.end());
    return records;
}

/// Lines `    KEY = VALUE` of hexadecimal digits, with blanks between fields.
std::vector<Record> records_in(std::string const& path) {
    std::ifstream file{path};
    REQUIRE(file);
    std::vector<Record> records;
    for (std::string line; std::getline(file, line);) {
        auto middle = line.find(" = ");
        if (!line.starts_with("    ") || middle == std::string::npos) continue;
        std::erase(line, ' ');
        middle = line.find('=');
        if (line.find_first_not_of("0123456789abcdef=") != std::string::npos) continue;
        records.push_back({line.substr(0, middle), line.substr(middle + 1)});
    }
    return records;
}

}  // namespace

TEST_CASE("FORMAT.md: its example is what is written", "[records]") {
    auto told = records_in(SPOKE_FORMAT_MD);
    std::sort(told.begin(), told.end());
    auto written = example();
    for (auto const& record : written) UNSCOPED_INFO(record.key << " = " << record.value);
    CHECK(told.size() == written.size());
    CHECK((told == written));
}
