// Who may connect and what clients may do, by a password file, an ACL file and SCRAM-SHA-256
// (3.1.4, 3.3.5, 3.15, 4.12).
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"
#include "tests/conformance/harness/scram_client.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// bob has the password "open sesame", and user (by SCRAM) "pencil". Both may do as they like below
/// the level `ok`, and bob may listen to what he may not write, below `heard`.
Setup const kGuarded{
    .listener =
        "anonymous = \"no\"\n"
        "password_file = \"{dir}/passwords\"\n"
        "scram_file = \"{dir}/scram\"\n"
        "acl_file = \"{dir}/acl\"",
    .files = {
        {"passwords",
         "bob:$7$101$0aFgYOesYUBC8cmA$/mTxp5wD6f0nJWZT5WO9Ak9kHQjrKvpKejc3tmNhcESFOFmKGWRRKGyH"
         "jVB423vU9HiZ6cvried38SZPlGvIRw==\n"},
        {"scram",
         "user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLm"
         "tbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n"},
        {"acl",
         "pattern readwrite +/ok/#\n"
         "pattern readwrite marker/#\n"
         "pattern read +/heard/#\n"}}};

constexpr auto kMethod = "SCRAM-SHA-256";

ConnectBuilder as_bob(Version version, std::string_view password = "open sesame") {
    return connect(version).with([&](mqtt::Connect& packet) {
        packet.user_name = "bob";
        packet.password = to_buffer(password);
    });
}

ConnectBuilder with_data(std::string_view data) {
    return connect(Version::v5).with([&](mqtt::Connect& packet) {
        packet.authentication_method = kMethod;
        packet.authentication_data = to_buffer(data);
    });
}

PacketBuilder auth(ReasonCode reason, std::string_view data, std::string method = kMethod) {
    mqtt::Auth packet;
    packet.reason = reason;
    packet.authentication_method = std::move(method);
    packet.authentication_data = to_buffer(data);
    return PacketBuilder{packet};
}

/// Takes the server's challenge. Out: its data.
std::string takes_challenge(Peer& a) {
    auto challenge = a.takes<mqtt::Auth>();
    CHECK(challenge.reason == ReasonCode::continue_authentication);
    CHECK(challenge.authentication_method == kMethod);
    return std::string{as_text(challenge.authentication_data.value())};
}

/// Connects by SCRAM.
Peer& connects_with_scram(Peer& a, ScramClient& scram, ConnectBuilder hello) {
    a.sends(hello.with([&](mqtt::Connect& packet) {
        packet.authentication_method = kMethod;
        packet.authentication_data = to_buffer(scram.begins());
    }));
    a.sends(auth(ReasonCode::continue_authentication, scram.answers(takes_challenge(a))));
    auto connack = a.takes<mqtt::ConnAck>();
    CHECK(connack.reason == ReasonCode::success);
    CHECK(connack.authentication_method == kMethod);
    CHECK(as_text(connack.authentication_data.value_or(Buffer{})) == scram.wanted());
    return a;
}

}  // namespace

TEST_CASE("access: bad credentials end the connection and touch nothing",
          "[own][v3.1.1][MQTT-3.2.2-4][MQTT-3.2.2-5][MQTT-3.1.4-5][v5.0][MQTT-3.1.4-2]"
          "[MQTT-3.1.4-6][MQTT-3.2.2-6][MQTT-3.2.2-7][MQTT-3.14.0-1][MQTT-4.13.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{kGuarded};
    auto& online = s.client("x").sends(as_bob(version).resume()).gets(connack());
    online.sends(subscribe(1, s.topic("ok/t"), qos1)).gets(suback(1));
    auto& other = s.client("other");
    auto refused = [&](ConnectBuilder hello) {
        other.sends_together(hello.id(online.id()),
                             publish(s.topic("ok/t"), "x", qos1, 3).retain());
        if (version == Version::v3_1_1) {
            other.gets_hex("20 02 00 04").closes();
        } else {
            other.is_refused(ReasonCode::bad_user_name_or_password);
            CHECK(other.last_frame().at(2) == std::byte{0});
        }
    };
    refused(as_bob(version, "open sesam"));
    refused(as_bob(version, "").clean(false));
    online.gets_nothing().leaves();
    refused(as_bob(version, "wrong").clean(false));  // over a stored session too
    online.sends(as_bob(version).resume()).gets(connack().session_present());
    online.gets_nothing();
    auto& late = s.client("late").sends(as_bob(version)).gets(connack());
    late.sends(subscribe(1, s.topic("ok/t"))).gets(suback(1)).gets_nothing();
}

