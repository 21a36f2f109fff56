#include "tests/support/packet_rows.hpp"

namespace spoke::test {

using namespace spoke::mqtt;
using namespace rows;

std::vector<PacketRow> connect_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    auto const unsupported = ReasonCode::unsupported_protocol_version;
    return {
        good("CONNECT 3.1.1, smallest", v3_1_1, client, R"(
            10 0C           # CONNECT, 12 bytes follow
            00 04 'MQTT'    # protocol name
            04              # level
            02              # clean session
            00 00           # keep alive
            00 00           # client id: empty
        )",
             Connect{.version = v3_1_1}),
        good("CONNECT 5, smallest", v5, client, R"(
            10 0D           # CONNECT, 13 bytes follow
            00 04 'MQTT'    # protocol name
            05              # level
            02              # clean start
            00 00           # keep alive
            00              # no properties
            00 00           # client id: empty
        )",
             Connect{.version = v5}),
        good("CONNECT 3.1", v3_1, client, R"(
            10 (
            s'MQIsdp'       # protocol name
            03              # level
            02              # clean session
            00 3C           # keep alive 60 s
            s'bike-7'       # client id
            ))",
             Connect{.version = v3_1, .client_id = "bike-7", .keep_alive = 60}),
        longer("CONNECT 3.1, ends before the user name it promises", v3_1, client, R"(
            10 (
            s'MQIsdp' 03
            C2              # user name, password, clean session
            00 3C
            s'bike-7'       # client id, and no more
            ))",
               Connect{.version = v3_1, .client_id = "bike-7", .keep_alive = 60}),
        longer(
            "CONNECT 3.1, ends before the password it promises", v3_1, client, R"(
            10 (
            s'MQIsdp' 03
            C2              # user name, password, clean session
            00 3C
            s'bike-7'
            s'joe'          # user name
            ))",
            Connect{.version = v3_1, .client_id = "bike-7", .keep_alive = 60, .user_name = "joe"},
            Cuts{{20}}),
        good("CONNECT 3.1.1, all fields", v3_1_1, client, R"(
            10 (
            s'MQTT'         # protocol name
            04              # level
            EC              # user name, password, will retain, will QoS 1, will
            FF FF           # keep alive
            s'bike-7'       # client id
            s'd/7/state'    # will topic
            00 03 00 FF 80  # will payload: any bytes
            s'joe'          # user name
            00 03 FF 00 FE  # password: any bytes
            ))",
             Connect{.version = v3_1_1,
                     .client_id = "bike-7",
                     .clean_start = false,
                     .keep_alive = 65'535,
                     .will = Will{.topic = "d/7/state",
                                  .payload = bytes_of("00 FF 80"),
                                  .qos = Qos::at_least_once,
                                  .retain = true},
                     .user_name = "joe",
                     .password = bytes_of("FF 00 FE")}),
        good("CONNECT 5, all fields", v5, client, R"(
            10 (
            s'MQTT'                         # protocol name
            05                              # level
            D4                              # user name, password, will QoS 2, will
            00 0A                           # keep alive 10 s
            (
                11 00000E10                 # session expiry interval 3600 s
                21 000A                     # receive maximum 10
                27 00010000                 # maximum packet size 65536
                22 0005                     # topic alias maximum 5
                19 01                       # request response information
                17 00                       # request problem information
                26 s'a' s'1'                # user property
                26 s'a' s'2'                # user property, the same name again
                15 s'SCRAM'                 # authentication method
                16 0002 00FF                # authentication data
            )
            s'bike-7'                       # client id
            (
                18 00000005                 # will delay interval 5 s
                01 01                       # payload format: UTF-8
                02 0000000A                 # message expiry interval 10 s
                03 s'text/plain'            # content type
                08 s'reply/7'               # response topic
                09 0001 07                  # correlation data
                26 s'' s''                  # user property, both parts empty
            )
            s'd/7/state'                    # will topic
            s'gone'                         # will payload
            s'joe'                          # user name
            s'secret'                       # password
            ))",
             Connect{.version = v5,
                     .client_id = "bike-7",
                     .clean_start = false,
                     .keep_alive = 10,
                     .will = Will{.topic = "d/7/state",
                                  .payload = to_buffer("gone"),
                                  .qos = Qos::exactly_once,
                                  .will_delay_interval = 5,
                                  .properties = {.payload_format_indicator = std::uint8_t{1},
                                                 .message_expiry_interval = 10,
                                                 .content_type = "text/plain",
                                                 .response_topic = "reply/7",
                                                 .correlation_data = bytes_of("07"),
                                                 .user_properties = {{"", ""}}}},
                     .user_name = "joe",
                     .password = to_buffer("secret"),
                     .session_expiry_interval = 3600,
                     .receive_maximum = std::uint16_t{10},
                     .maximum_packet_size = 65'536,
                     .topic_alias_maximum = std::uint16_t{5},
                     .request_response_information = true,
                     .request_problem_information = false,
                     .authentication_method = "SCRAM",
                     .authentication_data = bytes_of("00 FF"),
                     .user_properties = {{"a", "1"}, {"a", "2"}}}),
        good("CONNECT 5, password without user name", v5, client, R"(
            10 (
            s'MQTT' 05
            42              # password, clean start
            00 00 00
            s'bike-7'
            s'token'        # password
            ))",
             Connect{.version = v5, .client_id = "bike-7", .password = to_buffer("token")}),
        good("CONNECT 5, session never expires", v5, client, R"(
            10 ( s'MQTT' 05 00 0000
            ( 11 FFFFFFFF )  # session expiry interval: never
            s'bike-7' ))",
             Connect{.version = v5,
                     .client_id = "bike-7",
                     .clean_start = false,
                     .session_expiry_interval = kSessionNeverExpires}),

        bad("CONNECT: protocol name unknown", v5, client, "10 ( s'MQTX' 05 02 0000 00 s'bike-7' )",
            malformed, "MQTT-3.1.2-1"),
        bad("CONNECT: protocol name in lower case", v5, client,
            "10 ( s'mqtt' 04 02 0000 s'bike-7' )", malformed, "MQTT-3.1.2-1"),
        bad("CONNECT: MQTT level 2", v5, client, "10 ( s'MQTT' 02 02 0000 s'bike-7' )", unsupported,
            "MQTT-3.1.2-2"),
        bad("CONNECT: MQTT level 3", v5, client, "10 ( s'MQTT' 03 02 0000 s'bike-7' )", unsupported,
            "MQTT-3.1.2-2"),
        bad("CONNECT: MQTT level 6", v5, client, "10 ( s'MQTT' 06 02 0000 00 s'bike-7' )",
            unsupported, "MQTT-3.1.2-2"),
        bad("CONNECT: MQTT level 4 with the mark of a bridge", v5, client,
            "10 ( s'MQTT' 84 02 0000 s'bike-7' )", unsupported, "MQTT-3.1.2-2"),
        bad("CONNECT: MQIsdp level 4", v5, client, "10 ( s'MQIsdp' 04 02 0000 s'bike-7' )",
            unsupported, "MQTT-3.1.2-2"),
        bad("CONNECT: MQIsdp level 5", v5, client, "10 ( s'MQIsdp' 05 02 0000 00 s'bike-7' )",
            unsupported, "MQTT-3.1.2-2"),
        bad("CONNECT 3.1.1: reserved flag", v3_1_1, client, "10 ( s'MQTT' 04 03 0000 s'bike-7' )",
            malformed, "MQTT-3.1.2-3"),
        bad("CONNECT 5: reserved flag", v5, client, "10 ( s'MQTT' 05 03 0000 00 s'bike-7' )",
            malformed, "MQTT-3.1.2-3"),
        bad("CONNECT 3.1.1: will QoS without will", v3_1_1, client,
            "10 ( s'MQTT' 04 0A 0000 s'bike-7' )", malformed, "MQTT-3.1.2-13"),
        bad("CONNECT 5: will QoS without will", v5, client,
            "10 ( s'MQTT' 05 0A 0000 00 s'bike-7' )", malformed, "MQTT-3.1.2-11"),
        bad("CONNECT 3.1.1: will retain without will", v3_1_1, client,
            "10 ( s'MQTT' 04 22 0000 s'bike-7' )", malformed, "MQTT-3.1.2-15"),
        bad("CONNECT 5: will retain without will", v5, client,
            "10 ( s'MQTT' 05 22 0000 00 s'bike-7' )", malformed, "MQTT-3.1.2-13"),
        bad("CONNECT 3.1.1: will QoS 3", v3_1_1, client,
            "10 ( s'MQTT' 04 1E 0000 s'bike-7' s'w' s'x' )", malformed, "MQTT-3.1.2-14"),
        bad("CONNECT 5: will QoS 3", v5, client,
            "10 ( s'MQTT' 05 1E 0000 00 s'bike-7' 00 s'w' s'x' )", malformed, "MQTT-3.1.2-12"),
        bad("CONNECT 3.1.1: password without user name", v3_1_1, client,
            "10 ( s'MQTT' 04 42 0000 s'bike-7' s'secret' )", malformed, "MQTT-3.1.2-22"),
        bad("CONNECT 3.1.1: will promised, payload ends", v3_1_1, client,
            "10 ( s'MQTT' 04 06 0000 s'bike-7' )", malformed, "field runs past the end"),
        bad("CONNECT 5: will promised, payload ends", v5, client,
            "10 ( s'MQTT' 05 06 0000 00 s'bike-7' )", malformed, "MQTT-2.2.2-1"),
        bad("CONNECT 3.1.1: no client id", v3_1_1, client, "10 ( s'MQTT' 04 02 0000 )", malformed,
            "field runs past the end"),
        bad("CONNECT 3.1.1: a string that no flag announces", v3_1_1, client,
            "10 ( s'MQTT' 04 02 0000 s'bike-7' s'joe' )", malformed, "bytes behind the last field"),
        bad("CONNECT 5: a string that no flag announces", v5, client,
            "10 ( s'MQTT' 05 02 0000 00 s'bike-7' s'joe' )", malformed,
            "bytes behind the last field"),
        bad("CONNECT 3.1.1: client id is no UTF-8", v3_1_1, client,
            "10 ( s'MQTT' 04 02 0000 0002 C328 )", malformed, "MQTT-1.5.3-1"),
        bad("CONNECT 5: client id is no UTF-8", v5, client,
            "10 ( s'MQTT' 05 02 0000 00 0002 C328 )", malformed, "MQTT-1.5.4-1"),
        bad("CONNECT 3.1.1: NUL in the user name", v3_1_1, client,
            "10 ( s'MQTT' 04 82 0000 s'bike-7' 0003 610062 )", malformed, "MQTT-1.5.3-2"),
        bad("CONNECT 5: NUL in the user name", v5, client,
            "10 ( s'MQTT' 05 82 0000 00 s'bike-7' 0003 610062 )", malformed, "MQTT-1.5.4-2"),
        bad("CONNECT 3.1.1: wildcard in the will topic", v3_1_1, client,
            "10 ( s'MQTT' 04 06 0000 s'bike-7' s'd/+/state' s'x' )", ReasonCode::topic_name_invalid,
            "MQTT-4.7.1-1"),
        bad("CONNECT 5: wildcard in the will topic", v5, client,
            "10 ( s'MQTT' 05 06 0000 00 s'bike-7' 00 s'd/#' s'x' )", ReasonCode::topic_name_invalid,
            "MQTT-4.7.0-1"),
        bad("CONNECT 5: will topic empty", v5, client,
            "10 ( s'MQTT' 05 06 0000 00 s'bike-7' 00 s'' s'x' )", ReasonCode::topic_name_invalid,
            "MQTT-4.7.3-1"),
        bad("CONNECT 5: without property length", v5, client, "10 ( s'MQTT' 05 02 0000 )",
            malformed, "MQTT-2.2.2-1"),
        bad("CONNECT 5: property length in two bytes", v5, client,
            "10 ( s'MQTT' 05 02 0000 8000 s'bike-7' )", malformed, "MQTT-1.5.5-1"),
        bad("CONNECT 5: property length of five bytes", v5, client,
            "10 ( s'MQTT' 05 02 0000 FFFFFFFF01 s'bike-7' )", malformed, "MQTT-1.5.5-1"),
        bad("CONNECT 5: property length past the end", v5, client,
            "10 ( s'MQTT' 05 02 0000 20 11 00000001 s'bike-7' )", malformed,
            "field runs past the end"),
        bad("CONNECT 5: property cut by the property length", v5, client,
            "10 ( s'MQTT' 05 02 0000 04 11 00000001 s'bike-7' )", malformed,
            "field runs past the end"),
        bad("CONNECT 5: property unknown", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 7F 00 ) s'bike-7' )", malformed, "unknown property"),
        bad("CONNECT 5: property of PUBLISH", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 23 0001 ) s'bike-7' )", malformed,
            "property does not belong in this packet"),
        bad("CONNECT 5: session expiry twice", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 11 00000001 11 00000001 ) s'bike-7' )", protocol_error,
            "property given twice"),
        bad("CONNECT 5: receive maximum 0", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 21 0000 ) s'bike-7' )", protocol_error,
            "property value out of range"),
        bad("CONNECT 5: maximum packet size 0", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 27 00000000 ) s'bike-7' )", protocol_error,
            "property value out of range"),
        bad("CONNECT 5: request problem information 2", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 17 02 ) s'bike-7' )", protocol_error,
            "property value out of range"),
        bad("CONNECT 5: request response information 2", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 19 02 ) s'bike-7' )", protocol_error,
            "property value out of range"),
        bad("CONNECT 5: authentication data without method", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 16 0001 00 ) s'bike-7' )", protocol_error,
            "authentication data without method"),
        bad("CONNECT 5: user property without value", v5, client,
            "10 ( s'MQTT' 05 02 0000 ( 26 s'a' ) s'bike-7' )", malformed,
            "field runs past the end"),
        bad("CONNECT from a server", v3_1_1, server, "10 ( s'MQTT' 04 02 0000 s'bike-7' )",
            protocol_error, "packet goes the other way only"),
        bad("CONNECT, empty", v5, client, "10 00", malformed, "field runs past the end"),
    };
}

