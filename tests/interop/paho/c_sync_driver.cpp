#include <MQTTClient.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/interop/paho/driver.hpp"

// Paho MQTT C, the synchronous library: MQTTClient.

namespace spoke::interop {

namespace {

constexpr unsigned long kMillisecondsMax = 60'000;
constexpr int kInflightMax = 1000;

void check(int code, char const* what) {
    if (code == MQTTCLIENT_SUCCESS) return;
    throw std::runtime_error{std::string{what} + ": " + std::to_string(code)};
}

/// Frees what a call of the version 5 interface returned.
class Response {
public:
    explicit Response(MQTTResponse response) : response_(response) {}
    Response(Response const&) = delete;
    Response& operator=(Response const&) = delete;
    ~Response() { MQTTResponse_free(response_); }

    [[nodiscard]] int reason() const noexcept { return response_.reasonCode; }
    /// One per filter; of a single filter the library gives the reason alone.
    [[nodiscard]] std::vector<int> codes() const {
        if (response_.reasonCodes == nullptr) return {response_.reasonCode};
        return {response_.reasonCodes, response_.reasonCodes + response_.reasonCodeCount};
    }

private:
    MQTTResponse response_;
};

std::vector<char*> c_strings(std::vector<std::string> const& texts) {
    std::vector<char*> pointers;
    for (auto const& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    return pointers;
}

class SyncDriver final : public Driver {
public:
    ~SyncDriver() override { close(); }

    void connect(ConnectRequest const& request) override {
        is_v5_ = request.is_v5();
        if (client_ == nullptr) create(request);
        MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
        if (is_v5_) options = MQTTClient_connectOptions_initializer5;
        fill_connect(options, request);
        options.reliable = 0;
        options.maxInflightMessages = kInflightMax;
        MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
        if (request.will) fill_will(*(options.will = &will), *request.will);
        MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
        if (request.tls) fill_tls(*(options.ssl = &tls), *request.tls);
        int reason = connect_with(options, request);
        if (reason != 0) return tell_refused(reason);
        tell_connected(options.returned.sessionPresent != 0);
    }

    void subscribe(std::vector<std::string> const& filters, int qos) override {
        auto topics = c_strings(filters);
        std::vector<int> codes(topics.size(), qos);
        auto count = static_cast<int>(topics.size());
        if (is_v5_) {
            std::vector<MQTTSubscribe_options> options(topics.size(),
                                                       MQTTSubscribe_options_initializer);
            codes = Response{MQTTClient_subscribeMany5(client_, count, topics.data(), codes.data(),
                                                       options.data(), nullptr)}
                        .codes();
        } else {
            check(MQTTClient_subscribeMany(client_, count, topics.data(), codes.data()),
                  "subscribe");
        }
        tell_subscribed(codes);
    }

    void unsubscribe(std::vector<std::string> const& filters) override {
        auto topics = c_strings(filters);
        auto count = static_cast<int>(topics.size());
        if (is_v5_)
            Response{MQTTClient_unsubscribeMany5(client_, count, topics.data(), nullptr)};
        else
            check(MQTTClient_unsubscribeMany(client_, count, topics.data()), "unsubscribe");
        tell({{"event", "unsubscribed"}});
    }

    void publish(PublishRequest const& request) override {
        Properties properties;
        properties.add_of_publish(request.properties);
        MQTTClient_message message = MQTTClient_message_initializer;
        message.payload = const_cast<char*>(request.payload.data());
        message.payloadlen = static_cast<int>(request.payload.size());
        message.qos = request.qos;
        message.retained = request.retain;
        if (is_v5_) {
            message.properties = *properties.get();
            check(Response{MQTTClient_publishMessage5(client_, request.topic.c_str(), &message,
                                                      nullptr)}
                      .reason(),
                  "publish");
        } else {
            check(MQTTClient_publishMessage(client_, request.topic.c_str(), &message, nullptr),
                  "publish");
        }
        // The callback is for QoS 1 and 2 alone.
        if (request.qos == 0) tell_published(0);
    }

    void disconnect() override {
        if (is_v5_)
            check(
                MQTTClient_disconnect5(client_, kMillisecondsMax, MQTTREASONCODE_SUCCESS, nullptr),
                "disconnect");
        else
            check(MQTTClient_disconnect(client_, kMillisecondsMax), "disconnect");
        tell({{"event", "disconnected"}});
    }

    void close() override {
        if (client_ == nullptr) return;
        if (MQTTClient_isConnected(client_)) MQTTClient_disconnect(client_, kMillisecondsMax);
        MQTTClient_destroy(&client_);
        client_ = nullptr;
    }

private:
    void create(ConnectRequest const& request) {
        MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
        options.MQTTVersion = request.version;
        check(MQTTClient_createWithOptions(&client_, request.uri.c_str(), request.id.c_str(),
                                           MQTTCLIENT_PERSISTENCE_NONE, nullptr, &options),
              "create");
        check(MQTTClient_setCommandTimeout(client_, kMillisecondsMax), "command timeout");
        check(MQTTClient_setCallbacks(client_, this, on_lost, on_message, on_published),
              "callbacks");
    }

    int connect_with(MQTTClient_connectOptions& options, ConnectRequest const& request) {
        if (!is_v5_) return MQTTClient_connect(client_, &options);
        Properties properties;
        if (request.expiry)
            properties.add(MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, *request.expiry);
        Properties will_properties;
        return Response{MQTTClient_connect5(client_, &options, properties.get(),
                                            request.will ? will_properties.get() : nullptr)}
            .reason();
    }

    static void on_lost(void*, char*) { tell({{"event", "lost"}}); }
    static void on_published(void*, MQTTClient_deliveryToken) { tell_published(0); }
    static int on_message(void*, char* topic, int size, MQTTClient_message* message) {
        // The size is 0 unless the topic holds a null character.
        tell_message(size > 0 ? std::string{topic, static_cast<std::size_t>(size)} : topic,
                     *message);
        MQTTClient_freeMessage(&message);
        MQTTClient_free(topic);
        return 1;
    }

    MQTTClient client_ = nullptr;
    bool is_v5_ = false;
};

}  // namespace

}  // namespace spoke::interop

int main() {
    MQTTClient_init_options options = MQTTClient_init_options_initializer;
    options.do_openssl_init = 1;
    MQTTClient_global_init(&options);
    spoke::interop::SyncDriver driver;
    spoke::interop::drive(driver);
}
