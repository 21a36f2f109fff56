// What the broker answers, as tables made from all values a byte can have: flags, first bytes,
// reason codes, cut packets.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kAll = {Version::v3_1, Version::v3_1_1, Version::v5};

void add(Buffer& out, Buffer const& more) {
    out.insert(out.end(), more.begin(), more.end());
}

/// "a", perhaps connected, and "watch" who would see what a gets through.
struct Table : Script {
    explicit Table(Version v, ScriptOptions options = {}) : Script(options), version(v) {
        watch().sends(connect(Version::v5)).gets(connack());
        watch().sends(subscribe(1, "#", qos2)).gets(suback(1));
    }
    ScriptLink& a() { return link("a"); }
    ScriptLink& watch() { return link("watch"); }
    /// The broker ended the connection and told MQTT 5 clients why.
    ReasonCode ends() {
        auto reason = ReasonCode::success;
        if (version == Version::v5) {
            reason = a().takes<mqtt::Disconnect>().reason;
            CHECK(mqtt::is_error(reason));
        }
        a().closes();
        return reason;
    }
    Version version;
};

/// Packets a client may send in this state, whole, by their first byte: sound ones of that type.
Buffer body_for(unsigned type, unsigned flags, Version version) {
    bool v5 = version == Version::v5;
    std::string properties = v5 ? " 00 " : " ";
    switch (type) {
        case 1:
            return bytes_of(v5 ? "s'MQTT' 05 02 0000 00 s'b'" : "s'MQTT' 04 02 0000 s'b'");
        case 3:
            return bytes_of("s't'" + std::string(flags >> 1 & 3 ? "0001" : "") + properties +
                            "'x'");
        case 4:
        case 5:
        case 6:
        case 7:
        case 11:
            return bytes_of(type == 11 && v5 ? "0009 00 00" : "0009");
        case 8:
            return bytes_of("0009" + properties + "s'f' 00");
        case 9:
            return bytes_of("0009" + properties + "00");
        case 10:
            return bytes_of("0009" + properties + "s'f'");
        case 2:
            return bytes_of(v5 ? "00 00 00" : "00 00");
        case 15:
            return bytes_of("18 ( 15 s'm' )");
        default:
            return {};
    }
}

/// What a connected client may begin a packet with, beside AUTH, which needs a method.
bool is_good_first_byte(unsigned byte, Version version) {
    switch (byte) {
        case 0x30:
        case 0x31:
        case 0x32:
        case 0x33:
        case 0x34:
        case 0x35:  // PUBLISH
        case 0x3A:
        case 0x3B:
        case 0x3C:
        case 0x3D:  // and again
        case 0x40:
        case 0x50:
        case 0x62:
        case 0x70:
        case 0x82:
        case 0xA2:
        case 0xC0:
        case 0xE0:
            return true;
        case 0x6A:
        case 0x8A:
        case 0xAA:
            return version == Version::v3_1;
        default:
            return false;
    }
}

}  // namespace

TEST_CASE("tables: all 256 connect flags in each version",
          "[v3.1.1][MQTT-3.1.2-3][MQTT-3.1.2-11][MQTT-3.1.2-13][MQTT-3.1.2-14][MQTT-3.1.2-15]"
          "[MQTT-3.1.2-18][MQTT-3.1.2-19][MQTT-3.1.2-20][MQTT-3.1.2-21][MQTT-3.1.2-22][v5.0]"
          "[MQTT-3.1.2-3][MQTT-3.1.2-9][MQTT-3.1.2-11][MQTT-3.1.2-12][MQTT-3.1.2-13]"
          "[MQTT-3.1.2-16][MQTT-3.1.2-17][MQTT-3.1.2-18][MQTT-3.1.2-19][gotcha-13]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);  // 3.1: see mqtt_3_1_test.cpp
    bool v5 = version == Version::v5;
    for (unsigned flags = 0; flags < 256; ++flags) {
        CAPTURE(flags);
        bool has_will = (flags & 0x04) != 0;
        unsigned will_qos = flags >> 3 & 3;
        bool will_retain = (flags & 0x20) != 0;
        bool has_password = (flags & 0x40) != 0;
        bool has_name = (flags & 0x80) != 0;
        bool good = (flags & 1) == 0 && will_qos < 3 &&
                    (has_will || (will_qos == 0 && !will_retain)) &&
                    (v5 || has_name || !has_password);
        // Just the fields that the flags promise; one that is missing; one byte left over.
        for (int change : {0, -1, 1}) {
            Buffer body =
                bytes_of(fmt::format("s'MQTT' {:02X} {:02X} 0000 {} s'a'",
                                     static_cast<unsigned>(version), flags, v5 ? "00" : ""));
            if (has_will) add(body, bytes_of(v5 ? "00 s'w' s'will'" : "s'w' s'will'"));
            if (has_name) add(body, bytes_of("s'user'"));
            if (has_password) add(body, bytes_of("s'password'"));
            if (change < 0) body.pop_back();
            if (change > 0) body.push_back(std::byte{0});
            Table s{version};
            s.a().sends_bytes(frame_of(0x10, body));
            if (good && change == 0) {
                s.a().gets(connack()).gets_nothing();
                auto const& will = s.session("a")->will;
                REQUIRE((will != nullptr) == has_will);
                if (!has_will) continue;
                CHECK(static_cast<unsigned>(will->qos) == will_qos);
                CHECK(will->retain == will_retain);
                continue;
            }
            if (v5) s.a().gets(connack(ReasonCode::malformed_packet));
            s.a().closes();
            CHECK(s.session("a") == nullptr);
        }
    }
}

