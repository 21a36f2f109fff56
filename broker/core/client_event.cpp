#include "broker/core/client_event.hpp"

#include <fmt/format.h>

#include <iterator>

#include "broker/core/json_text.hpp"

namespace spoke::broker {
namespace {

std::string_view name_of(mqtt::Version version) noexcept {
    switch (version) {
        case mqtt::Version::v3_1:
            return "MQTT 3.1";
        case mqtt::Version::v3_1_1:
            return "MQTT 3.1.1";
        case mqtt::Version::v5:
            return "MQTT 5.0";
    }
    return "MQTT";
}

std::string_view name_of(LinkEnd::By by) noexcept {
    switch (by) {
        case LinkEnd::By::client:
            return "client";
        case LinkEnd::By::broker:
            return "broker";
        case LinkEnd::By::network:
            return "network";
    }
    return "network";
}

/// "keep alive timeout" as "keep_alive_timeout".
std::string reason_name(LinkEnd const& end) {
    if (!end.reason) return "connection_lost";
    // The name of 0 depends on the packet.
    if (*end.reason == mqtt::ReasonCode::normal_disconnection) return "normal_disconnection";
    std::string name{mqtt::name_of(*end.reason)};
    for (char& c : name) {
        if (c == ' ' || c == '-') c = '_';
    }
    return name;
}

void append_start(std::string_view client_id, std::string& json) {
    json += R"({"client":)";
    append_json_text(client_id, json);
}

MessagePtr make(std::string_view topic, std::string_view json) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.properties.content_type = "application/json";
    auto payload = as_bytes(json);
    packet.payload.assign(payload.begin(), payload.end());
    return Message::make(packet, kNever);
}

}  // namespace

std::string as_topic_level(std::string_view text) {
    std::string level;
    level.reserve(text.size());
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        bool is_special = c == '/' || c == '+' || c == '#' || c == '%';
        if (is_special || byte < 0x20 || byte == 0x7F) {
            fmt::format_to(std::back_inserter(level), "%{:02X}", byte);
        } else {
            level += c;
        }
    }
    return level;
}

void write_client_topic(std::string_view node, std::string_view client_id, std::string_view what,
                        std::string& topic) {
    topic.clear();
    fmt::format_to(std::back_inserter(topic), "$SYS/brokers/{}/clients/{}/{}", node,
                   as_topic_level(client_id), what);
}

MessagePtr make_event(std::string_view topic, ClientConnected const& event) {
    std::string json;
    append_start(event.client_id, json);
    json += R"(,"user":)";
    if (event.user_name) {
        append_json_text(*event.user_name, json);
    } else {
        json += "null";
    }
    json += R"(,"address":)";
    append_json_text(event.address, json);
    fmt::format_to(std::back_inserter(json),
                   R"(,"protocol":"{}","keep_alive":{},"clean_start":{},"session_present":{},)"
                   R"("connection":{},"at_us":{}}})",
                   name_of(event.version), event.keep_alive, event.clean_start,
                   event.session_present, event.connection, event.at_us);
    return make(topic, json);
}

MessagePtr make_event(std::string_view topic, ClientDisconnected const& event) {
    std::string json;
    append_start(event.client_id, json);
    auto out = std::back_inserter(json);
    fmt::format_to(out, R"(,"connection":{},"reason":"{}","reason_code":)", event.connection,
                   reason_name(event.end));
    if (event.end.reason) {
        fmt::format_to(out, "{}", static_cast<unsigned>(*event.end.reason));
    } else {
        json += "null";
    }
    fmt::format_to(out, R"(,"by":"{}","detail":)", name_of(event.end.by));
    append_json_text(event.end.detail, json);
    fmt::format_to(out, R"(,"connected_at_us":{},"at_us":{}}})", event.connected_at_us,
                   event.at_us);
    return make(topic, json);
}

}  // namespace spoke::broker
