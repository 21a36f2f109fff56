#include <mqtt/async_client.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include <unistd.h>

// Paho MQTT C++ against the broker on 127.0.0.1:$SPOKE_PORT.

namespace {

using namespace std::chrono_literals;

constexpr auto kDeadline = 60s;

std::string broker_uri() {
    auto const* port = std::getenv("SPOKE_PORT");
    REQUIRE(port != nullptr);
    return std::string{"tcp://127.0.0.1:"} + port;
}

/// Differs for every call and every run: tests must not meet each other's sessions and topics.
std::string fresh(std::string const& name) {
    static int number = 0;
    return "paho/" + name + "/" + std::to_string(::getpid()) + "/" + std::to_string(++number);
}

mqtt::create_options made_for(int version) {
    constexpr int kMessagesWaitingMax = 1000;
    return {version, kMessagesWaitingMax};
}

mqtt::connect_options start_clean(int version) {
    mqtt::connect_options options;
    options.set_mqtt_version(version);
    if (version == MQTTVERSION_5)
        options.set_clean_start(true);
    else
        options.set_clean_session(true);
    return options;
}

mqtt::connect_options keep_session(int version) {
    mqtt::connect_options options;
    options.set_mqtt_version(version);
    if (version == MQTTVERSION_5) {
        options.set_clean_start(false);
        options.set_properties({mqtt::property{mqtt::property::SESSION_EXPIRY_INTERVAL, 300}});
    } else {
        options.set_clean_session(false);
    }
    return options;
}

/// A connected client that queues what it receives.
class Client {
public:
    explicit Client(int version, std::string const& id = fresh("client"))
        : Client(version, id, start_clean(version)) {}

    Client(int version, std::string const& id, mqtt::connect_options const& options)
        : client_(broker_uri(), id, made_for(version)) {
        client_.start_consuming();
        // A copy: options that were moved lose their properties on the way.
        auto token = client_.connect(options);
        REQUIRE(token->wait_for(kDeadline));
        session_present_ = token->get_connect_response().is_session_present();
    }

    ~Client() {
        if (client_.is_connected()) client_.disconnect()->wait_for(kDeadline);
        client_.stop_consuming();
    }
    Client(Client const&) = delete;
    Client& operator=(Client const&) = delete;

    mqtt::async_client* operator->() { return &client_; }
    [[nodiscard]] bool session_present() const { return session_present_; }

    void subscribe(std::string const& filter, int qos) {
        REQUIRE(client_.subscribe(filter, qos)->wait_for(kDeadline));
    }

    mqtt::token_ptr publish(mqtt::message_ptr message) {
        auto token = client_.publish(std::move(message));
        REQUIRE(token->wait_for(kDeadline));
        return token;
    }

    mqtt::token_ptr publish(std::string const& topic, std::string const& payload, int qos,
                            bool retain = false) {
        return publish(mqtt::make_message(topic, payload, qos, retain));
    }

    mqtt::const_message_ptr next() {
        mqtt::const_message_ptr message;
        REQUIRE(client_.try_consume_message_for(&message, kDeadline));
        REQUIRE(message);
        return message;
    }

private:
    mqtt::async_client client_;
    bool session_present_ = false;
};

int any_version() {
    return GENERATE(int{MQTTVERSION_3_1_1}, int{MQTTVERSION_5});
}

}  // namespace

TEST_CASE("paho: every QoS arrives once and in order", "[interop]") {
    auto version = any_version();
    auto topic = fresh("qos");
    Client subscriber{version};
    subscriber.subscribe(topic, 2);
    Client publisher{version};
    for (int qos : {0, 1, 2}) {
        publisher.publish(topic, "m" + std::to_string(qos), qos);
        auto message = subscriber.next();
        CHECK(message->to_string() == "m" + std::to_string(qos));
        CHECK(message->get_qos() == qos);
        CHECK_FALSE(message->is_retained());
    }
}

TEST_CASE("paho: messages in flight side by side keep their order", "[interop]") {
    auto version = any_version();
    auto qos = GENERATE(1, 2);
    auto topic = fresh("order");
    Client subscriber{version};
    subscriber.subscribe(topic, qos);
    Client publisher{version};
    std::vector<mqtt::token_ptr> tokens;
    for (int i = 0; i < 300; ++i)
        tokens.push_back(publisher->publish(topic, std::to_string(i), qos, false));
    for (auto const& token : tokens) REQUIRE(token->wait_for(kDeadline));
    for (int i = 0; i < 300; ++i) REQUIRE(subscriber.next()->to_string() == std::to_string(i));
}