TEST_CASE("tables: protocol names and levels",
          "[v3.1.1][MQTT-3.1.2-1][MQTT-3.1.2-2][v5.0][MQTT-3.1.2-1][MQTT-3.1.2-2][gotcha-12]") {
    std::string name = GENERATE("MQTT", "MQIsdp", "MQTt", "mqtt", "MQTTT", "MQT", "", "HTTP");
    bool offers_3_1 = GENERATE(true, false);
    for (unsigned level = 0; level < 256; ++level) {
        CAPTURE(name, level);
        bool v5 = name == "MQTT" && level == 5;
        Script s{{.link = {.mqtt_3_1 = offers_3_1}}};
        auto& a = s.link("a");
        a.sends_bytes(bytes_of(
            fmt::format("10 ( s'{}' {:02X} 02 0000 {} s'a' )", name, level, v5 ? "00" : "")));
        bool known = name == "MQTT" || name == "MQIsdp";
        bool good = (name == "MQTT" && (level == 4 || level == 5)) ||
                    (name == "MQIsdp" && level == 3 && offers_3_1);
        if (!known) {
            a.closes();
        } else if (good) {
            a.gets(connack()).gets_nothing();
        } else if (name == "MQTT" && (level & 0x7F) > 4) {
            a.gets(connack(ReasonCode::unsupported_protocol_version));
            CHECK(a.last_frame()[3] == std::byte{0x84});
            a.closes();
        } else {
            (void)a.takes_any();
            CHECK(a.last_frame() == bytes_of("20 02 00 01"));
            a.closes();
        }
    }
}

TEST_CASE("tables: all 256 first bytes before CONNECT and when connected",
          "[v3.1.1][MQTT-2.2.2-1][MQTT-2.2.2-2][MQTT-3.1.0-1][MQTT-3.1.0-2][MQTT-3.3.1-2]"
          "[MQTT-3.3.1-4][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.10.1-1][MQTT-3.14.1-1][MQTT-4.8.0-1]"
          "[v5.0][MQTT-2.1.3-1][MQTT-3.1.0-1][MQTT-3.1.0-2][MQTT-3.2.0-2][MQTT-3.3.1-2]"
          "[MQTT-3.3.1-4][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.10.1-1][MQTT-3.14.1-1]"
          "[MQTT-3.15.1-1][MQTT-4.13.1-1][gotcha-16][gotcha-22]") {
    auto version = GENERATE(values(kAll));
    bool v5 = version == Version::v5;
    for (unsigned byte = 0; byte < 256; ++byte) {
        CAPTURE(byte);
        auto frame =
            frame_of(static_cast<std::uint8_t>(byte), body_for(byte >> 4, byte & 15, version));
        {
            Table s{version};
            s.a().sends_bytes(frame);
            if (byte == 0x10) {
                s.a().gets(connack()).gets_nothing();
            } else if (byte >> 4 == 1 && v5) {
                // It is a CONNECT, with flags that it must not have: CONNACK may say so or not.
                while (s.a().waiting() > 0) {
                    CHECK(mqtt::is_error(s.a().takes<mqtt::ConnAck>().reason));
                }
                s.a().closes();
            } else {
                s.a().closes();
            }
            s.watch().gets_nothing();
        }
        Table s{version};
        s.a().sends(connect(version).will(will("w", "gone"))).gets(connack());
        s.a().sends_bytes(frame);
        if (byte == 0xE0) {
            s.a().closes();
            s.watch().gets_nothing();  // the will is taken away
        } else if (is_good_first_byte(byte, version)) {
            CHECK(s.a().is_open());
            CHECK((s.watch().waiting() > 0) == (byte >> 4 == 3));
        } else {
            auto reason = s.ends();
            // Wrong flags and type 0 are malformed; a sound packet in the wrong place is not.
            auto low = byte & 15U;
            bool is_sound = byte >> 4 != 0 && low == 0 && byte >> 4 != 3 && byte >> 4 != 6 &&
                            byte >> 4 != 8 && byte >> 4 != 10;
            if (v5) {
                CHECK(reason ==
                      (is_sound ? ReasonCode::protocol_error : ReasonCode::malformed_packet));
            }
            s.watch().gets(publish("w", "gone")).gets_nothing();
            CHECK(s.index().subscription_count() == 1);
        }
    }
}

