// TLS listeners as clients see them: versions, certificates, names, protocols, keys, reloading.
#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>

#include "tests/support/packet_table.hpp"
#include "tests/unit/broker/net/running_broker.hpp"
#include "tests/unit/broker/net/test_authority.hpp"
#include "tests/unit/broker/net/tls_client.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using broker::TlsSettings;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

using ClientCertificate = TlsSettings::ClientCertificate;
using Identity = TlsSettings::Identity;

/// Lets everyone in and remembers as whom.
class NotingAuthenticator final : public broker::Authenticator {
public:
    std::optional<broker::AuthVerdict> authenticate(broker::Credentials credentials,
                                                    Done) override {
        std::lock_guard lock{mutex_};
        if (credentials.shown_by_transport) users_[credentials.client_id] = *credentials.user_name;
        return ReasonCode::success;
    }
    std::unique_ptr<broker::AuthExchange> begin(std::string_view) override { return nullptr; }

    /// Empty: none was shown.
    [[nodiscard]] std::string user_of(std::string const& client_id) const {
        std::lock_guard lock{mutex_};
        auto found = users_.find(client_id);
        return found != users_.end() ? found->second : "";
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> users_;
};

/// Files and settings of a broker whose first listener speaks TLS.
struct Stage {
    Stage() {
        authority.issue(
            "server", {.common_name = "server", .alternative_names = "DNS:localhost,IP:127.0.0.1"});
        tls().certificates = {{path("server.pem"), path("server.key")}};
    }

    [[nodiscard]] std::string path(std::string const& name) const { return folder.file(name); }
    [[nodiscard]] TlsSettings& tls() { return options.net.listeners.front().tls; }
    void ask_for_clients(ClientCertificate how) {
        tls().client_certificate = how;
        tls().ca_file = path("ca.pem");
        authority.issue("client", {.common_name = "bike-7"});
    }
    [[nodiscard]] TlsClientOptions with_certificate(std::string const& name) const {
        return {.certificate_file = path(name + ".pem"), .key_file = path(name + ".key")};
    }
    void note_users() { options.net.listeners.front().link.authenticator = &authenticator; }

    TestFolder folder{};
    TestAuthority authority{folder, "ca"};
    NotingAuthenticator authenticator{};
    BrokerOptions options = with_shards(2);
};

TlsClient joined(RunningBroker const& broker, TlsClientOptions const& options,
                 std::string const& id = "c") {
    auto client = tls_client(broker.port(), options);
    client.mqtt.sends(connect(Version::v5).id(id)).gets(connack());
    return client;
}

/// Why a client does not get as far as CONNACK; empty if it does. A TLS 1.3 client learns only from
/// its first read what the server thinks of its certificate.
std::string refusal(RunningBroker const& broker, TlsClientOptions const& options) {
    try {
        (void)joined(broker, options);
        return {};
    } catch (std::runtime_error const& error) {
        return error.what();
    }
}

auto contains(char const* text) {
    return Catch::Contains(text, Catch::CaseSensitive::No);
}

void append(Buffer& bytes, Buffer const& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
}

}  // namespace

