#include "broker/app/store_dump.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "broker/storage/record_check.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/store_reader.hpp"
#include "protocol/base/base64.hpp"
#include "protocol/base/escaped.hpp"
#include "protocol/codec/decode_properties.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::broker {
namespace {

namespace json = boost::json;

constexpr std::size_t kHexBytesMax = 64;

std::string hex(std::string_view bytes) {
    std::string text;
    for (char byte : bytes.substr(0, kHexBytesMax))
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
}

/// Of a deadline; nothing if it is kNever.
void put_time(json::object& object, std::string_view name, Deadline at) {
    if (at == kNever) return;
    auto const seconds =
        std::chrono::floor<std::chrono::seconds>(WallTime{std::chrono::milliseconds{at}});
    object[name] = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                               fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                               at - seconds.time_since_epoch().count() * 1000);
}

/// As text if it is some, else in base64 under a name that says so.
void put_bytes(json::object& object, std::string const& name, Bytes bytes) {
    auto const text = as_text(bytes);
    if (mqtt::is_valid_utf8(text))
        object[name] = text;
    else
        object[name + "_base64"] = to_base64(text);
}

void put_properties(json::object& object, mqtt::MessageProperties const& properties) {
    if (properties.payload_format_indicator)
        object["payload_format_indicator"] = *properties.payload_format_indicator;
    if (properties.message_expiry_interval)
        object["message_expiry_interval"] = *properties.message_expiry_interval;
    if (properties.content_type) object["content_type"] = *properties.content_type;
    if (properties.response_topic) object["response_topic"] = *properties.response_topic;
    if (properties.correlation_data)
        put_bytes(object, "correlation_data", *properties.correlation_data);
    if (properties.user_properties.empty()) return;
    json::array pairs;
    for (auto const& [name, value] : properties.user_properties)
        pairs.push_back(json::array{name, value});
    object["user_properties"] = std::move(pairs);
}