TEST_CASE("access: a client without credentials is not authorised",
          "[own][v3.1.1][MQTT-3.2.2-5][v5.0][MQTT-3.1.4-2][MQTT-3.2.2-7]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{kGuarded};
    s.client("a").sends(connect(version)).is_refused(ReasonCode::not_authorized);
}

TEST_CASE("access: packets behind CONNECT wait until it is judged",
          "[own][v3.1.1][MQTT-3.2.0-1][v5.0][MQTT-3.2.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{kGuarded};
    auto& a = s.client("a");
    a.sends_together(as_bob(version), subscribe(1, s.topic("ok/t"), qos1), pingreq());
    a.gets(connack()).gets(suback(1)).gets(pingresp());
}

TEST_CASE("access: a publish that is not allowed is acknowledged and goes nowhere",
          "[own][v3.1.1][MQTT-3.3.5-2][v5.0][MQTT-3.4.2-1][MQTT-3.5.2-1][MQTT-4.3.3-9]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool v5 = version == Version::v5;
    Conversation s{kGuarded};
    auto& b = s.client("b").sends(as_bob(version)).gets(connack());
    b.sends(subscribe(1, s.topic("heard/#"), qos2).also(s.topic("ok/#"), qos2)).gets(suback(1));
    auto& a = s.client("a").sends(as_bob(version)).gets(connack());
    auto const denied = s.topic("heard/t");
    a.sends(publish(denied, "x", qos0).retain());
    a.sends(publish(denied, "x", qos1, 5).retain());
    a.gets(v5 ? puback(5, ReasonCode::not_authorized) : puback(5));
    a.sends(publish(denied, "x", qos2, 5).retain());
    if (v5) {
        a.gets(pubrec(5, ReasonCode::not_authorized));
    } else {
        a.gets(pubrec(5)).sends(pubrel(5)).gets(pubcomp(5));
    }
    // The id is new again.
    a.sends(publish(s.topic("ok/t"), "y", qos2, 5)).gets(pubrec(5)).sends(pubrel(5));
    a.gets(pubcomp(5, ReasonCode::success));
    b.receives(publish(s.topic("ok/t"), "y", qos2)).gets_nothing_of(a);
    auto& late = s.client("late").sends(as_bob(version)).gets(connack());
    late.sends(subscribe(1, denied)).gets(suback(1)).gets_nothing();
}

TEST_CASE("access: a filter that is not allowed is refused by itself",
          "[own][v3.1.1][MQTT-3.8.4-5][MQTT-3.9.3-2][v5.0][MQTT-3.8.4-6][MQTT-3.8.4-7]"
          "[MQTT-3.9.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{kGuarded};
    auto& b = s.client("b").sends(as_bob(version)).gets(connack());
    b.sends(subscribe(7, s.topic("ok/t"), qos0)
                .also(s.topic("secret"), qos1)
                .also(s.topic("ok/u"), qos2));
    b.gets_hex(version == Version::v5 ? "90 06 0007 00 00 87 02" : "90 05 0007 00 80 02");
}