TEST_CASE("tables: all 256 reasons of DISCONNECT, in each form, and what becomes of the will",
          "[v5.0][MQTT-3.14.2-1][MQTT-3.14.4-3][MQTT-3.1.2-8][MQTT-3.1.2-10][MQTT-4.13.2-1]"
          "[gotcha-7][gotcha-25]") {
    constexpr std::array kOfClient{0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90,
                                   0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99};
    for (unsigned code = 0; code < 256; ++code) {
        bool good = std::ranges::find(kOfClient, static_cast<int>(code)) != kOfClient.end();
        for (std::string_view form :
             {"E0 01 {:02X}", "E0 02 {:02X} 00", "E0 ( {:02X} ( 1F s'why' ) )",
              "E0 ( {:02X} ( 11 0000003C ) )", "E0 ( {:02X} ( 1C s'b' ) )", "E0 03 {:02X} 00 00",
              "E1 01 {:02X}", "E0 02 {:02X} 01"}) {
            if (!good && form.size() > 17) continue;  // the short forms tell enough
            CAPTURE(code, form);
            bool good_form = form[1] == '0' && form.find("1C") == form.npos &&
                             !form.starts_with("E0 03") && !form.ends_with(" 01");
            Table s{Version::v5};
            s.a().sends(connect(Version::v5).expiry(30).will(will("w", "gone"))).gets(connack());
            s.a().sends_bytes(bytes_of(fmt::format(fmt::runtime(form), code)));
            bool taken = good && good_form;
            if (taken) {
                s.a().closes();
                auto* session = s.session("a");
                REQUIRE(session != nullptr);
                CHECK(session->expiry_interval == (form.find("11 ") == form.npos ? 30 : 60));
            } else {
                auto reason = s.ends();
                CHECK((reason == ReasonCode::protocol_error ||
                       reason == ReasonCode::malformed_packet));
            }
            if (!taken || code != 0) s.watch().gets(publish("w", "gone"));
            s.watch().gets_nothing();
        }
    }
    // The empty form stands for 0x00.
    Table s{Version::v5};
    s.a().sends(connect(Version::v5).will(will("w", "gone"))).gets(connack());
    s.a().sends_bytes(bytes_of("E0 00")).closes();
    s.watch().gets_nothing();
}

