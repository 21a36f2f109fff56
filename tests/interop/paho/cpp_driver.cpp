#include <mqtt/async_client.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/interop/paho/driver.hpp"

// Paho MQTT C++: mqtt::async_client with a callback and one listener per request.

namespace spoke::interop {

namespace {

constexpr int kInflightMax = 1000;
constexpr int kBufferedMax = 100'000;
constexpr int kMillisecondsMax = 60'000;
constexpr std::chrono::seconds kRetry{1};

/// Tells what has become of a request.
class Listener final : public mqtt::iaction_listener {
public:
    using Tell = void (*)(mqtt::token const&);
    explicit Listener(Tell success, Tell failure = tell_failure)
        : success_(success), failure_(failure) {}

    void on_success(mqtt::token const& token) override { success_(token); }
    void on_failure(mqtt::token const& token) override { failure_(token); }

private:
    static void tell_failure(mqtt::token const& token) {
        tell_error("request: " + std::to_string(token.get_return_code()));
    }

    Tell success_;
    Tell failure_;
};

/// Tells of all filters together, whether they were asked for in one packet or in many.
class SubscribeListener final : public mqtt::iaction_listener {
public:
    void await(std::size_t count) {
        count_ = count;
        codes_.clear();
    }
    void on_success(mqtt::token const& token) override {
        auto response = token.get_subscribe_response();
        for (int code : response.get_reason_codes()) codes_.push_back(code);
        if (codes_.size() == count_) tell_subscribed(codes_);
    }
    void on_failure(mqtt::token const& token) override {
        tell_error("subscribe: " + std::to_string(token.get_return_code()));
    }

private:
    std::size_t count_ = 0;
    std::vector<int> codes_;
};

void on_connected(mqtt::token const& token) {
    tell_connected(token.get_connect_response().is_session_present());
}

void on_refused(mqtt::token const& token) {
    int code = token.get_return_code();  // of 3.1.1; of 5.0 -1
    tell_refused(code > 0 ? code : token.get_reason_code());
}

void on_unsubscribed(mqtt::token const&) {
    tell({{"event", "unsubscribed"}});
}

void on_published(mqtt::token const&) {
    tell_published(0);
}

void on_not_published(mqtt::token const& token) {
    int reason = token.get_reason_code();
    if (reason >= 0x80) return tell_published(reason);
    tell_error("publish: " + std::to_string(token.get_return_code()));
}

void on_disconnected(mqtt::token const&) {
    tell({{"event", "disconnected"}});
}

class CppDriver final : public Driver, private mqtt::callback {
public:
    ~CppDriver() override { close(); }

    void connect(ConnectRequest const& request) override {
        request_ = request;
        if (!client_) create();
        mqtt::connect_options options;
        options.set_mqtt_version(request_.version);
        if (request_.is_v5())
            options.set_clean_start(request_.clean);
        else
            options.set_clean_session(request_.clean);
        options.set_keep_alive_interval(request_.keep_alive);
        options.set_max_inflight(kInflightMax);
        if (request_.reconnects) options.set_automatic_reconnect(kRetry, kRetry);
        if (request_.user) options.set_user_name(*request_.user);
        if (request_.password) options.set_password(*request_.password);
        if (request_.will) options.set_will(will());
        if (request_.tls) options.set_ssl(tls());
        if (request_.expiry) {
            options.set_properties({mqtt::property{mqtt::property::SESSION_EXPIRY_INTERVAL,
                                                   static_cast<int>(*request_.expiry)}});
        }
        client_->connect(options, nullptr, connect_listener_);
    }

    void subscribe(std::vector<std::string> const& filters, int qos) override {
        subscribe_listener_.await(filters.size());
        if (!request_.is_v5()) {
            mqtt::iasync_client::qos_collection levels(filters.size(), qos);
            client_->subscribe(mqtt::string_collection::create(filters), levels, nullptr,
                               subscribe_listener_);
            return;
        }
        // This version of the library reads options which it has not set when a list is given.
        for (auto const& filter : filters)
            client_->subscribe(filter, qos, nullptr, subscribe_listener_);
    }

    void unsubscribe(std::vector<std::string> const& filters) override {
        client_->unsubscribe(mqtt::string_collection::create(filters), nullptr,
                             unsubscribe_listener_);
    }

    void publish(PublishRequest const& request) override {
        Properties properties;
        properties.add_of_publish(request.properties);
        auto message =
            std::make_shared<mqtt::message>(request.topic, request.payload, request.qos,
                                            request.retain, mqtt::properties{*properties.get()});
        client_->publish(message, nullptr, publish_listener_);
    }

    void disconnect() override {
        client_->disconnect(kMillisecondsMax, nullptr, disconnect_listener_);
    }

    void close() override { client_.reset(); }

private:
    void create() {
        mqtt::create_options options{request_.version, kBufferedMax};
        client_ = std::make_unique<mqtt::async_client>(request_.uri, request_.id, options);
        client_->set_callback(*this);
        client_->set_disconnected_handler([](mqtt::properties const&, mqtt::ReasonCode) {
            tell({{"event", "lost"}});
        });
    }

    [[nodiscard]] mqtt::will_options will() const {
        auto const& will = *request_.will;
        return {will.topic, mqtt::binary_ref{will.payload}, will.qos, will.retain};
    }

    [[nodiscard]] mqtt::ssl_options tls() {
        auto& tls = *request_.tls;
        mqtt::ssl_options options;
        options.set_verify(tls.psk.empty());
        if (!tls.ca.empty()) options.set_trust_store(tls.ca);
        if (!tls.certificate.empty()) options.set_key_store(tls.certificate);
        if (!tls.key.empty()) options.set_private_key(tls.key);
        if (tls.psk.empty()) return options;
        options.set_enable_server_cert_auth(false);
        options.set_enabled_cipher_suites("PSK");
        options.set_psk_handler([&tls](std::string const& hint, char* identity,
                                       std::size_t identity_size_max, unsigned char* psk,
                                       std::size_t psk_size_max) {
            return give_psk(hint.c_str(), identity, static_cast<unsigned>(identity_size_max), psk,
                            static_cast<unsigned>(psk_size_max), &tls);
        });
        return options;
    }

    void connection_lost(std::string const&) override { tell({{"event", "lost"}}); }

    /// For the first connection, too, which its listener tells of.
    void connected(std::string const& cause) override {
        if (cause == "automatic reconnect") tell({{"event", "reconnected"}});
    }

    void message_arrived(mqtt::const_message_ptr message) override {
        auto const& payload = message->get_payload();
        MQTTClient_message same = MQTTClient_message_initializer;
        same.payload = const_cast<char*>(payload.data());
        same.payloadlen = static_cast<int>(payload.size());
        same.qos = message->get_qos();
        same.retained = message->is_retained();
        same.dup = message->is_duplicate();
        same.properties = message->get_properties().c_struct();
        tell_message(message->get_topic(), same);
    }

    // The client refers to these until it is gone.
    Listener connect_listener_{on_connected, on_refused};
    SubscribeListener subscribe_listener_;
    Listener unsubscribe_listener_{on_unsubscribed};
    Listener publish_listener_{on_published, on_not_published};
    Listener disconnect_listener_{on_disconnected};
    ConnectRequest request_;
    std::unique_ptr<mqtt::async_client> client_;
};

}  // namespace

}  // namespace spoke::interop

int main() {
    spoke::interop::CppDriver driver;
    spoke::interop::drive(driver);
}