TEST_CASE("access: no refusal breaks a small maximum packet size with what explains it",
          "[own][v5.0][MQTT-3.4.2-2][MQTT-3.4.2-3][MQTT-3.5.2-2][MQTT-3.5.2-3][MQTT-3.9.2-1]"
          "[MQTT-3.9.2-2]") {
    // Peer refuses what is larger. With room for it the refusal does explain itself.
    Conversation s{kGuarded};
    auto explained = [&](std::uint32_t size) {
        auto& a = s.client("a").sends(as_bob(Version::v5).maximum_packet_size(size));
        CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
        a.sends(publish(s.topic("heard/t"), "x", qos1, 5));
        auto puback = a.takes<mqtt::PubAck>();
        CHECK(puback.reason == ReasonCode::not_authorized);
        a.sends(publish(s.topic("heard/t"), "x", qos2, 6));
        auto pubrec = a.takes<mqtt::PubRec>();
        CHECK(pubrec.reason == ReasonCode::not_authorized);
        a.sends(subscribe(7, "secret")).gets(suback(7, {ReasonCode::not_authorized})).leaves();
        CHECK(puback.reason_string.has_value() == pubrec.reason_string.has_value());
        return puback.reason_string.has_value();
    };
    CHECK(explained(1000));
    // The CONNACK of this listener has its limits and needs some 30 bytes.
    CHECK_FALSE(explained(32));
}

TEST_CASE("auth: SCRAM-SHA-256 lets a client in, under one method all along",
          "[own][v5.0][MQTT-4.12.0-2][MQTT-4.12.0-5][MQTT-3.15.2-1]") {
    Conversation s{kGuarded};
    ScramClient scram{"user", "pencil"};
    auto& a = connects_with_scram(s.client("a"), scram, connect(Version::v5));
    a.sends(subscribe(1, s.topic("ok/t"), qos1)).gets(suback(1));
    a.sends(publish(s.topic("ok/t"), "x", qos0));
    a.gets(publish(s.topic("ok/t"), "x"));
}

TEST_CASE("auth: a client that sends no data is asked for it", "[own][v5.0][MQTT-4.12.0-2]") {
    Conversation s{kGuarded};
    auto& a = s.client("a").sends(connect(Version::v5).with([](mqtt::Connect& packet) {
        packet.authentication_method = kMethod;
    }));
    auto asked = a.takes<mqtt::Auth>();
    CHECK(asked.reason == ReasonCode::continue_authentication);
    CHECK(asked.authentication_method == kMethod);
}

TEST_CASE("auth: a wrong proof is refused, and with a method unknown",
          "[own][v5.0][MQTT-4.12.0-4][MQTT-4.12.0-1][MQTT-3.14.0-1][MQTT-3.2.2-7]") {
    Conversation s{kGuarded};
    for (auto const& [user, password] : {std::pair{"user", "pencils"}, std::pair{"nobody", "x"}}) {
        ScramClient scram{user, password};
        auto& a = s.client("a").sends(with_data(scram.begins()));
        a.sends(auth(ReasonCode::continue_authentication, scram.answers(takes_challenge(a))));
        a.is_refused(ReasonCode::not_authorized);
    }
    s.client("a").sends(with_data("no such message")).is_refused(ReasonCode::not_authorized);
    s.client("a").sends(connect(Version::v5).with([](mqtt::Connect& packet) {
        packet.authentication_method = "SCRAM-SHA-512";
    }));
    s.client("a").is_refused(ReasonCode::bad_authentication_method);
}