TEST_CASE("tls: versions 1.2 and 1.3 are spoken, or the one that is set") {
    Stage stage;
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    auto only = GENERATE(0, TLS1_2_VERSION, TLS1_3_VERSION);
    if (only == TLS1_2_VERSION) stage.tls().version_max = TlsSettings::Version::v1_2;
    if (only == TLS1_3_VERSION) stage.tls().version_min = TlsSettings::Version::v1_3;
    RunningBroker broker{stage.options};
    TlsClientOptions options{
        .ca_file = stage.path("ca.pem"), .version_min = version, .version_max = version};
    if (only != 0 && only != version) {
        CHECK_THAT(refusal(broker, options), contains("protocol version"));
        return;
    }
    auto client = joined(broker, options);
    CHECK(client.stream->version() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
    client.mqtt.sends(pingreq()).gets(pingresp());
}

TEST_CASE("tls: older versions are refused") {
    Stage stage;
    RunningBroker broker{stage.options};
    auto reason = refusal(broker, {.ciphers = "DEFAULT@SECLEVEL=0",
                                   .version_min = TLS1_VERSION,
                                   .version_max = TLS1_1_VERSION});
    CHECK_THAT(reason, contains("protocol version"));
}

TEST_CASE("tls: cipher lists, suites and curves hold") {
    Stage stage;
    stage.tls().ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    stage.tls().ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
    stage.tls().curves = "P-384";
    RunningBroker broker{stage.options};
    auto v1_2 = TLS1_2_VERSION;
    CHECK(refusal(broker, {.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384", .version_max = v1_2}) == "");
    CHECK_THAT(refusal(broker, {.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", .version_max = v1_2}),
               contains("handshake failure"));
    CHECK(refusal(broker, {.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256"}) == "");
    CHECK_THAT(
        refusal(broker, {.ciphersuites = "TLS_AES_128_GCM_SHA256", .version_min = TLS1_3_VERSION}),
        contains("handshake failure"));
    CHECK(refusal(broker, {.curves = "P-384"}) == "");
    CHECK_THAT(refusal(broker, {.curves = "X25519", .version_min = TLS1_3_VERSION}),
               contains("handshake failure"));
}

TEST_CASE("tls: a client certificate is asked for as the listener says") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    auto how =
        GENERATE(ClientCertificate::none, ClientCertificate::optional, ClientCertificate::required);
    Stage stage;
    stage.ask_for_clients(how);
    stage.tls().identity = Identity::common_name;
    stage.note_users();
    TestAuthority other{stage.folder, "other"};
    other.issue("stranger", {.common_name = "bike-7"});
    stage.authority.issue("expired", {.common_name = "bike-7", .valid_for = -1s});
    RunningBroker broker{stage.options};

    auto with = [&](std::string const& name) {
        auto options = stage.with_certificate(name);
        options.version_max = version;
        return options;
    };
    CHECK(refusal(broker, with("client")) == "");
    CHECK(stage.authenticator.user_of("c") == (how == ClientCertificate::none ? "" : "bike-7"));
    auto without = refusal(broker, {.version_max = version});
    if (how == ClientCertificate::required) {
        CHECK_THAT(without, contains("certificate required") || contains("handshake failure"));
    } else {
        CHECK(without == "");
    }
    if (how == ClientCertificate::none) {
        CHECK(refusal(broker, with("stranger")) == "");
    } else {
        CHECK_THAT(refusal(broker, with("stranger")), contains("unknown ca"));
        CHECK_THAT(refusal(broker, with("expired")), contains("certificate expired"));
    }
}

TEST_CASE("tls: a revoked client is refused") {
    Stage stage;
    stage.ask_for_clients(ClientCertificate::required);
    long serial = stage.authority.issue("thief", {.common_name = "bike-8"});
    stage.authority.write_crl("crl.pem", {serial});
    stage.tls().crl_file = stage.path("crl.pem");
    RunningBroker broker{stage.options};
    CHECK(refusal(broker, stage.with_certificate("client")) == "");
    CHECK_THAT(refusal(broker, stage.with_certificate("thief")), contains("certificate revoked"));
}

TEST_CASE("tls: the user's name comes from the part of the certificate that is set") {
    auto [kind, name] = GENERATE(table<Identity, std::string>({
        {Identity::none, ""},
        {Identity::common_name, "common"},
        {Identity::san_dns, "first.example"},
        {Identity::san_email, "bike@example.org"},
        {Identity::san_uri, "urn:bike:7"},
    }));
    Stage stage;
    stage.ask_for_clients(ClientCertificate::optional);
    stage.authority.issue("full", {.common_name = "common",
                                   .alternative_names = "URI:urn:bike:7,DNS:first.example,"
                                                        "DNS:second.example,"
                                                        "email:bike@example.org"});
    stage.authority.issue("nameless", {});
    stage.tls().identity = kind;
    stage.note_users();
    RunningBroker broker{stage.options};
    CHECK(refusal(broker, stage.with_certificate("full")) == "");
    CHECK(stage.authenticator.user_of("c") == name);
    // Nobody is let in under a name of his choice for want of one in the certificate.
    CHECK(refusal(broker, stage.with_certificate("nameless")).empty() == (kind == Identity::none));
}

TEST_CASE("tls: the certificate is chosen by the name that the client calls the server") {
    Stage stage;
    for (auto const* name : {"one", "two"}) {
        auto host = std::string{name} + ".example";
        stage.authority.issue(name, {.common_name = name,
                                     .alternative_names = "DNS:" + host + ",DNS:*.wild." + host});
        stage.tls().certificates.push_back(
            {stage.path(std::string{name} + ".pem"), stage.path(std::string{name} + ".key")});
    }
    RunningBroker broker{stage.options};
    auto shown_to = [&](std::string const& server_name) {
        return joined(broker, {.ca_file = stage.path("ca.pem"), .server_name = server_name})
            .stream->server_common_name();
    };
    CHECK(shown_to("") == "server");
    CHECK(shown_to("localhost") == "server");
    CHECK(shown_to("elsewhere.example") == "server");
    CHECK(shown_to("one.example") == "one");
    CHECK(shown_to("TWO.Example") == "two");
    CHECK(shown_to("a.wild.one.example") == "one");
    CHECK(shown_to("a.b.wild.one.example") == "server");
}

TEST_CASE("tls: of the protocols that a client offers, MQTT is taken or none") {
    Stage stage;
    RunningBroker broker{stage.options};
    CHECK(joined(broker, {}).stream->alpn() == "");
    CHECK(joined(broker, {.alpn = "\4mqtt"}).stream->alpn() == "mqtt");
    CHECK(joined(broker, {.alpn = "\2h2\4mqtt"}).stream->alpn() == "mqtt");
    CHECK_THAT(refusal(broker, {.alpn = "\2h2\10http/1.1"}), contains("no application protocol"));
    CHECK_THAT(refusal(broker, {.alpn = "\5mqtt2"}), contains("no application protocol"));
}

TEST_CASE("tls: a session is resumed, and the user is still known") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Stage stage;
    stage.ask_for_clients(ClientCertificate::required);
    stage.tls().identity = Identity::common_name;
    stage.note_users();
    RunningBroker broker{stage.options};
    auto options = stage.with_certificate("client");
    options.version_max = version;
    TlsSession session;
    {
        auto first = joined(broker, options, "first");
        CHECK_FALSE(first.stream->is_resumed());
        session = first.stream->take_session();
    }
    REQUIRE(session != nullptr);
    options.session = session.get();
    auto again = joined(broker, options, "again");
    CHECK(again.stream->is_resumed());
    CHECK(stage.authenticator.user_of("again") == "bike-7");
}

TEST_CASE("tls: no tickets, no resumption") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Stage stage;
    stage.tls().tickets = 0;
    RunningBroker broker{stage.options};
    auto client = joined(broker, {.version_max = version});
    auto session = client.stream->take_session();
    CHECK((session == nullptr || SSL_SESSION_has_ticket(session.get()) == 0));
    if (session != nullptr) {
        auto again = joined(broker, {.version_max = version, .session = session.get()}, "again");
        CHECK_FALSE(again.stream->is_resumed());
    }
}

TEST_CASE("tls: a ticket does not outlive a reload, so a revoked client cannot resume") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Stage stage;
    stage.ask_for_clients(ClientCertificate::required);
    long serial = stage.authority.issue("thief", {.common_name = "bike-8"});
    stage.authority.write_crl("crl.pem", {});
    stage.tls().crl_file = stage.path("crl.pem");
    RunningBroker broker{stage.options};
    auto options = stage.with_certificate("thief");
    options.version_max = version;
    auto client = joined(broker, options);
    auto session = client.stream->take_session();
    REQUIRE(session != nullptr);
    options.session = session.get();
    CHECK(joined(broker, options, "again").stream->is_resumed());

    stage.authority.write_crl("crl.pem", {serial});
    broker.server().reload_tls();
    CHECK_THAT(refusal(broker, options), contains("certificate revoked"));
    client.mqtt.sends(pingreq()).gets(pingresp());
}

TEST_CASE("tls: pre-shared keys, with and without a certificate of the server") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    bool certificate = GENERATE(false, true);
    Stage stage;
    if (!certificate) stage.tls().certificates.clear();
    stage.folder.write("psk", "# bikes\nbike-7:0102aBcD\n\nbike:8:ff\n");
    stage.tls().psk_file = stage.path("psk");
    stage.tls().psk_hint = "bikes";
    stage.note_users();
    RunningBroker broker{stage.options};
    TlsClientOptions options{.psk_identity = "bike-7",
                             .psk_key = std::string{"\x01\x02\xAB\xCD"},
                             .version_max = version};
    if (version == TLS1_2_VERSION) options.ciphers = "PSK";
    CHECK(refusal(broker, options) == "");
    CHECK(stage.authenticator.user_of("c") == "bike-7");
    options.psk_identity = "bike:8";
    options.psk_key = "\xFF";
    auto client = joined(broker, options, "d");
    CHECK(stage.authenticator.user_of("d") == "bike:8");
    if (auto session = client.stream->take_session(); session != nullptr) {
        options.session = session.get();
        auto again = joined(broker, options, "e");
        CHECK(stage.authenticator.user_of("e") == "bike:8");
    }
    options.session = nullptr;
    options.psk_key = "\xFE";
    CHECK(refusal(broker, options) != "");
    // Of an unknown key a client with TLS 1.3 may go on without, if the server has a certificate.
    options.psk_identity = "nobody";
    options.psk_key = "\xFF";
    CHECK(refusal(broker, options).empty() == (certificate && version == TLS1_3_VERSION));
    CHECK(stage.authenticator.user_of("c") == "bike-7");
}

TEST_CASE("tls: an identity is not believed whose key was not used") {
    Stage stage;
    stage.folder.write("psk", "admin:00112233\n");
    stage.tls().psk_file = stage.path("psk");
    stage.note_users();
    RunningBroker broker{stage.options};
    // The hash of this suite is not the key's, so the handshake goes on with the certificate.
    auto client = joined(broker, {.ciphersuites = "TLS_AES_256_GCM_SHA384",
                                  .psk_identity = "admin",
                                  .psk_key = "wrong",
                                  .version_min = TLS1_3_VERSION});
    CHECK(stage.authenticator.user_of("c") == "");
}

TEST_CASE("tls: reloading: new files for new connections, the old ones while the new are bad") {
    Stage stage;
    RunningBroker broker{stage.options};
    TlsClientOptions options{.ca_file = stage.path("ca.pem")};
    auto old = joined(broker, options, "old");
    auto shown = [&] { return joined(broker, options, "new").stream->server_common_name(); };
    auto reload = [&] { broker.server().reload_tls(); };

    stage.authority.issue("next", {.common_name = "next"});
    stage.folder.copy("next.pem", "server.pem");
    reload();  // the key is still that of the old one
    CHECK(shown() == "server");
    stage.folder.copy("next.key", "server.key");
    reload();
    CHECK(shown() == "next");
    stage.folder.write("server.pem", "rubbish");
    reload();
    CHECK(shown() == "next");
    std::filesystem::remove(stage.path("server.pem"));
    reload();
    CHECK(shown() == "next");
    old.mqtt.sends(pingreq()).gets(pingresp());
}

TEST_CASE("tls: reloading follows symlinks") {
    namespace fs = std::filesystem;
    Stage stage;
    stage.authority.issue("next", {.common_name = "next"});
    fs::create_directory(stage.path("a"));
    fs::create_directory(stage.path("b"));
    for (auto const* end : {".pem", ".key"}) {
        stage.folder.copy(std::string{"server"} + end, std::string{"a/tls"} + end);
        stage.folder.copy(std::string{"next"} + end, std::string{"b/tls"} + end);
    }
    fs::create_directory_symlink(stage.path("a"), stage.path("now"));
    stage.tls().certificates = {{stage.path("now/tls.pem"), stage.path("now/tls.key")}};
    RunningBroker broker{stage.options};
    CHECK(joined(broker, {}).stream->server_common_name() == "server");
    fs::create_directory_symlink(stage.path("b"), stage.path("soon"));
    fs::rename(stage.path("soon"), stage.path("now"));
    broker.server().reload_tls();
    CHECK(joined(broker, {}).stream->server_common_name() == "next");
}

TEST_CASE("tls: the pre-shared keys are read again, too") {
    Stage stage;
    stage.folder.write("psk", "a:01\n");
    stage.tls().psk_file = stage.path("psk");
    stage.tls().certificates.clear();
    RunningBroker broker{stage.options};
    TlsClientOptions options{.psk_identity = "b", .psk_key = "\x02"};
    CHECK(refusal(broker, options) != "");
    stage.folder.write("psk", "a:01\nb:02\n");
    broker.server().reload_tls();
    CHECK(refusal(broker, options) == "");
    stage.folder.write("psk", "a:01\nb:zz\n");
    broker.server().reload_tls();
    CHECK(refusal(broker, options) == "");
}

TEST_CASE("tls: what is wrong with a file is told with its name") {
    Stage stage;
    auto problem = [&] {
        try {
            RunningBroker broker{stage.options};
            return std::string{};
        } catch (std::runtime_error const& error) {
            return std::string{error.what()};
        }
    };
    auto& tls = stage.tls();
    auto const good = tls;
    stage.authority.issue("other", {.common_name = "other"});
    stage.folder.write("rubbish", "rubbish");
    stage.folder.write("empty", "");

    tls.certificates[0].certificate_file = stage.path("missing.pem");
    CHECK_THAT(problem(), contains("missing.pem") && contains("no such file"));
    tls.certificates[0].certificate_file = stage.path("rubbish");
    CHECK_THAT(problem(), contains("certificate") && contains("rubbish"));
    tls = good;
    tls.certificates[0].key_file = stage.path("other.key");
    CHECK_THAT(problem(), contains("other.key") && contains("mismatch"));
    tls = good;
    tls.client_certificate = ClientCertificate::required;
    CHECK_THAT(problem(), contains("tls_ca"));
    tls.ca_file = stage.path("empty");
    CHECK_THAT(problem(), contains("CA file") && contains("empty"));
    tls.ca_file = stage.path("ca.pem");
    tls.crl_file = stage.path("rubbish");
    CHECK_THAT(problem(), contains("CRL file") && contains("rubbish"));
    tls = good;
    tls.ciphers = "NONE-SUCH";
    CHECK_THAT(problem(), contains("tls_ciphers") && contains("NONE-SUCH"));
    tls = good;
    tls.ciphersuites = "NONE-SUCH";
    CHECK_THAT(problem(), contains("tls_ciphersuites"));
    tls = good;
    tls.curves = "NONE-SUCH";
    CHECK_THAT(problem(), contains("tls_curves"));
    tls = good;
    tls.psk_file = stage.path("missing");
    CHECK_THAT(problem(), contains("missing") && contains("no such file"));
    tls = good;
    CHECK(problem() == "");
}

TEST_CASE("tls: everything in single bytes") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Stage stage;
    RunningBroker broker{stage.options};
    auto client = joined(broker, {.version_max = version, .single_bytes = true});
    client.mqtt.sends(subscribe(1, "t", qos1)).gets(suback(1));
    client.mqtt.sends(publish("t", std::string(300, 'x'), qos1, 2));
    client.mqtt.gets(publish("t", std::string(300, 'x'), qos1, 1)).gets(puback(2));
}

TEST_CASE("tls: large packets both ways, to a reader that lets them pile up") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Stage stage;
    RunningBroker broker{stage.options};
    auto sub = joined(broker, {.version_max = version}, broker.id_on_shard(0, "sub"));
    auto pub = joined(broker, {.version_max = version}, broker.id_on_shard(1, "pub"));
    sub.mqtt.sends(subscribe(1, "t", qos1)).gets(suback(1));
    constexpr int kCount = 24;
    auto payload = [](int i) {
        return std::string(static_cast<std::size_t>(100'000 + i * 13'777),
                           static_cast<char>('a' + i));
    };
    auto writer = std::async(std::launch::async, [&] {
        for (int i = 0; i < kCount; ++i) {
            auto id = static_cast<std::uint16_t>(i + 1);
            pub.mqtt.sends(publish("t", payload(i), qos1, id)).gets(puback(id));
        }
    });
    writer.get();
    for (int i = 0; i < kCount; ++i) {
        auto id = static_cast<std::uint16_t>(i + 1);
        sub.mqtt.gets(publish("t", payload(i), qos1, id)).sends(puback(id));
    }
}

TEST_CASE("tls: a flood of small packets in large records is read whole, and in order") {
    Stage stage;
    stage.options.net.read_budget_bytes = 4096;
    RunningBroker broker{stage.options};
    auto sub = joined(broker, {}, "sub");
    auto pub = joined(broker, {}, "pub");
    sub.mqtt.sends(subscribe(1, "t")).gets(suback(1));
    Buffer bytes;
    constexpr int kCount = 20'000;
    for (int i = 0; i < kCount; ++i) {
        append(bytes, pub.mqtt.encoded_as(publish("t", std::to_string(i))));
    }
    append(bytes, pub.mqtt.encoded_as(pingreq()));
    // Nothing comes behind it: what is left inside the transport must be read without an event.
    auto writer = std::async(std::launch::async, [&] { pub.mqtt.sends_bytes(bytes); });
    for (int i = 0; i < kCount; ++i) sub.mqtt.gets(publish("t", std::to_string(i)));
    writer.get();
    pub.mqtt.gets(pingresp());
}

TEST_CASE("tls: keys may be changed, sessions may not be renegotiated") {
    Stage stage;
    RunningBroker broker{stage.options};
    auto client = joined(broker, {.version_min = TLS1_3_VERSION});
    for (int i = 0; i < 3; ++i) {
        client.stream->update_keys();
        client.mqtt.sends(pingreq()).gets(pingresp());
    }
    auto old = joined(broker, {.version_max = TLS1_2_VERSION}, "old");
    CHECK_THAT(old.stream->renegotiate(), contains("renegotiation"));
}

TEST_CASE("tls: a handshake that stops halfway is closed with the connect timeout") {
    Stage stage;
    stage.options.net.listeners[0].link.connect_timeout = 200ms;
    RunningBroker broker{stage.options};
    auto silent = broker.client();
    auto half = broker.client();
    half.sends_bytes(bytes_of("16 0301 0100 01 0000FC 0303"));
    auto open = tls_client(broker.port(), {});
    silent.ends();
    half.ends();
    open.mqtt.ends();
    CHECK(open.stream->has_close_notify());
    CHECK(refusal(broker, {}) == "");
}

TEST_CASE("tls: who does not speak TLS is told in its words, and closed") {
    Stage stage;
    RunningBroker broker{stage.options};
    auto plain = broker.client();
    plain.sends_bytes(bytes_of("10 0D 0004 'MQTT' 05 02 003C 00 0000"));
    CHECK(plain.takes_text().empty());  // OpenSSL has no word for it
    auto broken = broker.client();
    broken.sends_bytes(bytes_of("16 0301 0005 01 000001 00"));
    auto text = broken.takes_text();
    REQUIRE(text.size() == 7);
    CHECK(text[0] == 0x15);  // alert ...
    CHECK(text[6] == 50);    // ... decode_error
}

TEST_CASE("tls: a client reads why it was closed, then close_notify") {
    auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Stage stage;
    RunningBroker broker{stage.options};
    auto client = joined(broker, {.version_max = version});
    Buffer bytes = bytes_of("C1 00");
    bytes.resize(100'000, std::byte{0x30});  // more than will be read
    client.mqtt.sends_bytes(bytes);
    client.mqtt.gets(disconnect(ReasonCode::malformed_packet)).ends();
    CHECK(client.stream->has_close_notify());
}

TEST_CASE("tls: above the handshakes that may be, connections wait until one is done") {
    Stage stage;
    stage.options.net.shards = 1;
    stage.options.net.listeners[0].handshakes_max = 2;
    RunningBroker broker{stage.options};
    auto one = broker.client();
    auto two = broker.client();
    auto waiting = std::async(std::launch::async, [&] { return refusal(broker, {}); });
    CHECK(waiting.wait_for(100ms) == std::future_status::timeout);
    one.close();
    REQUIRE(waiting.wait_for(20s) == std::future_status::ready);
    CHECK(waiting.get() == "");
    // Those that are open count no more.
    std::vector<TlsClient> many;
    for (int i = 0; i < 5; ++i) many.push_back(joined(broker, {}, "m" + std::to_string(i)));
    for (auto& client : many) client.mqtt.sends(pingreq()).gets(pingresp());
}

TEST_CASE("tls: many clients through several shards, with reloads in between") {
    Stage stage;
    stage.options.net.shards = 3;
    RunningBroker broker{stage.options};
    std::vector<std::future<void>> work;
    for (int t = 0; t < 4; ++t) {
        work.push_back(std::async(std::launch::async, [&, t] {
            TlsSession session;
            for (int i = 0; i < 12; ++i) {
                auto id = "c" + std::to_string(t) + "-" + std::to_string(i);
                TlsClientOptions options{.session = session.get()};
                auto client = joined(broker, options, id);
                client.mqtt.sends(subscribe(1, "t/" + id, qos1)).gets(suback(1));
                client.mqtt.sends(publish("t/" + id, std::string(50'000, 'x'), qos1, 2));
                client.mqtt.gets(publish("t/" + id, std::string(50'000, 'x'), qos1, 1));
                client.mqtt.gets(puback(2));
                session = client.stream->take_session();
            }
        }));
    }
    for (int i = 0; i < 10; ++i) broker.server().reload_tls();
    for (auto& one : work) one.get();
}
