#include "tests/support/random_packet.hpp"

#include <array>

#include "protocol/packet/reason_table.hpp"

namespace spoke::test {
namespace {

using namespace spoke::mqtt;

class Maker {
public:
    Maker(std::mt19937_64& random, Version version, Sender sender)
        : random_(random), version_(version), sender_(sender) {}

    Packet packet() {
        for (;;) {
            if (auto made = packet_of(PacketType(1 + below(15)))) return std::move(*made);
        }
    }

private:
    std::size_t below(std::size_t end) { return random_() % end; }
    bool chance() { return below(2) == 0; }
    bool is_v5() const { return version_ == Version::v5; }

    template <class Number>
    Number number() {
        // Small, large and border values alike.
        switch (below(4)) {
            case 0:
                return 1;
            case 1:
                return std::numeric_limits<Number>::max();
            case 2:
                return static_cast<Number>(1 + below(200));
            default:
                return static_cast<Number>(
                    std::max<std::uint64_t>(1, random_() & std::numeric_limits<Number>::max()));
        }
    }

    std::size_t size() {
        switch (below(40)) {
            case 0:
                return 65'535;
            case 1:
                return 120 + below(20);
            default:
                return below(20);
        }
    }

    std::string text() {
        constexpr std::array<std::string_view, 8> kPieces{
            "a", "b7", "/", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x9A\xB2", "\xEF\xBB\xBF", "$"};
        auto wanted = size();
        std::string text;
        while (text.size() + 4 <= wanted) text += kPieces[below(kPieces.size())];
        return text.append(wanted - text.size(), 'z');
    }

    std::string topic() {
        auto topic = text();
        return topic.empty() ? "t" : topic;
    }

    Buffer bytes() {
        Buffer bytes(size());
        for (auto& byte : bytes) byte = static_cast<std::byte>(random_());
        return bytes;
    }

    template <class Make>
    auto maybe(Make make) -> std::optional<decltype(make())> {
        if (!is_v5() || chance()) return std::nullopt;
        return make();
    }
    auto maybe_text() {
        return maybe([this] { return text(); });
    }
    auto maybe_bytes() {
        return maybe([this] { return bytes(); });
    }
    auto maybe_bool() {
        return maybe([this] { return chance(); });
    }
    template <class Number>
    auto maybe_number() {
        return maybe([this] { return number<Number>(); });
    }

    UserProperties user_properties() {
        UserProperties properties;
        if (!is_v5()) return properties;
        for (auto left = below(4); left > 0; --left) properties.push_back({text(), text()});
        return properties;
    }

    MessageProperties message_properties() {
        return {.payload_format_indicator =
                    maybe([this] { return static_cast<std::uint8_t>(below(2)); }),
                .message_expiry_interval = maybe_number<std::uint32_t>(),
                .content_type = maybe_text(),
                .response_topic = maybe([this] { return topic(); }),
                .correlation_data = maybe_bytes(),
                .user_properties = user_properties()};
    }

    Qos qos() { return Qos{static_cast<std::uint8_t>(below(3))}; }
    PacketId id() { return PacketId{number<std::uint16_t>()}; }

    /// Any code that may stand in the packet.
    ReasonCode reason(PacketType type) {
        for (;;) {
            auto code = kReasonTable[below(kReasonTable.size())].code;
            if (may_stand(code, type, sender_)) return code;
        }
    }

    Connect connect() {
        Connect packet{.version = version_,
                       .client_id = text(),
                       .clean_start = chance(),
                       .keep_alive = number<std::uint16_t>()};
        if (chance()) packet.will = will();
        if (chance()) packet.user_name = text();
        if (chance() && (is_v5() || packet.user_name)) packet.password = bytes();
        packet.session_expiry_interval = maybe_number<std::uint32_t>();
        packet.receive_maximum = maybe_number<std::uint16_t>();
        packet.maximum_packet_size = maybe_number<std::uint32_t>();
        packet.topic_alias_maximum = maybe_number<std::uint16_t>();
        packet.request_response_information = maybe_bool();
        packet.request_problem_information = maybe_bool();
        packet.authentication_method = maybe_text();
        if (packet.authentication_method) packet.authentication_data = maybe_bytes();
        packet.user_properties = user_properties();
        return packet;
    }

    Will will() {
        return {.topic = topic(),
                .payload = bytes(),
                .qos = qos(),
                .retain = chance(),
                .will_delay_interval = maybe_number<std::uint32_t>(),
                .properties = message_properties()};
    }

    ConnAck connack() {
        ConnAck packet;
        packet.reason = is_v5() ? reason(PacketType::connack)
                                : *reason_of_return_code(static_cast<std::uint8_t>(below(6)));
        packet.session_present =
            packet.reason == ReasonCode::success && version_ != Version::v3_1 && chance();
        packet.session_expiry_interval = maybe_number<std::uint32_t>();
        packet.receive_maximum = maybe_number<std::uint16_t>();
        packet.maximum_qos = maybe([this] { return Qos{static_cast<std::uint8_t>(below(2))}; });
        packet.retain_available = maybe_bool();
        packet.maximum_packet_size = maybe_number<std::uint32_t>();
        packet.assigned_client_identifier = maybe_text();
        packet.topic_alias_maximum = maybe_number<std::uint16_t>();
        packet.reason_string = maybe_text();
        packet.user_properties = user_properties();
        packet.wildcard_subscription_available = maybe_bool();
        packet.subscription_identifiers_available = maybe_bool();
        packet.shared_subscription_available = maybe_bool();
        packet.server_keep_alive = maybe_number<std::uint16_t>();
        packet.response_information = maybe_text();
        packet.server_reference = maybe_text();
        packet.authentication_method = maybe_text();
        if (packet.authentication_method) packet.authentication_data = maybe_bytes();
        return packet;
    }

    Publish publish() {
        Publish packet{.topic = topic(), .payload = bytes(), .qos = qos(), .retain = chance()};
        if (packet.qos != Qos::at_most_once) {
            packet.dup = chance();
            packet.id = id();
        }
        packet.topic_alias = maybe_number<std::uint16_t>();
        if (packet.topic_alias && chance()) packet.topic.clear();
        packet.properties = message_properties();
        if (is_v5() && sender_ == Sender::server) {
            for (auto left = below(4); left > 0; --left) {
                packet.subscription_identifiers.push_back(
                    std::max<std::uint32_t>(1, number<std::uint32_t>() & kVariableByteIntegerMax));
            }
        }
        return packet;
    }

    template <class Acknowledgement>
    Acknowledgement acknowledgement(PacketType type) {
        Acknowledgement packet{.id = id()};
        if (is_v5()) packet.reason = reason(type);
        packet.reason_string = maybe_text();
        packet.user_properties = user_properties();
        return packet;
    }

    Subscribe subscribe() {
        Subscribe packet{.id = id()};
        for (auto left = 1 + below(4); left > 0; --left) {
            SubscriptionOptions options{.qos = qos()};
            if (is_v5()) {
                options.no_local = chance();
                options.retain_as_published = chance();
                options.retain_handling = RetainHandling{static_cast<std::uint8_t>(below(3))};
            }
            packet.subscriptions.push_back({text(), options});
        }
        packet.subscription_identifier = maybe([this] {
            return std::max<std::uint32_t>(1, number<std::uint32_t>() & kVariableByteIntegerMax);
        });
        packet.user_properties = user_properties();
        return packet;
    }

    SubAck suback() {
        SubAck packet{.id = id()};
        for (auto left = 1 + below(4); left > 0; --left) {
            auto code = reason(PacketType::suback);
            if (version_ == Version::v3_1_1 && is_error(code)) code = ReasonCode::unspecified_error;
            if (version_ == Version::v3_1 && is_error(code)) code = ReasonCode::granted_qos_0;
            packet.reasons.push_back(code);
        }
        packet.reason_string = maybe_text();
        packet.user_properties = user_properties();
        return packet;
    }

    Unsubscribe unsubscribe() {
        Unsubscribe packet{.id = id()};
        for (auto left = 1 + below(4); left > 0; --left) packet.filters.push_back(text());
        packet.user_properties = user_properties();
        return packet;
    }

    UnsubAck unsuback() {
        UnsubAck packet{.id = id()};
        for (auto left = is_v5() ? 1 + below(4) : 0; left > 0; --left) {
            packet.reasons.push_back(reason(PacketType::unsuback));
        }
        packet.reason_string = maybe_text();
        packet.user_properties = user_properties();
        return packet;
    }

    Disconnect disconnect() {
        Disconnect packet;
        if (is_v5()) packet.reason = reason(PacketType::disconnect);
        if (sender_ == Sender::client)
            packet.session_expiry_interval = maybe_number<std::uint32_t>();
        packet.reason_string = maybe_text();
        packet.user_properties = user_properties();
        if (sender_ == Sender::server) packet.server_reference = maybe_text();
        return packet;
    }

    Auth auth() {
        return {.reason = reason(PacketType::auth),
                .authentication_method = text(),
                .authentication_data = maybe_bytes(),
                .reason_string = maybe_text(),
                .user_properties = user_properties()};
    }

    /// Nullopt if `sender` sends no such packet.
    std::optional<Packet> packet_of(PacketType type) {
        auto is_client = sender_ == Sender::client;
        auto only = [](bool may, auto make) -> std::optional<Packet> {
            if (!may) return std::nullopt;
            return Packet{make()};
        };
        switch (type) {
            case PacketType::connect:
                return only(is_client, [this] { return connect(); });
            case PacketType::connack:
                return only(!is_client, [this] { return connack(); });
            case PacketType::publish:
                return publish();
            case PacketType::puback:
                return acknowledgement<PubAck>(type);
            case PacketType::pubrec:
                return acknowledgement<PubRec>(type);
            case PacketType::pubrel:
                return acknowledgement<PubRel>(type);
            case PacketType::pubcomp:
                return acknowledgement<PubComp>(type);
            case PacketType::subscribe:
                return only(is_client, [this] { return subscribe(); });
            case PacketType::suback:
                return only(!is_client, [this] { return suback(); });
            case PacketType::unsubscribe:
                return only(is_client, [this] { return unsubscribe(); });
            case PacketType::unsuback:
                return only(!is_client, [this] { return unsuback(); });
            case PacketType::pingreq:
                return only(is_client, [] { return PingReq{}; });
            case PacketType::pingresp:
                return only(!is_client, [] { return PingResp{}; });
            case PacketType::disconnect:
                return only(is_client || is_v5(), [this] { return disconnect(); });
            case PacketType::auth:
                return only(is_v5(), [this] { return auth(); });
        }
        return std::nullopt;
    }

    std::mt19937_64& random_;
    Version version_;
    Sender sender_;
};

}  // namespace

Packet random_packet(std::mt19937_64& random, Version version, Sender sender) {
    return Maker{random, version, sender}.packet();
}

std::string random_topic(std::mt19937_64& random, bool wildcards) {
    constexpr std::array<std::string_view, 9> kWords{"", "a", "b", "aa", "A", "$x", "+", "#", "+"};
    std::string topic;
    auto levels = 1 + random() % 8;
    for (std::uint64_t level = 0; level < levels; ++level) {
        if (level > 0) topic += '/';
        topic += kWords[random() % (wildcards ? kWords.size() : 6)];
    }
    return topic;
}

}  // namespace spoke::test
