#include "tests/interop/paho/driver.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <stdexcept>

namespace spoke::interop {

namespace {

/// Payloads up to this size are printed whole; of larger ones the digest says enough.
constexpr std::size_t kShownMax = 1024;

std::string hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::string unhex(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string{text.substr(i, 2)}, nullptr, 16));
    return bytes;
}

std::string digest(std::string_view bytes) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<unsigned char const*>(bytes.data()), bytes.size(), hash);
    return hex({reinterpret_cast<char const*>(hash), sizeof hash});
}

std::string_view view(MQTTLenString const& text) {
    return {text.data, static_cast<std::size_t>(text.len)};
}

MQTTLenString borrowed(std::string_view text) {
    return {static_cast<int>(text.size()), const_cast<char*>(text.data())};  // Paho copies it
}

void add_to(json::object& named, MQTTProperty const& property) {
    switch (property.identifier) {
        case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR:
            named["format"] = property.value.byte;
            break;
        case MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL:
            named["expiry"] = property.value.integer4;
            break;
        case MQTTPROPERTY_CODE_CONTENT_TYPE:
            named["content_type"] = view(property.value.data);
            break;
        case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
            named["response_topic"] = view(property.value.data);
            break;
        case MQTTPROPERTY_CODE_CORRELATION_DATA:
            named["correlation"] = hex(view(property.value.data));
            break;
        case MQTTPROPERTY_CODE_USER_PROPERTY: {
            auto& pairs = named.emplace("user", json::array{}).first->value().as_array();
            pairs.push_back(json::array{view(property.value.data), view(property.value.value)});
            break;
        }
        default:
            break;
    }
}

std::string text_of(json::object const& object, std::string_view key) {
    auto const* value = object.if_contains(key);
    return value != nullptr ? json::value_to<std::string>(*value) : std::string{};
}

template <class T>
T number_of(json::object const& object, std::string_view key, T otherwise) {
    auto const* value = object.if_contains(key);
    return value != nullptr ? json::value_to<T>(*value) : otherwise;
}

std::string read_file(std::string const& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) throw std::runtime_error{"cannot read " + path};
    std::string text(std::filesystem::file_size(path), '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
}

std::string payload_of(json::object const& command) {
    if (auto path = text_of(command, "file"); !path.empty()) return read_file(path);
    return unhex(text_of(command, "payload"));
}

ConnectRequest connect_request(json::object const& command) {
    ConnectRequest request;
    request.uri = text_of(command, "uri");
    request.id = text_of(command, "id");
    request.version = number_of(command, "version", request.version);
    request.clean = number_of(command, "clean", true);
    request.reconnects = number_of(command, "reconnects", false);
    request.keep_alive = number_of(command, "keep_alive", request.keep_alive);
    if (command.contains("expiry")) request.expiry = number_of(command, "expiry", 0U);
    if (command.contains("user")) request.user = text_of(command, "user");
    if (command.contains("password")) request.password = text_of(command, "password");
    if (auto const* will = command.if_contains("will")) {
        auto const& object = will->as_object();
        request.will = WillRequest{.topic = text_of(object, "topic"),
                                   .payload = payload_of(object),
                                   .qos = number_of(object, "qos", 0),
                                   .retain = number_of(object, "retain", false)};
    }
    if (auto const* tls = command.if_contains("tls")) {
        auto const& object = tls->as_object();
        request.tls = TlsRequest{.ca = text_of(object, "ca"),
                                 .certificate = text_of(object, "certificate"),
                                 .key = text_of(object, "key"),
                                 .psk = unhex(text_of(object, "psk")),
                                 .psk_identity = text_of(object, "psk_identity")};
    }
    return request;
}

PublishRequest publish_request(json::object const& command) {
    PublishRequest request{.topic = text_of(command, "topic"),
                           .payload = payload_of(command),
                           .qos = number_of(command, "qos", 0),
                           .retain = number_of(command, "retain", false)};
    if (auto const* properties = command.if_contains("properties"))
        request.properties = properties->as_object();
    return request;
}

/// One message to each of PREFIX/0, PREFIX/1, ...; the payload is the number.
void publish_many(Driver& driver, json::object const& command) {
    auto request = publish_request(command);
    auto prefix = request.topic + "/";
    for (int i = 0; i < number_of(command, "count", 0); ++i) {
        request.payload = std::to_string(i);
        request.topic = prefix + request.payload;
        driver.publish(request);
    }
}

std::vector<std::string> filters_of(json::object const& command) {
    return json::value_to<std::vector<std::string>>(command.at("filters"));
}