std::vector<PacketRow> connack_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    return {
        good("CONNACK 3.1.1, accepted", v3_1_1, server, R"(
            20 02
            00              # no session
            00              # accepted
        )",
             ConnAck{}),
        good("CONNACK 3.1.1, session present", v3_1_1, server, "20 02 01 00",
             ConnAck{.session_present = true}),
        good("CONNACK 3.1.1, not authorised", v3_1_1, server, "20 02 00 05",
             ConnAck{.reason = ReasonCode::not_authorized}),
        good("CONNACK 3.1, level refused", v3_1, server, "20 02 00 01",
             ConnAck{.reason = ReasonCode::unsupported_protocol_version}),
        longer("CONNACK 3.1, reserved byte", v3_1, server, "20 02 FF 00", ConnAck{}),
        good("CONNACK 5, accepted", v5, server, R"(
            20 03
            00              # no session
            00              # success
            00              # no properties
        )",
             ConnAck{}),
        good("CONNACK 5, refused", v5, server, R"(
            20 (
            00
            9C                      # use another server
            (
                1F s'moved'         # reason string
                1C s'mqtt-2:1883'   # server reference
            )))",
             ConnAck{.reason = ReasonCode::use_another_server,
                     .reason_string = "moved",
                     .server_reference = "mqtt-2:1883"}),
        good("CONNACK 5, all properties", v5, server, R"(
            20 (
            01                      # session present
            00                      # success
            (
                11 0000003C         # session expiry interval
                21 0014             # receive maximum
                24 01               # maximum QoS
                25 00               # retain available
                27 00001000         # maximum packet size
                12 s'auto-1'        # assigned client identifier
                22 000A             # topic alias maximum
                1F s'welcome'       # reason string
                26 s'k' s'v'        # user property
                28 00               # wildcard subscription available
                29 01               # subscription identifiers available
                2A 00               # shared subscription available
                13 001E             # server keep alive
                1A s'reply/'        # response information
                1C s'mqtt-2'        # server reference
                15 s'SCRAM'         # authentication method
                16 0001 FF          # authentication data
            )))",
             ConnAck{.session_present = true,
                     .session_expiry_interval = 60,
                     .receive_maximum = std::uint16_t{20},
                     .maximum_qos = Qos::at_least_once,
                     .retain_available = false,
                     .maximum_packet_size = 4096,
                     .assigned_client_identifier = "auto-1",
                     .topic_alias_maximum = std::uint16_t{10},
                     .reason_string = "welcome",
                     .user_properties = {{"k", "v"}},
                     .wildcard_subscription_available = false,
                     .subscription_identifiers_available = true,
                     .shared_subscription_available = false,
                     .server_keep_alive = std::uint16_t{30},
                     .response_information = "reply/",
                     .server_reference = "mqtt-2",
                     .authentication_method = "SCRAM",
                     .authentication_data = bytes_of("FF")}),

        bad("CONNACK 3.1.1: return code 6", v3_1_1, server, "20 02 00 06", protocol_error,
            "return code above 5"),
        bad("CONNACK 3.1.1: reason of MQTT 5", v3_1_1, server, "20 02 00 87", protocol_error,
            "return code above 5"),
        bad("CONNACK 3.1.1: reserved flag", v3_1_1, server, "20 02 02 00", malformed,
            "acknowledge flags 7 to 1 are not 0"),
        bad("CONNACK 5: reserved flag", v5, server, "20 03 80 00 00", malformed, "MQTT-3.2.2-1"),
        bad("CONNACK 3.1.1: refused with session present", v3_1_1, server, "20 02 01 05",
            protocol_error, "MQTT-3.2.2-4"),
        bad("CONNACK 5: refused with session present", v5, server, "20 03 01 87 00", protocol_error,
            "MQTT-3.2.2-6"),
        bad("CONNACK 5: reason of DISCONNECT", v5, server, "20 03 00 8E 00", protocol_error,
            "MQTT-3.2.2-8"),
        bad("CONNACK 5: without property length", v5, server, "20 02 00 00", malformed,
            "MQTT-2.2.2-1"),
        bad("CONNACK 5: maximum QoS 2", v5, server, "20 ( 00 00 ( 24 02 ) )", protocol_error,
            "property value out of range"),
        bad("CONNACK 5: receive maximum 0", v5, server, "20 ( 00 00 ( 21 0000 ) )", protocol_error,
            "property value out of range"),
        bad("CONNACK 5: authentication data without method", v5, server,
            "20 ( 00 00 ( 16 0001 00 ) )", protocol_error, "authentication data without method"),
        bad("CONNACK from a client", v5, client, "20 03 00 00 00", protocol_error,
            "packet goes the other way only"),
    };
}

}  // namespace spoke::test
