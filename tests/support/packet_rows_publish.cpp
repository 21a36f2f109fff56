#include "tests/support/packet_rows.hpp"

namespace spoke::test {

using namespace spoke::mqtt;
using namespace rows;

std::vector<PacketRow> publish_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    auto const name_invalid = ReasonCode::topic_name_invalid;
    return {
        good("PUBLISH 3.1.1 QoS 0", v3_1_1, client, R"(
            30 0D           # PUBLISH, QoS 0, 13 bytes follow
            00 07 'd/7/cmd' # topic
            'ring'          # payload
        )",
             Publish{.topic = "d/7/cmd", .payload = to_buffer("ring")}),
        good("PUBLISH 3.1.1 QoS 0, empty payload", v3_1_1, client, R"(
            31              # PUBLISH, QoS 0, RETAIN
            ( s'd/7/cmd' )
        )",
             Publish{.topic = "d/7/cmd", .retain = true}),
        good("PUBLISH 3.1.1 QoS 1", v3_1_1, client, R"(
            32 ( s'd/7/cmd'
            1234            # packet id
            'ring' )
        )",
             Publish{.topic = "d/7/cmd",
                     .payload = to_buffer("ring"),
                     .qos = Qos::at_least_once,
                     .id = PacketId{0x1234}}),
        good("PUBLISH 3.1.1 QoS 2, DUP, RETAIN", v3_1_1, server, R"(
            3D ( s'd/7/cmd'
            FFFF            # packet id
            00FF )
        )",
             Publish{.topic = "d/7/cmd",
                     .payload = bytes_of("00FF"),
                     .qos = Qos::exactly_once,
                     .retain = true,
                     .dup = true,
                     .id = PacketId{65'535}}),
        good("PUBLISH 3.1 QoS 1", v3_1, client, "32 ( s'a' 0001 'x' )",
             Publish{.topic = "a",
                     .payload = to_buffer("x"),
                     .qos = Qos::at_least_once,
                     .id = PacketId{1}}),
        good("PUBLISH 5 QoS 0", v5, client, R"(
            30 ( s'd/7/cmd'
            00              # no properties
            'ring' )
        )",
             Publish{.topic = "d/7/cmd", .payload = to_buffer("ring")}),
        good("PUBLISH 5 QoS 1, all properties", v5, client, R"(
            32 ( s'd/7/cmd'
            0005                        # packet id
            (
                23 0003                 # topic alias
                01 01                   # payload format: UTF-8
                02 0000003C             # message expiry interval
                03 s'text/plain'        # content type
                08 s'd/7/reply'         # response topic
                09 0003 0001FF          # correlation data
                26 s'b' s'1'            # user property
                26 s'a' s'2'            # user property
                26 s'b' s'3'            # user property
            )
            'unlock' )
        )",
             Publish{.topic = "d/7/cmd",
                     .payload = to_buffer("unlock"),
                     .qos = Qos::at_least_once,
                     .id = PacketId{5},
                     .topic_alias = std::uint16_t{3},
                     .properties = {.payload_format_indicator = std::uint8_t{1},
                                    .message_expiry_interval = 60,
                                    .content_type = "text/plain",
                                    .response_topic = "d/7/reply",
                                    .correlation_data = bytes_of("0001FF"),
                                    .user_properties = {{"b", "1"}, {"a", "2"}, {"b", "3"}}}}),
        longer("PUBLISH 5, properties in another order", v5, server, R"(
            30 ( s'd/7/cmd'
            (
                26 s'b' s'1'            # user property
                02 00000000             # message expiry interval 0
                0B 01                   # subscription identifier 1
                09 0000                 # correlation data, empty
                0B FFFFFF7F             # subscription identifier 268435455
                01 00                   # payload format: bytes
                0B 01                   # subscription identifier 1, again
                26 s'b' s'1'            # the same user property again
            )
            'x' )
        )",
               Publish{.topic = "d/7/cmd",
                       .payload = to_buffer("x"),
                       .properties = {.payload_format_indicator = std::uint8_t{0},
                                      .message_expiry_interval = 0,
                                      .correlation_data = Buffer{},
                                      .user_properties = {{"b", "1"}, {"b", "1"}}},
                       .subscription_identifiers = {1, 268'435'455, 1}}),
        good("PUBLISH 5, topic alias alone", v5, client, R"(
            30 ( s''                    # topic: empty
            ( 23 FFFF )                 # topic alias
            'x' )
        )",
             Publish{.topic = "", .payload = to_buffer("x"), .topic_alias = std::uint16_t{65'535}}),
        good("PUBLISH 5, topic starts with U+FEFF", v5, client, "30 ( 0004 EFBBBF 61 00 )",
             Publish{.topic = "\xEF\xBB\xBF"
                              "a"}),
        good("PUBLISH 3.1.1, topic of $", v3_1_1, client, "30 ( s'$SYS/x' )",
             Publish{.topic = "$SYS/x"}),

        bad("PUBLISH 3.1.1 QoS 3", v3_1_1, client, "36 ( s'a' 0001 )", malformed, "MQTT-3.3.1-4"),
        bad("PUBLISH 5 QoS 3", v5, client, "36 ( s'a' 0001 00 )", malformed, "MQTT-3.3.1-4"),
        bad("PUBLISH 3.1.1: DUP with QoS 0", v3_1_1, client, "38 ( s'a' )", malformed,
            "MQTT-3.3.1-2"),
        bad("PUBLISH 5: DUP and RETAIN with QoS 0", v5, client, "39 ( s'a' 00 )", malformed,
            "MQTT-3.3.1-2"),
        bad("PUBLISH 3.1.1: packet id 0", v3_1_1, client, "32 ( s'a' 0000 'x' )", protocol_error,
            "MQTT-2.3.1-1"),
        bad("PUBLISH 5: packet id 0", v5, client, "34 ( s'a' 0000 00 'x' )", protocol_error,
            "MQTT-2.2.1-3"),
        bad("PUBLISH 3.1.1: topic empty", v3_1_1, client, "30 ( s'' 'x' )", protocol_error,
            "MQTT-4.7.3-1"),
        bad("PUBLISH 5: topic empty without alias", v5, client, "30 ( s'' 00 'x' )", protocol_error,
            "MQTT-4.7.3-1"),
        bad("PUBLISH 3.1.1: wildcard in the topic", v3_1_1, client, "30 ( s'd/+/cmd' 'x' )",
            name_invalid, "MQTT-3.3.2-2"),
        bad("PUBLISH 5: wildcard in the topic", v5, client, "30 ( s'd/#' 00 'x' )", name_invalid,
            "MQTT-3.3.2-2"),
        bad("PUBLISH 5: wildcard in a topic that is not ASCII", v5, client,
            "30 ( 0004 C3A4 '/#' 00 'x' )", name_invalid, "MQTT-3.3.2-2"),
        bad("PUBLISH 3.1.1: topic is no UTF-8", v3_1_1, client, "30 ( 0002 C328 )", malformed,
            "MQTT-1.5.3-1"),
        bad("PUBLISH 5: surrogate in the topic", v5, client, "30 ( 0003 EDA080 00 )", malformed,
            "MQTT-1.5.4-1"),
        bad("PUBLISH 5: NUL in the topic", v5, client, "30 ( 0003 610062 00 )", malformed,
            "MQTT-1.5.4-2"),
        bad("PUBLISH 3.1.1: topic longer than the packet", v3_1_1, client, "30 04 00 07 6161",
            malformed, "field runs past the end"),
        bad("PUBLISH 5: without property length", v5, client, "30 ( s'a' )", malformed,
            "MQTT-2.2.2-1"),
        bad("PUBLISH 5: property length past the end", v5, client, "30 ( s'a' 05 01 00 )",
            malformed, "field runs past the end"),
        bad("PUBLISH 5: topic alias 0", v5, client, "30 ( s'a' ( 23 0000 ) )",
            ReasonCode::topic_alias_invalid, "MQTT-3.3.2-8"),
        bad("PUBLISH 5: topic alias twice", v5, client, "30 ( s'a' ( 23 0001 23 0001 ) )",
            protocol_error, "property given twice"),
        bad("PUBLISH 5: payload format 2", v5, client, "30 ( s'a' ( 01 02 ) )", protocol_error,
            "property value out of range"),
        bad("PUBLISH 5: response topic with a wildcard", v5, client,
            "30 ( s'a' ( 08 s'd/+/reply' ) )", protocol_error, "MQTT-3.3.2-14"),
        bad("PUBLISH 5: response topic empty", v5, client, "30 ( s'a' ( 08 s'' ) )", protocol_error,
            "MQTT-3.3.2-14"),
        bad("PUBLISH 5: response topic is no UTF-8", v5, client, "30 ( s'a' ( 08 0002 C328 ) )",
            malformed, "MQTT-1.5.4-1"),
        bad("PUBLISH 5: content type is no UTF-8", v5, client, "30 ( s'a' ( 03 0002 C328 ) )",
            malformed, "MQTT-1.5.4-1"),
        bad("PUBLISH 5: user property value with NUL", v5, client,
            "30 ( s'a' ( 26 s'k' 0001 00 ) )", malformed, "MQTT-1.5.4-2"),
        bad("PUBLISH 5: subscription identifier from a client", v5, client, "30 ( s'a' ( 0B 01 ) )",
            protocol_error, "MQTT-3.3.4-6"),
        bad("PUBLISH 5: subscription identifier 0", v5, server, "30 ( s'a' ( 0B 00 ) )",
            protocol_error, "property value out of range"),
        bad("PUBLISH 5: property of CONNECT", v5, client, "30 ( s'a' ( 11 00000001 ) )", malformed,
            "property does not belong in this packet"),
        bad("PUBLISH 5: property unknown", v5, client, "30 ( s'a' ( 04 00 ) )", malformed,
            "unknown property"),
        bad("PUBLISH 5: property id of two bytes", v5, client, "30 ( s'a' ( A600 s'k' s'v' ) )",
            malformed, "unknown property"),
    };
}