TEST_CASE("auth: before CONNACK only AUTH of the exchange is in its place",
          "[own][v5.0][MQTT-4.12.0-5][MQTT-3.15.2-1][MQTT-3.14.0-1]") {
    Conversation s{kGuarded};
    ScramClient scram{"user", "pencil"};
    auto begins = [&]() -> Peer& {
        auto& a = s.client("a").sends(with_data(scram.begins()));
        (void)takes_challenge(a);
        return a;
    };
    auto const go_on = ReasonCode::continue_authentication;
    begins().sends(auth(go_on, "x", "other")).is_refused(ReasonCode::protocol_error);
    begins().sends_hex("F0 ( 18 00 )").is_refused(ReasonCode::protocol_error);
    begins().sends_hex("F0 00").is_refused(ReasonCode::protocol_error);
    begins().sends_hex("F0 ( 05 00 )").is_refused(ReasonCode::protocol_error);
    begins().sends(auth(ReasonCode::re_authenticate, "x")).is_refused(ReasonCode::protocol_error);
    begins().sends(pingreq()).is_refused(ReasonCode::protocol_error);
    begins().sends(publish(s.topic("ok/t"), "x")).is_refused(ReasonCode::protocol_error);
    begins().sends(disconnect()).closes();
}

TEST_CASE("auth: no AUTH breaks a small maximum packet size with what explains it",
          "[own][v5.0][MQTT-3.15.2-2][MQTT-3.15.2-3]") {
    // Peer refuses what is larger. A challenge of SCRAM has some 120 bytes.
    Conversation s{kGuarded};
    auto size = GENERATE(130U, 140U, 200U);
    ScramClient scram{"user", "pencil"};
    auto& a = s.client("a");
    a.sends(connect(Version::v5).maximum_packet_size(size).with([&](mqtt::Connect& packet) {
        packet.authentication_method = kMethod;
        packet.authentication_data = to_buffer(scram.begins());
    }));
    auto challenge = a.takes<mqtt::Auth>();
    CHECK_FALSE(challenge.reason_string.has_value());
    CHECK(challenge.user_properties.empty());
    a.sends(auth(ReasonCode::continue_authentication,
                 scram.answers(as_text(challenge.authentication_data.value()))));
    CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
}

TEST_CASE("auth: a client proves again who it is while traffic goes on",
          "[own][v5.0][MQTT-4.12.1-1][MQTT-4.12.0-5][MQTT-3.2.0-2][MQTT-3.15.2-1]") {
    Conversation s{kGuarded};
    ScramClient scram{"user", "pencil"};
    auto& a = connects_with_scram(s.client("a"), scram, connect(Version::v5));
    a.sends(auth(ReasonCode::re_authenticate, scram.begins()));
    auto answer = scram.answers(takes_challenge(a));
    a.sends(publish(s.topic("ok/t"), "x", qos1, 3)).gets(puback(3)).gets_nothing();
    a.sends(auth(ReasonCode::continue_authentication, answer));
    auto done = a.takes<mqtt::Auth>();
    CHECK(done.reason == ReasonCode::success);
    CHECK(done.authentication_method == kMethod);
    CHECK(as_text(done.authentication_data.value_or(Buffer{})) == scram.wanted());
    a.gets_nothing();
    // With another method, or out of turn, it ends.
    a.sends(auth(ReasonCode::re_authenticate, scram.begins(), "other"));
    a.is_cut(ReasonCode::protocol_error);
    connects_with_scram(a, scram, connect(Version::v5));
    a.sends(auth(ReasonCode::continue_authentication, "x")).is_cut(ReasonCode::protocol_error);
    connects_with_scram(a, scram, connect(Version::v5)).sends_hex("F0 00");
    a.is_cut(ReasonCode::protocol_error);
}

TEST_CASE("auth: who fails to prove it again is disconnected",
          "[own][v5.0][MQTT-4.12.1-2][MQTT-4.13.2-1]") {
    Conversation s{kGuarded};
    ScramClient scram{"user", "pencil"};
    auto& a = connects_with_scram(s.client("a"), scram, connect(Version::v5));
    ScramClient wrong{"user", "pencils"};
    a.sends(auth(ReasonCode::re_authenticate, wrong.begins()));
    auto answer = wrong.answers(takes_challenge(a));
    a.gets_nothing().sends(auth(ReasonCode::continue_authentication, answer));
    a.is_cut(ReasonCode::not_authorized);
}
