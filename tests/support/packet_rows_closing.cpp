#include "tests/support/packet_rows.hpp"

namespace spoke::test {

using namespace spoke::mqtt;
using namespace rows;

std::vector<PacketRow> closing_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    return {
        good("PINGREQ 3.1.1", v3_1_1, client, "C0 00", PingReq{}),
        good("PINGREQ 5", v5, client, "C0 00", PingReq{}),
        good("PINGRESP 3.1.1", v3_1_1, server, "D0 00", PingResp{}),
        good("PINGRESP 5", v5, server, "D0 00", PingResp{}),
        good("DISCONNECT 3.1.1", v3_1_1, client, "E0 00", Disconnect{}),
        good("DISCONNECT 5, shortest", v5, client, "E0 00", Disconnect{}),
        good("DISCONNECT 5, with will", v5, client, "E0 01 04",
             Disconnect{.reason = ReasonCode::disconnect_with_will_message}, Cuts{{0}}),
        longer("DISCONNECT 5, normal spelt out", v5, client, "E0 01 00", Disconnect{}, Cuts{{0}}),
        longer("DISCONNECT 5, no properties spelt out", v5, client, "E0 02 00 00", Disconnect{},
               Cuts{{0, 1}}),
        good("DISCONNECT 5, from a client with properties", v5, client, R"(
            E0 (
            00                      # normal
            (
                11 0000003C         # session expiry interval
                1F s'bye'           # reason string
                26 s'k' s'v'        # user property
            )))",
             Disconnect{.session_expiry_interval = 60,
                        .reason_string = "bye",
                        .user_properties = {{"k", "v"}}},
             Cuts{{0, 1}}),
        good("DISCONNECT 5, from a server with properties", v5, server, R"(
            E0 (
            9D                      # server moved
            ( 1C s'mqtt-2' )        # server reference
            ))",
             Disconnect{.reason = ReasonCode::server_moved, .server_reference = "mqtt-2"},
             Cuts{{0, 1}}),
        good("AUTH, shortest", v5, server, "F0 00", Auth{}),
        longer("AUTH, success spelt out", v5, server, "F0 02 00 00", Auth{}, Cuts{{0}}),
        good("AUTH, continue", v5, client, R"(
            F0 (
            18                      # continue authentication
            (
                15 s'SCRAM'         # authentication method
                16 0003 0000FF      # authentication data
                1F s'go on'         # reason string
                26 s'k' s'v'        # user property
            )))",
             Auth{.reason = ReasonCode::continue_authentication,
                  .authentication_method = "SCRAM",
                  .authentication_data = bytes_of("0000FF"),
                  .reason_string = "go on",
                  .user_properties = {{"k", "v"}}}),
        good("AUTH, success with method", v5, server, "F0 ( 00 ( 15 s'SCRAM' ) )",
             Auth{.authentication_method = "SCRAM"}, Cuts{{0}}),

        bad("PINGREQ with a body", v3_1_1, client, "C0 01 00", malformed,
            "bytes behind the last field"),
        bad("PINGREQ 3.1.1: flags", v3_1_1, client, "C1 00", malformed, "MQTT-2.2.2-2"),
        bad("PINGREQ 5: flags", v5, client, "C1 00", malformed, "MQTT-2.1.3-1"),
        bad("PINGREQ from a server", v5, server, "C0 00", protocol_error,
            "packet goes the other way only"),
        bad("PINGRESP from a client", v5, client, "D0 00", protocol_error,
            "packet goes the other way only"),
        bad("PINGRESP with a body", v5, server, "D0 01 00", malformed,
            "bytes behind the last field"),
        bad("DISCONNECT 3.1.1 with a body", v3_1_1, client, "E0 01 00", malformed,
            "bytes behind the last field"),
        bad("DISCONNECT 3.1.1 from a server", v3_1_1, server, "E0 00", protocol_error,
            "packet goes the other way only"),
        bad("DISCONNECT 3.1.1: flags", v3_1_1, client, "E1 00", malformed, "MQTT-3.14.1-1"),
        bad("DISCONNECT 5: flags", v5, client, "E2 00", malformed, "MQTT-3.14.1-1"),
        bad("DISCONNECT 5: reason of a server", v5, client, "E0 01 8E", protocol_error,
            "MQTT-3.14.2-1"),
        bad("DISCONNECT 5: reason of a client", v5, server, "E0 01 04", protocol_error,
            "MQTT-3.14.2-1"),
        bad("DISCONNECT 5: reason out of the table", v5, client, "E0 01 05", protocol_error,
            "MQTT-3.14.2-1"),
        bad("DISCONNECT 5: session expiry from a server", v5, server, "E0 ( 81 ( 11 0000003C ) )",
            protocol_error, "MQTT-3.14.2-2"),
        bad("DISCONNECT 5: server reference from a client", v5, client,
            "E0 ( 00 ( 1C s'mqtt-2' ) )", protocol_error, "property goes the other way only"),
        bad("DISCONNECT 5: bytes behind the properties", v5, client, "E0 03 00 00 00", malformed,
            "bytes behind the last field"),
        bad("AUTH in 3.1.1", v3_1_1, client, "F0 00", malformed, "packet type 15 in 3.1.1"),
        bad("AUTH in 3.1", v3_1, server, "F0 00", malformed, "packet type 15 in 3.1.1"),
        bad("AUTH: flags", v5, client, "F1 ( 18 ( 15 s'SCRAM' ) )", malformed, "MQTT-3.15.1-1"),
        bad("AUTH: success from a client, shortest", v5, client, "F0 00", protocol_error,
            "MQTT-3.15.2-1"),
        bad("AUTH: success from a client", v5, client, "F0 ( 00 ( 15 s'SCRAM' ) )", protocol_error,
            "MQTT-3.15.2-1"),
        bad("AUTH: re-authenticate from a server", v5, server, "F0 ( 19 ( 15 s'SCRAM' ) )",
            protocol_error, "MQTT-3.15.2-1"),
        bad("AUTH: reason out of the table", v5, client, "F0 ( 05 ( 15 s'SCRAM' ) )",
            protocol_error, "MQTT-3.15.2-1"),
        bad("AUTH: without method", v5, client, "F0 02 18 00", protocol_error,
            "AUTH without method"),
        bad("AUTH: data without method", v5, server, "F0 ( 00 ( 16 0001 00 ) )", protocol_error,
            "AUTH without method"),
        bad("AUTH: without property length", v5, client, "F0 01 18", malformed, "MQTT-2.2.2-1"),
    };
}

std::vector<PacketRow> framing_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    return {
        bad("Packet type 0", v5, client, "00 00", malformed, "packet type 0"),
        bad("Length in two bytes for 0", v5, client, "C0 8000", malformed, "MQTT-1.5.5-1"),
        bad("Length in four bytes for 0", v3_1_1, client, "C0 80808000", malformed, "MQTT-1.5.5-1"),
        bad("Length of five bytes", v5, client, "30 FFFFFFFF01", malformed, "MQTT-1.5.5-1"),
        bad("Length without end", v5, client, "30 FFFFFF", malformed,
            "packet is not as long as it says"),
        bad("First byte alone", v5, client, "C0", malformed, "packet is not as long as it says"),
        bad("Nothing at all", v5, client, "", malformed, "packet is not as long as it says"),
        bad("Body shorter than its length", v5, client, "30 05 0001 61", malformed,
            "packet is not as long as it says"),
        bad("Two packets in one frame", v5, client, "C0 00 C0 00", malformed,
            "packet is not as long as it says"),
    };
}

}  // namespace spoke::test