std::vector<PacketRow> acknowledgement_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    return {
        good("PUBACK 3.1.1", v3_1_1, client, R"(
            40 02
            12 34           # packet id
        )",
             PubAck{.id = PacketId{0x1234}}),
        good("PUBACK 5, shortest", v5, client, "40 02 12 34", PubAck{.id = PacketId{0x1234}}),
        good("PUBACK 5, reason", v5, client, R"(
            40 03
            00 01           # packet id
            10              # no matching subscribers
        )",
             PubAck{.id = PacketId{1}, .reason = ReasonCode::no_matching_subscribers}, Cuts{{2}}),
        longer("PUBACK 5, success spelt out", v5, server, "40 03 0001 00",
               PubAck{.id = PacketId{1}}, Cuts{{2}}),
        longer("PUBACK 5, success and no properties spelt out", v5, server, "40 04 0001 00 00",
               PubAck{.id = PacketId{1}}, Cuts{{2, 3}}),
        good("PUBACK 5, success with properties", v5, server, R"(
            40 (
            0001            # packet id
            00              # success
            (
                1F s'fine'          # reason string
                26 s'k' s'v'        # user property
            )))",
             PubAck{.id = PacketId{1}, .reason_string = "fine", .user_properties = {{"k", "v"}}},
             Cuts{{2, 3}}),
        good("PUBREC 3.1.1", v3_1_1, client, "50 02 00 01", PubRec{.id = PacketId{1}}),
        good("PUBREC 5, refused", v5, server, R"(
            50 (
            0007            # packet id
            87              # not authorised
            ( 1F s'no' )    # reason string
            ))",
             PubRec{.id = PacketId{7}, .reason = ReasonCode::not_authorized, .reason_string = "no"},
             Cuts{{2, 3}}),
        good("PUBREL 3.1.1", v3_1_1, client, "62 02 00 01", PubRel{.id = PacketId{1}}),
        good("PUBREL 3.1", v3_1, client, "62 02 00 01", PubRel{.id = PacketId{1}}),
        longer("PUBREL 3.1, DUP", v3_1, client, "6A 02 00 01", PubRel{.id = PacketId{1}}),
        good("PUBREL 5, unknown id", v5, server, R"(
            62 03
            00 09           # packet id
            92              # packet identifier not found
        )",
             PubRel{.id = PacketId{9}, .reason = ReasonCode::packet_identifier_not_found},
             Cuts{{2}}),
        good("PUBCOMP 3.1.1", v3_1_1, server, "70 02 FF FF", PubComp{.id = PacketId{65'535}}),
        good("PUBCOMP 5, unknown id", v5, client, "70 03 0009 92",
             PubComp{.id = PacketId{9}, .reason = ReasonCode::packet_identifier_not_found},
             Cuts{{2}}),
        good("PUBCOMP 5, user property", v5, client, "70 ( 0009 92 ( 26 s'' s'v' ) )",
             PubComp{.id = PacketId{9},
                     .reason = ReasonCode::packet_identifier_not_found,
                     .user_properties = {{"", "v"}}},
             Cuts{{2, 3}}),

        bad("PUBACK 3.1.1: packet id 0", v3_1_1, client, "40 02 0000", protocol_error,
            "MQTT-2.3.1-1"),
        bad("PUBACK 5: packet id 0", v5, client, "40 02 0000", protocol_error, "MQTT-2.2.1-3"),
        bad("PUBACK 3.1.1: with a reason", v3_1_1, client, "40 03 0001 00", malformed,
            "bytes behind the last field"),
        bad("PUBACK 3.1.1: without packet id", v3_1_1, client, "40 00", malformed,
            "field runs past the end"),
        bad("PUBACK 5: reason out of the table", v5, client, "40 03 0001 92", protocol_error,
            "MQTT-3.4.2-1"),
        bad("PUBREC 5: reason out of the table", v5, client, "50 03 0001 81", protocol_error,
            "MQTT-3.5.2-1"),
        bad("PUBREL 5: reason out of the table", v5, client, "62 03 0001 10", protocol_error,
            "MQTT-3.6.2-1"),
        bad("PUBCOMP 5: reason out of the table", v5, client, "70 03 0001 80", protocol_error,
            "MQTT-3.7.2-1"),
        bad("PUBACK 5: property length past the end", v5, client, "40 04 0001 00 01", malformed,
            "field runs past the end"),
        bad("PUBACK 5: bytes behind the properties", v5, client, "40 05 0001 00 00 00", malformed,
            "bytes behind the last field"),
        bad("PUBACK 5: reason string twice", v5, client, "40 ( 0001 00 ( 1F s'a' 1F s'a' ) )",
            protocol_error, "property given twice"),
        bad("PUBACK 5: reason string is no UTF-8", v5, client, "40 ( 0001 00 ( 1F 0001 FF ) )",
            malformed, "MQTT-1.5.4-1"),
        bad("PUBACK 3.1.1: flags", v3_1_1, client, "41 02 0001", malformed, "MQTT-2.2.2-2"),
        bad("PUBACK 5: flags", v5, client, "41 02 0001", malformed, "MQTT-2.1.3-1"),
        bad("PUBREL 3.1.1: flags 0", v3_1_1, client, "60 02 0001", malformed, "MQTT-3.6.1-1"),
        bad("PUBREL 5: flags 0", v5, client, "60 02 0001", malformed, "MQTT-3.6.1-1"),
        bad("PUBREL 3.1.1: DUP", v3_1_1, client, "6A 02 0001", malformed, "MQTT-3.6.1-1"),
        bad("PUBREL 5: DUP", v5, client, "6A 02 0001", malformed, "MQTT-3.6.1-1"),
    };
}

}  // namespace spoke::test