TEST_CASE("tables: all 256 reasons of the acknowledgements, in each form",
          "[v5.0][MQTT-3.4.2-1][MQTT-3.5.2-1][MQTT-3.6.2-1][MQTT-3.7.2-1][MQTT-4.4.0-2][gotcha-25]"
          "[gotcha-30]") {
    struct Kind {
        char const* first;
        mqtt::Qos qos;
        std::vector<int> codes;
    };
    std::vector<int> const of_publish{0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
    Kind const kinds[] = {{"40", qos1, of_publish},
                          {"50", qos2, of_publish},
                          {"62", qos0, {0x00, 0x92}},
                          {"70", qos2, {0x00, 0x92}}};
    for (auto const& kind : kinds) {
        for (unsigned code = 0; code < 256; ++code) {
            bool good = std::ranges::find(kind.codes, static_cast<int>(code)) != kind.codes.end();
            for (std::string_view form :
                 {"{} 03 0001 {:02X}", "{} 04 0001 {:02X} 00", "{} ( 0001 {:02X} ( 1F s'why' ) )",
                  "{} ( 0001 {:02X} ( 26 s'k' s'v' 26 s'k' s'v' ) )"}) {
                if (!good && form.size() > 20) continue;  // the short forms tell enough
                CAPTURE(kind.first, code, form);
                Script s{{.link = {.inflight_max = 1}}};
                auto& a = s.link("a");
                a.sends(connect(Version::v5)).gets(connack());
                a.sends(subscribe(1, "t", qos2)).gets(suback(1));
                s.link("pub").sends(connect(Version::v5)).gets(connack());
                bool ends_qos2 = kind.first == std::string_view{"70"};
                if (kind.qos != qos0) {
                    s.link("pub").sends(publish("t", "1", kind.qos, 1));
                    s.link("pub").sends(publish("t", "2", kind.qos, 2));
                    CHECK(s.link("pub").waiting() == 2);
                    a.gets(publish("t", "1", kind.qos, 1));
                    if (ends_qos2) a.sends(pubrec(1)).gets(pubrel(1));
                }
                auto bytes = bytes_of(fmt::format(fmt::runtime(form), kind.first, code));
                if (!good) {
                    a.sends_bytes(bytes).gets(disconnect(ReasonCode::protocol_error)).closes();
                    continue;
                }
                if (kind.qos == qos0) {  // PUBREL of an unknown id
                    a.sends_bytes(bytes).gets(pubcomp(1, ReasonCode::packet_identifier_not_found));
                    continue;
                }
                bool goes_on = kind.first == std::string_view{"50"} && code < 0x80;
                a.sends_bytes(bytes);
                if (goes_on) {
                    a.gets(pubrel(1)).gets_nothing();
                } else {
                    a.gets(publish("t", "2", kind.qos, 2)).gets_nothing();  // the quota is back
                }
            }
        }
    }
}

TEST_CASE("tables: packets of clients cut at every byte or one byte longer have no effect",
          "[v3.1.1][MQTT-4.8.0-1][MQTT-3.1.4-1][v5.0][MQTT-4.13.1-1][MQTT-3.1.4-1][MQTT-2.2.2-1]"
          "[gotcha-21]") {
    for (PacketRow const& row : packet_table()) {
        if (!row.is_good() || row.sender != mqtt::Sender::client) continue;
        auto type = static_cast<mqtt::PacketType>(row.value->index() + 1);
        if (type == mqtt::PacketType::auth) continue;  // needs a method: see auth_test.cpp
        CAPTURE(row.name);
        auto const frame = row.bytes();
        auto const whole = body_of(frame);
        auto first = static_cast<std::uint8_t>(frame[0]);
        for (std::size_t size = 0; size <= whole.size() + 1; ++size) {
            bool good_cut = std::ranges::find(row.good_cuts, size) != row.good_cuts.end();
            if (size == whole.size() || good_cut || whole.size() > 2000) continue;
            Buffer body(whole.begin(),
                        whole.begin() + static_cast<std::ptrdiff_t>(std::min(size, whole.size())));
            if (size > whole.size()) body.push_back(std::byte{0});
            auto bytes = frame_of(first, body);
            // PUBLISH cut in its payload is another PUBLISH, and MQTT 5 has longer forms of others.
            if (mqtt::decode(bytes, row.version, mqtt::Sender::client)) continue;
            CAPTURE(size);
            Table s{row.version};
            if (type == mqtt::PacketType::connect) {
                s.a().sends_bytes(bytes);
                while (s.a().waiting() > 0) {
                    CHECK(mqtt::is_error(s.a().takes<mqtt::ConnAck>().reason));
                }
                s.a().closes();
                CHECK(s.core().sessions().size() == 1);
            } else {
                s.a().sends(connect(row.version)).gets(connack());
                s.a().sends_bytes(bytes);
                s.ends();
            }
            s.watch().gets_nothing();
            CHECK(s.index().subscription_count() == 1);
            CHECK(s.retained().count() == 0);
        }
    }
}