mqtt::MessageProperties properties_of(Message const& message) {
    auto const properties = message.forwarded_properties();
    std::string field;
    for (auto left = properties.size(); field.empty() || left > 0; left >>= 7)
        field += static_cast<char>((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
    field += as_text(properties);
    mqtt::Reader reader{as_bytes(field), mqtt::Version::v5, mqtt::Sender::client};
    mqtt::Publish publish;
    mqtt::read_properties(reader, mqtt::Place::publish, publish);
    return publish.properties;
}

void put_message(json::object& object, Message const& message, bool with_payload) {
    object["topic"] = message.topic();
    object["qos"] = static_cast<int>(message.qos());
    put_time(object, "expires_at", message.deadline());
    object["payload_bytes"] = message.payload().size();
    if (!with_payload) return;
    put_properties(object, properties_of(message));
    put_bytes(object, "payload", message.payload());
}

json::object will_of(StoredSession const& session, bool with_payload) {
    auto const& will = *session.will;
    json::object object{{"topic", will.topic},
                        {"qos", static_cast<int>(will.qos)},
                        {"retain", will.retain},
                        {"payload_bytes", will.payload.size()}};
    if (will.will_delay_interval) object["will_delay_interval"] = *will.will_delay_interval;
    put_time(object, "due_at", session.will_at);
    if (!with_payload) return object;
    put_properties(object, will.properties);
    put_bytes(object, "payload", will.payload);
    return object;
}

std::string_view name_of(OutboundState state) {
    switch (state) {
        case OutboundState::settled:
            return "settled";
        case OutboundState::awaiting_puback:
            return "awaiting_puback";
        case OutboundState::awaiting_pubrec:
            return "awaiting_pubrec";
        case OutboundState::awaiting_pubcomp:
            return "awaiting_pubcomp";
    }
    return "";
}

class Dump {
public:
    Dump(StoreReader& reader, DumpWish const& wish,
         std::function<void(std::string const& line)> const& print)
        : reader_(reader), wish_(wish), print_(print) {}

    void run() {
        each(RecordFamily::session, decode_session, [&](StoredSession const& session) {
            clients_[session.number.value] = session.client_id;
            if (is_wanted(session.number)) print(session);
        });
        if (wish_.session && !is_found_)
            throw StoreError{fmt::format("the store '{}' has no session of client '{}'",
                                         reader_.directory(), escaped(*wish_.session))};
        each(RecordFamily::subscription, decode_subscription,
             [&](SubscriptionRecord const& record) {
                 if (is_wanted(record.session)) print(record);
             });
        each(RecordFamily::inbound, decode_inbound, [&](InboundRecord const& record) {
            if (!is_wanted(record.session)) return;
            auto object = begin("inbound", record.session);
            object["packet_id"] = record.id.value;
            print(object);
        });
        each(RecordFamily::delivery, decode_delivery, [&](DeliveryRecord const& record) {
            if (is_wanted(record.delivery.session)) print(record);
        });
        if (wish_.with_messages) dump_messages();
        if (!wish_.session) dump_retained();
    }

private:
    using Place = std::pair<std::uint64_t, std::uint64_t>;

    /// `take`: a record of the family, decoded.
    template <class Decode, class Take>
    void each(RecordFamily family, Decode const& decode, Take const& take) {
        reader_.for_each(std::string(1, static_cast<char>(family)), [&](std::string_view key,
                                                                        std::string_view value) {
            auto record = decode(key, value);
            if (record) return take(*record);
            auto const session = session_in_key(key);
            if (wish_.session && !(session && is_wanted(*session))) return;
            print({{"kind", "damaged"}, {"key", hex(key)}, {"why", describe(record.error())}});
        });
    }

    void dump_messages() {
        reader_.for_each(
            std::string(1, static_cast<char>(RecordFamily::message)),
            [&](std::string_view key, std::string_view value) {
                auto const place = parse_numbered_key(key);
                if (!place || !is_wanted_message({place->session.value, place->number.value}))
                    return;
                auto const message = decode_message(key, value);
                json::object object{{"kind", "message"}, {"number", place->number.value}};
                if (place->session.value != 0) object["session"] = place->session.value;
                if (message)
                    put_message(object, **message, true);
                else
                    object["damaged"] = describe(message.error());
                print(object);
            });
    }

    void dump_retained() {
        each(RecordFamily::retained, decode_retained, [&](MessagePtr const& message) {
            json::object object{{"kind", "retained"}};
            put_message(object, *message, wish_.with_messages);
            print(object);
        });
    }

    [[nodiscard]] bool is_wanted(SessionNumber session) {
        if (!wish_.session) return true;
        auto const client = clients_.find(session.value);
        auto const is_it = client != clients_.end() && client->second == *wish_.session;
        is_found_ = is_found_ || is_it;
        return is_it;
    }

    [[nodiscard]] bool is_wanted_message(Place const& place) const {
        return !wish_.session || wanted_messages_.contains(place);
    }

    [[nodiscard]] json::object begin(std::string_view kind, SessionNumber session) const {
        json::object object{{"kind", kind}, {"session", session.value}};
        auto const client = clients_.find(session.value);
        if (client != clients_.end()) object["client_id"] = client->second;
        return object;
    }

    void print(json::object const& object) const { print_(json::serialize(object)); }

    void print(StoredSession const& session) const {
        auto object = begin("session", session.number);
        object["listener"] = session.listener;
        if (!session.mount_point.empty()) object["mount_point"] = session.mount_point;
        if (session.user_name) object["user_name"] = *session.user_name;
        object["expiry_interval"] = session.expiry_interval;
        object["connected"] = session.is_connected;
        put_time(object, "expires_at", session.expires_at);
        if (session.will) object["will"] = will_of(session, wish_.with_messages);
        print(object);
    }

    void print(SubscriptionRecord const& record) const {
        auto object = begin("subscription", record.session);
        object["filter"] = record.filter;
        object["qos"] = static_cast<int>(record.subscription.qos);
        if (record.subscription.identifier != 0)
            object["identifier"] = record.subscription.identifier;
        object["no_local"] = record.subscription.no_local;
        object["retain_as_published"] = record.subscription.retain_as_published;
        print(object);
    }

    void print(DeliveryRecord const& record) {
        auto const& delivery = record.delivery;
        auto object = begin("delivery", delivery.session);
        object["number"] = delivery.as.number.value;
        if (!delivery.as.owns_message())
            object["message"] = delivery.as.number.value - delivery.as.message_back;
        object["qos"] = static_cast<int>(delivery.qos);
        object["retain"] = delivery.retain;
        object["message_size"] = delivery.message_size;
        put_time(object, "expires_at", delivery.deadline);
        object["state"] = record.progress ? name_of(record.progress->state) : "waiting";
        if (record.progress) object["packet_id"] = (record.progress->send_number - 1) % 65535 + 1;
        print(object);
        if (!wish_.with_messages || !wish_.session) return;
        wanted_messages_.insert(
            delivery.as.owns_message()
                ? Place{delivery.session.value, delivery.as.number.value}
                : Place{0, delivery.as.number.value - delivery.as.message_back});
    }

    StoreReader& reader_;
    DumpWish const& wish_;
    std::function<void(std::string const& line)> const& print_;
    std::map<std::uint64_t, std::string> clients_{};
    std::set<Place> wanted_messages_{};
    bool is_found_ = false;
};

}  // namespace

void dump_store(StoreReader& reader, DumpWish const& wish,
                std::function<void(std::string const& line)> const& print) {
    Dump{reader, wish, print}.run();
}

}  // namespace spoke::broker
