#include <MQTTAsync.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/interop/paho/driver.hpp"

// Paho MQTT C, the asynchronous library: MQTTAsync. Every call returns at once; what comes of it is
// told from its callbacks.

namespace spoke::interop {

namespace {

constexpr int kMillisecondsMax = 60'000;
constexpr int kInflightMax = 1000;
constexpr int kBufferedMax = 100'000;

void check(int code, char const* what) {
    if (code == MQTTASYNC_SUCCESS) return;
    throw std::runtime_error{std::string{what} + ": " + std::to_string(code)};
}

void tell_failure(char const* what, int code, char const* message) {
    tell_error(std::string{what} + ": " + std::to_string(code) + " " +
               (message != nullptr ? message : ""));
}

std::vector<char*> c_strings(std::vector<std::string> const& texts) {
    std::vector<char*> pointers;
    for (auto const& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    return pointers;
}

// --- What becomes of each request, in both versions' forms -----------------------------------

void connected(void*, MQTTAsync_successData* data) {
    tell_connected(data->alt.connect.sessionPresent != 0);
}
void connected5(void*, MQTTAsync_successData5* data) {
    tell_connected(data->alt.connect.sessionPresent != 0);
}
void refused(void*, MQTTAsync_failureData* data) {
    tell_refused(data->code);
}
void refused5(void*, MQTTAsync_failureData5* data) {
    tell_refused(data->reasonCode != MQTTREASONCODE_SUCCESS ? data->reasonCode : data->code);
}

/// The library tells a list only of more than one filter; `context` says how many there were.
void subscribed(void* context, MQTTAsync_successData* data) {
    auto count = reinterpret_cast<std::intptr_t>(context);
    if (count == 1) return tell_subscribed({data->alt.qos});
    tell_subscribed({data->alt.qosList, data->alt.qosList + count});
}
void subscribed5(void* context, MQTTAsync_successData5* data) {
    if (reinterpret_cast<std::intptr_t>(context) == 1) return tell_subscribed({data->reasonCode});
    auto const& list = data->alt.sub;
    tell_subscribed({list.reasonCodes, list.reasonCodes + list.reasonCodeCount});
}
void unsubscribed(void*, MQTTAsync_successData*) {
    tell({{"event", "unsubscribed"}});
}
void unsubscribed5(void*, MQTTAsync_successData5*) {
    tell({{"event", "unsubscribed"}});
}
void published(void*, MQTTAsync_successData*) {
    tell_published(0);
}
void published5(void*, MQTTAsync_successData5*) {
    tell_published(0);
}
void disconnected(void*, MQTTAsync_successData*) {
    tell({{"event", "disconnected"}});
}
void disconnected5(void*, MQTTAsync_successData5*) {
    tell({{"event", "disconnected"}});
}
void failed(void*, MQTTAsync_failureData* data) {
    tell_failure("request", data->code, data->message);
}
void failed5(void*, MQTTAsync_failureData5* data) {
    tell_failure("request", data->code != 0 ? data->code : data->reasonCode, data->message);
}

void not_published5(void* context, MQTTAsync_failureData5* data) {
    if (data->reasonCode < 0x80) return failed5(context, data);
    tell_published(data->reasonCode);
}

void lost(void*, char*) {
    tell({{"event", "lost"}});
}
void sent_away(void*, MQTTProperties*, MQTTReasonCodes) {
    tell({{"event", "lost"}});
}
/// For the first connection, too, which on_success tells of.
void connected_again(void*, char* cause) {
    if (std::string_view{cause} == "automatic reconnect") tell({{"event", "reconnected"}});
}

int arrived(void*, char* topic, int size, MQTTAsync_message* message) {
    // The size is 0 unless the topic holds a null character.
    MQTTClient_message same = MQTTClient_message_initializer;
    same.payload = message->payload;
    same.payloadlen = message->payloadlen;
    same.qos = message->qos;
    same.retained = message->retained;
    same.dup = message->dup;
    same.properties = message->properties;
    tell_message(size > 0 ? std::string{topic, static_cast<std::size_t>(size)} : topic, same);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

class AsyncDriver final : public Driver {
public:
    ~AsyncDriver() override { close(); }

    void connect(ConnectRequest const& request) override {
        is_v5_ = request.is_v5();
        request_ = request;  // the library keeps pointers into it
        if (client_ == nullptr) create();
        MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
        if (is_v5_) options = MQTTAsync_connectOptions_initializer5;
        fill_connect(options, request_);
        options.maxInflight = kInflightMax;
        options.automaticReconnect = request_.reconnects;
        options.minRetryInterval = options.maxRetryInterval = 1;
        will_ = MQTTAsync_willOptions_initializer;
        if (request_.will) fill_will(*(options.will = &will_), *request_.will);
        tls_ = MQTTAsync_SSLOptions_initializer;
        if (request_.tls) fill_tls(*(options.ssl = &tls_), *request_.tls);
        Properties properties;
        if (request_.expiry)
            properties.add(MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, *request_.expiry);
        if (is_v5_) {
            options.connectProperties = properties.get();
            options.onSuccess5 = connected5;
            options.onFailure5 = refused5;
        } else {
            options.onSuccess = connected;
            options.onFailure = refused;
        }
        check(MQTTAsync_connect(client_, &options), "connect");
    }

    void subscribe(std::vector<std::string> const& filters, int qos) override {
        auto topics = c_strings(filters);
        std::vector<int> levels(topics.size(), qos);
        auto count = static_cast<int>(topics.size());
        auto response = response_to(subscribed, subscribed5);
        response.context = reinterpret_cast<void*>(static_cast<std::intptr_t>(count));
        std::vector<MQTTSubscribe_options> options(topics.size(),
                                                   MQTTSubscribe_options_initializer);
        if (is_v5_) {
            response.subscribeOptionsCount = count;
            response.subscribeOptionsList = options.data();
        }
        check(MQTTAsync_subscribeMany(client_, count, topics.data(), levels.data(), &response),
              "subscribe");
    }

    void unsubscribe(std::vector<std::string> const& filters) override {
        auto topics = c_strings(filters);
        auto response = response_to(unsubscribed, unsubscribed5);
        check(MQTTAsync_unsubscribeMany(client_, static_cast<int>(topics.size()), topics.data(),
                                        &response),
              "unsubscribe");
    }

    void publish(PublishRequest const& request) override {
        Properties properties;
        properties.add_of_publish(request.properties);
        MQTTAsync_message message = MQTTAsync_message_initializer;
        message.payload = const_cast<char*>(request.payload.data());
        message.payloadlen = static_cast<int>(request.payload.size());
        message.qos = request.qos;
        message.retained = request.retain;
        if (is_v5_) message.properties = *properties.get();
        auto response = response_to(published, published5);
        if (is_v5_) response.onFailure5 = not_published5;
        check(MQTTAsync_sendMessage(client_, request.topic.c_str(), &message, &response),
              "publish");
    }

    void disconnect() override {
        MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
        if (is_v5_) options = MQTTAsync_disconnectOptions_initializer5;
        options.timeout = kMillisecondsMax;
        if (is_v5_) {
            options.onSuccess5 = disconnected5;
            options.onFailure5 = failed5;
        } else {
            options.onSuccess = disconnected;
            options.onFailure = failed;
        }
        check(MQTTAsync_disconnect(client_, &options), "disconnect");
    }

    void close() override {
        if (client_ == nullptr) return;
        MQTTAsync_destroy(&client_);
        client_ = nullptr;
    }

private:
    void create() {
        MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
        options.MQTTVersion = request_.version;
        options.maxBufferedMessages = kBufferedMax;
        check(MQTTAsync_createWithOptions(&client_, request_.uri.c_str(), request_.id.c_str(),
                                          MQTTCLIENT_PERSISTENCE_NONE, nullptr, &options),
              "create");
        check(MQTTAsync_setCallbacks(client_, this, lost, arrived, nullptr), "callbacks");
        check(MQTTAsync_setDisconnected(client_, this, sent_away), "callbacks");
        check(MQTTAsync_setConnected(client_, this, connected_again), "callbacks");
    }

    [[nodiscard]] MQTTAsync_responseOptions response_to(MQTTAsync_onSuccess* success,
                                                        MQTTAsync_onSuccess5* success5) const {
        MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
        if (is_v5_) {
            options.onSuccess5 = success5;
            options.onFailure5 = failed5;
        } else {
            options.onSuccess = success;
            options.onFailure = failed;
        }
        return options;
    }

    MQTTAsync client_ = nullptr;
    ConnectRequest request_;
    MQTTAsync_willOptions will_{};
    MQTTAsync_SSLOptions tls_{};
    bool is_v5_ = false;
};

}  // namespace

}  // namespace spoke::interop

int main() {
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;
    options.do_openssl_init = 1;
    MQTTAsync_global_init(&options);
    spoke::interop::AsyncDriver driver;
    spoke::interop::drive(driver);
}