TEST_CASE("paho: a retained message meets a later subscription", "[interop]") {
    auto version = any_version();
    auto topic = fresh("kept");
    Client publisher{version};
    publisher.publish(topic, "old", 1, true);
    publisher.publish(topic, "new", 1, true);
    Client subscriber{version};
    subscriber.subscribe(topic, 1);
    auto message = subscriber.next();
    CHECK(message->to_string() == "new");
    CHECK(message->is_retained());
}

TEST_CASE("paho: a session keeps subscription and messages while its client is away", "[interop]") {
    auto version = any_version();
    auto qos = GENERATE(1, 2);
    auto topic = fresh("away");
    auto id = fresh("session");
    {
        Client first{version, id, keep_session(version)};
        CHECK_FALSE(first.session_present());
        first.subscribe(topic, 2);
    }
    Client publisher{version};
    for (int i = 0; i < 10; ++i) publisher.publish(topic, std::to_string(i), qos);
    Client again{version, id, keep_session(version)};
    CHECK(again.session_present());
    for (int i = 0; i < 10; ++i) CHECK(again.next()->to_string() == std::to_string(i));
}

TEST_CASE("paho: a client that takes over its id sends the first one away", "[interop]") {
    auto version = any_version();
    auto topic = fresh("will");
    auto id = fresh("twin");
    Client watcher{version};
    watcher.subscribe(topic, 1);
    auto options = start_clean(version);
    options.set_will(mqtt::message{topic, "gone", 1, false});
    Client first{version, id, options};
    Client second{version, id};
    CHECK(watcher.next()->to_string() == "gone");
    CHECK(second->is_connected());
}

TEST_CASE("paho: properties travel unchanged", "[interop]") {
    auto topic = fresh("props");
    Client subscriber{MQTTVERSION_5};
    mqtt::properties with_id{mqtt::property{mqtt::property::SUBSCRIPTION_IDENTIFIER, 300}};
    REQUIRE(
        subscriber->subscribe(topic, 1, mqtt::subscribe_options{}, with_id)->wait_for(kDeadline));
    mqtt::properties properties{
        mqtt::property{mqtt::property::CONTENT_TYPE, "text/plain"},
        mqtt::property{mqtt::property::RESPONSE_TOPIC, "answers/here"},
        mqtt::property{mqtt::property::CORRELATION_DATA, std::string{"\0\1\2", 3}},
        mqtt::property{mqtt::property::USER_PROPERTY, "a", "1"},
        mqtt::property{mqtt::property::USER_PROPERTY, "a", "2"}};
    Client publisher{MQTTVERSION_5};
    publisher.publish(std::make_shared<mqtt::message>(topic, "x", 1, false, properties));
    auto message = subscriber.next();
    auto const& got = message->get_properties();
    CHECK(mqtt::get<std::string>(got, mqtt::property::CONTENT_TYPE) == "text/plain");
    CHECK(mqtt::get<std::string>(got, mqtt::property::RESPONSE_TOPIC) == "answers/here");
    CHECK(mqtt::get<std::string>(got, mqtt::property::CORRELATION_DATA) ==
          std::string{"\0\1\2", 3});
    CHECK(mqtt::get<std::uint32_t>(got, mqtt::property::SUBSCRIPTION_IDENTIFIER) == 300);
    CHECK(got.count(mqtt::property::USER_PROPERTY) == 2);
}

TEST_CASE("paho: a shared subscription gives each message to one member", "[interop]") {
    auto topic = fresh("shared");
    std::vector<std::unique_ptr<Client>> members;
    for (int i = 0; i < 3; ++i) {
        members.push_back(std::make_unique<Client>(MQTTVERSION_5));
        members.back()->subscribe("$share/team/" + topic, 1);
    }
    Client publisher{MQTTVERSION_5};
    constexpr int kCount = 90;
    for (int i = 0; i < kCount; ++i) publisher.publish(topic, std::to_string(i), 1);
    // Deliveries of one topic arrive in order, so the end mark that each member gets directly
    // comes after its share.
    std::map<std::string, int> seen;
    for (auto& member : members) {
        member->subscribe(topic + "/end", 1);
        publisher.publish(topic + "/end", "end", 1);
        for (auto message = member->next(); message->to_string() != "end"; message = member->next())
            ++seen[message->to_string()];
    }
    CHECK(seen.size() == kCount);
    for (auto const& [payload, times] : seen) CHECK(times == 1);
}
