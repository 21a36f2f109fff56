#pragma once

#include <MQTTClient.h>
#include <MQTTProperties.h>

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the drivers of Paho's libraries have in common: a test writes one JSON object per line to
// standard input, a driver answers with one JSON object per event. tests/interop/clients.py says
// what each of them means.

namespace spoke::interop {

namespace json = boost::json;

/// Properties in the form of Paho's C library, freed with this object.
class Properties {
public:
    Properties() = default;
    Properties(Properties const&) = delete;
    Properties& operator=(Properties const&) = delete;
    ~Properties() { MQTTProperties_free(&properties_); }

    void add(MQTTPropertyCodes code, std::uint32_t number);
    void add(MQTTPropertyCodes code, std::string_view text);
    void add_user(std::string_view name, std::string_view value);
    /// Those of a PUBLISH, as the tests name them.
    void add_of_publish(json::object const& named);

    [[nodiscard]] MQTTProperties* get() noexcept { return &properties_; }

private:
    MQTTProperties properties_ = MQTTProperties_initializer;
};

struct WillRequest {
    std::string topic;
    std::string payload;
    int qos = 0;
    bool retain = false;
};

struct TlsRequest {
    std::string ca;
    std::string certificate;
    std::string key;
    std::string psk;  // bytes
    std::string psk_identity;
};

struct ConnectRequest {
    std::string uri;
    std::string id;
    int version = MQTTVERSION_3_1_1;
    bool clean = true;
    std::optional<std::uint32_t> expiry;
    int keep_alive = 60;
    std::optional<std::string> user;
    std::optional<std::string> password;
    std::optional<WillRequest> will;
    std::optional<TlsRequest> tls;
    bool reconnects = false;  // by itself, if the library does that

    [[nodiscard]] bool is_v5() const noexcept { return version == MQTTVERSION_5; }
};

struct PublishRequest {
    std::string topic;
    std::string payload;
    int qos = 0;
    bool retain = false;
    json::object properties{};
};

/// A client that does what the test says. An instance is one client as the library sees it: it
/// keeps what is in flight from one connection to the next, and goes with close().
class Driver {
public:
    virtual ~Driver() = default;
    virtual void connect(ConnectRequest const& request) = 0;
    virtual void subscribe(std::vector<std::string> const& filters, int qos) = 0;
    virtual void unsubscribe(std::vector<std::string> const& filters) = 0;
    virtual void publish(PublishRequest const& request) = 0;
    virtual void disconnect() = 0;
    virtual void close() = 0;
};

/// Prints `event` as one line. Thread: any.
void tell(json::object const& event);
void tell_connected(bool session_present);
void tell_refused(int reason);
void tell_subscribed(std::vector<int> const& codes);
/// `reason`: 0 where the library does not tell.
void tell_published(int reason);
void tell_error(std::string const& what);
void tell_message(std::string_view topic, MQTTClient_message const& message);

/// Obeys until standard input ends.
void drive(Driver& driver);

/// Paho's options of the synchronous and the asynchronous library have the same fields, under two
/// names.
template <class Options>
void fill_will(Options& options, WillRequest const& will) {
    options.topicName = will.topic.c_str();
    options.payload.len = static_cast<int>(will.payload.size());
    options.payload.data = will.payload.data();
    options.qos = will.qos;
    options.retained = will.retain;
}

/// Hands out the identity and key of the TlsRequest that `context` points to.
unsigned int give_psk(char const* hint, char* identity, unsigned int identity_size_max,
                      unsigned char* psk, unsigned int psk_size_max, void* context);

template <class Options>
void fill_tls(Options& options, TlsRequest const& tls) {
    if (!tls.ca.empty()) options.trustStore = tls.ca.c_str();
    if (!tls.certificate.empty()) options.keyStore = tls.certificate.c_str();
    if (!tls.key.empty()) options.privateKey = tls.key.c_str();
    options.verify = tls.psk.empty();  // the name in the certificate, if there is one
    options.disableDefaultTrustStore = 1;
    if (tls.psk.empty()) return;
    options.enableServerCertAuth = 0;
    options.enabledCipherSuites = "PSK";
    options.ssl_psk_cb = give_psk;
    options.ssl_psk_context = const_cast<TlsRequest*>(&tls);
}

template <class Options>
void fill_connect(Options& options, ConnectRequest const& request) {
    options.keepAliveInterval = request.keep_alive;
    options.MQTTVersion = request.version;
    (request.is_v5() ? options.cleanstart : options.cleansession) = request.clean;
    if (request.user) options.username = request.user->c_str();
    if (request.password) options.password = request.password->c_str();
}

}  // namespace spoke::interop