void obey(Driver& driver, json::object const& command) {
    auto what = text_of(command, "do");
    if (what == "connect") return driver.connect(connect_request(command));
    if (what == "subscribe")
        return driver.subscribe(filters_of(command), number_of(command, "qos", 0));
    if (what == "unsubscribe") return driver.unsubscribe(filters_of(command));
    if (what == "publish") return driver.publish(publish_request(command));
    if (what == "publish_many") return publish_many(driver, command);
    if (what == "disconnect") return driver.disconnect();
    if (what != "close") throw std::runtime_error{"unknown command: " + what};
    driver.close();
    tell({{"event", "closed"}});
}

}  // namespace

void Properties::add(MQTTPropertyCodes code, std::uint32_t number) {
    MQTTProperty property{};
    property.identifier = code;
    if (MQTTProperty_getType(code) == MQTTPROPERTY_TYPE_BYTE)
        property.value.byte = static_cast<unsigned char>(number);
    else
        property.value.integer4 = number;
    MQTTProperties_add(&properties_, &property);
}

void Properties::add(MQTTPropertyCodes code, std::string_view text) {
    MQTTProperty property{};
    property.identifier = code;
    property.value.data = borrowed(text);
    MQTTProperties_add(&properties_, &property);
}

void Properties::add_user(std::string_view name, std::string_view value) {
    MQTTProperty property{};
    property.identifier = MQTTPROPERTY_CODE_USER_PROPERTY;
    property.value.data = borrowed(name);
    property.value.value = borrowed(value);
    MQTTProperties_add(&properties_, &property);
}

void Properties::add_of_publish(json::object const& named) {
    for (auto const& [key, value] : named) {
        if (key == "format") {
            add(MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, json::value_to<std::uint32_t>(value));
        } else if (key == "expiry") {
            add(MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, json::value_to<std::uint32_t>(value));
        } else if (key == "content_type") {
            add(MQTTPROPERTY_CODE_CONTENT_TYPE, value.as_string());
        } else if (key == "response_topic") {
            add(MQTTPROPERTY_CODE_RESPONSE_TOPIC, value.as_string());
        } else if (key == "correlation") {
            add(MQTTPROPERTY_CODE_CORRELATION_DATA, unhex(value.as_string()));
        } else if (key == "user") {
            for (auto const& pair : value.as_array())
                add_user(pair.at(0).as_string(), pair.at(1).as_string());
        } else {
            throw std::runtime_error{"unknown property: " + std::string{key}};
        }
    }
}

void tell(json::object const& event) {
    static std::mutex mutex;
    auto line = json::serialize(event) + "\n";
    std::lock_guard lock{mutex};
    std::cout << line << std::flush;
}

void tell_connected(bool session_present) {
    tell({{"event", "connected"}, {"session_present", session_present}});
}

void tell_refused(int reason) {
    tell({{"event", "refused"}, {"reason", reason}});
}

void tell_subscribed(std::vector<int> const& codes) {
    tell({{"event", "subscribed"}, {"codes", json::value_from(codes)}});
}

void tell_published(int reason) {
    tell({{"event", "published"}, {"reason", reason}});
}

void tell_error(std::string const& what) {
    tell({{"event", "error"}, {"what", what}});
}

void tell_message(std::string_view topic, MQTTClient_message const& message) {
    std::string_view payload{static_cast<char const*>(message.payload),
                             static_cast<std::size_t>(message.payloadlen)};
    json::object properties;
    for (int i = 0; i < message.properties.count; ++i)
        add_to(properties, message.properties.array[i]);
    json::object event{{"event", "message"},
                       {"topic", topic},
                       {"qos", message.qos},
                       {"retain", message.retained != 0},
                       {"dup", message.dup != 0},
                       {"size", payload.size()},
                       {"properties", std::move(properties)}};
    if (payload.size() <= kShownMax)
        event["payload"] = hex(payload);
    else
        event["sha256"] = digest(payload);
    tell(event);
}

unsigned int give_psk(char const*, char* identity, unsigned int identity_size_max,
                      unsigned char* psk, unsigned int psk_size_max, void* context) {
    auto const& tls = *static_cast<TlsRequest const*>(context);
    if (tls.psk_identity.size() >= identity_size_max || tls.psk.size() > psk_size_max) return 0;
    std::memcpy(identity, tls.psk_identity.c_str(), tls.psk_identity.size() + 1);
    std::memcpy(psk, tls.psk.data(), tls.psk.size());
    return static_cast<unsigned int>(tls.psk.size());
}

void drive(Driver& driver) {
    std::string line;
    while (std::getline(std::cin, line)) {
        try {
            obey(driver, json::parse(line).as_object());
        } catch (std::exception const& error) {
            tell_error(error.what());
        }
    }
    driver.close();
}

}  // namespace spoke::interop
