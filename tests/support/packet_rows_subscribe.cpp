#include "tests/support/packet_rows.hpp"

namespace spoke::test {

using namespace spoke::mqtt;
using namespace rows;

std::vector<PacketRow> subscribe_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    return {
        good("SUBSCRIBE 3.1.1", v3_1_1, client, R"(
            82 0A
            00 07           # packet id
            00 05 'd/7/#'   # filter
            01              # QoS 1
        )",
             Subscribe{.id = PacketId{7},
                       .subscriptions = {{"d/7/#", {.qos = Qos::at_least_once}}}}),
        good("SUBSCRIBE 3.1.1, three filters", v3_1_1, client, R"(
            82 (
            0007            # packet id
            s'a' 02
            s'$share/g/t' 00
            s'+/+' 01
            ))",
             Subscribe{.id = PacketId{7},
                       .subscriptions = {{"a", {.qos = Qos::exactly_once}},
                                         {"$share/g/t", {}},
                                         {"+/+", {.qos = Qos::at_least_once}}}},
             Cuts{{6, 19}}),
        longer("SUBSCRIBE 3.1, DUP", v3_1, client, "8A ( 0007 s'a' 01 )",
               Subscribe{.id = PacketId{7}, .subscriptions = {{"a", {.qos = Qos::at_least_once}}}}),
        good("SUBSCRIBE 5", v5, client, R"(
            82 (
            0007            # packet id
            00              # no properties
            s'd/7/#'        # filter
            00              # options: none
            ))",
             Subscribe{.id = PacketId{7}, .subscriptions = {{"d/7/#", {}}}}),
        good("SUBSCRIBE 5, identifier and all options", v5, client, R"(
            82 (
            0007                    # packet id
            (
                0B FFFFFF7F         # subscription identifier, the largest
                26 s'k' s'v'        # user property
            )
            s'a' 2E                 # QoS 2, no local, as published, retain handling 2
            s'$share/g/t' 1A        # QoS 2, as published, retain handling 1
            ))",
             Subscribe{.id = PacketId{7},
                       .subscriptions = {{"a",
                                          {.qos = Qos::exactly_once,
                                           .no_local = true,
                                           .retain_as_published = true,
                                           .retain_handling = RetainHandling::do_not_send}},
                                         {"$share/g/t",
                                          {.qos = Qos::exactly_once,
                                           .retain_as_published = true,
                                           .retain_handling = RetainHandling::send_if_new}}},
                       .subscription_identifier = 268'435'455,
                       .user_properties = {{"k", "v"}}},
             Cuts{{19}}),
        good("SUBSCRIBE 5, filter that is no filter", v5, client,
             "82 ( 0007 00 s'a#' 00 s'' 00 )",  // the receiver answers each with 0x8F
             Subscribe{.id = PacketId{7}, .subscriptions = {{"a#", {}}, {"", {}}}}, Cuts{{8}}),
        good("SUBACK 3.1.1", v3_1_1, server, R"(
            90 06
            00 07           # packet id
            02 00 01 80     # granted and refused
        )",
             SubAck{.id = PacketId{7},
                    .reasons = {ReasonCode::granted_qos_2, ReasonCode::granted_qos_0,
                                ReasonCode::granted_qos_1, ReasonCode::unspecified_error}},
             Cuts{{3, 4, 5}}),
        good("SUBACK 5", v5, server, R"(
            90 (
            0007                    # packet id
            ( 1F s'partly' )        # reason string
            01 87
            ))",
             SubAck{.id = PacketId{7},
                    .reasons = {ReasonCode::granted_qos_1, ReasonCode::not_authorized},
                    .reason_string = "partly"},
             Cuts{{13}}),

        bad("SUBSCRIBE 3.1.1: no filter", v3_1_1, client, "82 02 0007", protocol_error,
            "MQTT-3.8.3-3"),
        bad("SUBSCRIBE 5: no filter", v5, client, "82 03 0007 00", protocol_error, "MQTT-3.8.3-2"),
        bad("SUBSCRIBE 3.1.1: filter without QoS", v3_1_1, client, "82 ( 0007 s'a' )", malformed,
            "field runs past the end"),
        bad("SUBSCRIBE 5: filter without options", v5, client, "82 ( 0007 00 s'a' 00 s'b' )",
            malformed, "field runs past the end"),
        bad("SUBSCRIBE 3.1.1: packet id 0", v3_1_1, client, "82 ( 0000 s'a' 00 )", protocol_error,
            "MQTT-2.3.1-1"),
        bad("SUBSCRIBE 5: packet id 0", v5, client, "82 ( 0000 00 s'a' 00 )", protocol_error,
            "MQTT-2.2.1-3"),
        bad("SUBSCRIBE 3.1.1: QoS 3", v3_1_1, client, "82 ( 0007 s'a' 03 )", malformed,
            "MQTT-3.8.3-4"),
        bad("SUBSCRIBE 3.1.1: option of MQTT 5", v3_1_1, client, "82 ( 0007 s'a' 04 )", malformed,
            "MQTT-3.8.3-4"),
        bad("SUBSCRIBE 3.1.1: reserved bit", v3_1_1, client, "82 ( 0007 s'a' 80 )", malformed,
            "MQTT-3.8.3-4"),
        bad("SUBSCRIBE 5: QoS 3", v5, client, "82 ( 0007 00 s'a' 03 )", protocol_error,
            "subscription QoS 3"),
        bad("SUBSCRIBE 5: retain handling 3", v5, client, "82 ( 0007 00 s'a' 30 )", protocol_error,
            "retain handling 3"),
        bad("SUBSCRIBE 5: reserved bit 6", v5, client, "82 ( 0007 00 s'a' 40 )", malformed,
            "MQTT-3.8.3-5"),
        bad("SUBSCRIBE 5: reserved bit 7", v5, client, "82 ( 0007 00 s'a' 80 )", malformed,
            "MQTT-3.8.3-5"),
        bad("SUBSCRIBE 5: good filter before a bad one", v5, client,
            "82 ( 0007 00 s'a' 00 s'b' C0 )", malformed, "MQTT-3.8.3-5"),
        bad("SUBSCRIBE 5: no local on a shared subscription", v5, client,
            "82 ( 0007 00 s'$share/g/t' 04 )", protocol_error, "MQTT-3.8.3-4"),
        bad("SUBSCRIBE 5: subscription identifier 0", v5, client, "82 ( 0007 ( 0B 00 ) s'a' 00 )",
            protocol_error, "property value out of range"),
        bad("SUBSCRIBE 5: subscription identifier twice", v5, client,
            "82 ( 0007 ( 0B 01 0B 02 ) s'a' 00 )", protocol_error, "property given twice"),
        bad("SUBSCRIBE 5: subscription identifier in two bytes for 1", v5, client,
            "82 ( 0007 ( 0B 8100 ) s'a' 00 )", malformed, "MQTT-1.5.5-1"),
        bad("SUBSCRIBE 3.1.1: filter is no UTF-8", v3_1_1, client, "82 ( 0007 0002 C328 00 )",
            malformed, "MQTT-1.5.3-1"),
        bad("SUBSCRIBE 5: NUL in the filter", v5, client, "82 ( 0007 00 0003 612F00 00 )",
            malformed, "MQTT-1.5.4-2"),
        bad("SUBSCRIBE 3.1.1: flags 0", v3_1_1, client, "80 ( 0007 s'a' 00 )", malformed,
            "MQTT-3.8.1-1"),
        bad("SUBSCRIBE 5: DUP", v5, client, "8A ( 0007 00 s'a' 00 )", malformed, "MQTT-3.8.1-1"),
        bad("SUBSCRIBE from a server", v5, server, "82 ( 0007 00 s'a' 00 )", protocol_error,
            "packet goes the other way only"),
        bad("SUBACK 3.1.1: code 3", v3_1_1, server, "90 03 0007 03", protocol_error,
            "MQTT-3.9.3-2"),
        bad("SUBACK 3.1.1: reason of MQTT 5", v3_1_1, server, "90 03 0007 87", protocol_error,
            "MQTT-3.9.3-2"),
        bad("SUBACK 3.1: failure", v3_1, server, "90 03 0007 80", protocol_error, "MQTT-3.9.3-2"),
        bad("SUBACK 5: reason out of the table", v5, server, "90 04 0007 00 11", protocol_error,
            "MQTT-3.9.3-2"),
        bad("SUBACK 3.1.1: no code", v3_1_1, server, "90 02 0007", protocol_error,
            "acknowledgement without a reason code"),
        bad("SUBACK 5: no code", v5, server, "90 03 0007 00", protocol_error,
            "acknowledgement without a reason code"),
        bad("SUBACK 5: packet id 0", v5, server, "90 04 0000 00 00", protocol_error,
            "MQTT-2.2.1-3"),
        bad("SUBACK from a client", v5, client, "90 04 0007 00 00", protocol_error,
            "packet goes the other way only"),
    };
}

std::vector<PacketRow> unsubscribe_rows() {
    auto const malformed = ReasonCode::malformed_packet;
    auto const protocol_error = ReasonCode::protocol_error;
    return {
        good("UNSUBSCRIBE 3.1.1", v3_1_1, client, R"(
            A2 (
            0008            # packet id
            s'd/7/#' s'a'   # filters
            ))",
             Unsubscribe{.id = PacketId{8}, .filters = {"d/7/#", "a"}}, Cuts{{9}}),
        longer("UNSUBSCRIBE 3.1, DUP", v3_1, client, "AA ( 0008 s'a' )",
               Unsubscribe{.id = PacketId{8}, .filters = {"a"}}),
        good("UNSUBSCRIBE 5", v5, client, R"(
            A2 (
            0008                    # packet id
            ( 26 s'k' s'v' )        # user property
            s'd/7/#'                # filter
            ))",
             Unsubscribe{.id = PacketId{8}, .filters = {"d/7/#"}, .user_properties = {{"k", "v"}}}),
        good("UNSUBACK 3.1.1", v3_1_1, server, "B0 02 0102", UnsubAck{.id = PacketId{0x0102}}),
        good("UNSUBACK 5", v5, server, R"(
            B0 (
            0102            # packet id
            00              # no properties
            00 11 87        # success, no subscription existed, not authorised
            ))",
             UnsubAck{.id = PacketId{0x0102},
                      .reasons = {ReasonCode::success, ReasonCode::no_subscription_existed,
                                  ReasonCode::not_authorized}},
             Cuts{{4, 5}}),

        bad("UNSUBSCRIBE 3.1.1: no filter", v3_1_1, client, "A2 02 0008", protocol_error,
            "MQTT-3.10.3-2"),
        bad("UNSUBSCRIBE 5: no filter", v5, client, "A2 03 0008 00", protocol_error,
            "MQTT-3.10.3-2"),
        bad("UNSUBSCRIBE 3.1.1: packet id 0", v3_1_1, client, "A2 ( 0000 s'a' )", protocol_error,
            "MQTT-2.3.1-1"),
        bad("UNSUBSCRIBE 5: packet id 0", v5, client, "A2 ( 0000 00 s'a' )", protocol_error,
            "MQTT-2.2.1-3"),
        bad("UNSUBSCRIBE 3.1.1: filter longer than the packet", v3_1_1, client, "A2 04 0008 0005",
            malformed, "field runs past the end"),
        bad("UNSUBSCRIBE 3.1.1: filter is no UTF-8", v3_1_1, client, "A2 ( 0008 0002 C328 )",
            malformed, "MQTT-1.5.3-1"),
        bad("UNSUBSCRIBE 5: filter is no UTF-8", v5, client, "A2 ( 0008 00 0002 C328 )", malformed,
            "MQTT-1.5.4-1"),
        bad("UNSUBSCRIBE 3.1.1: flags 0", v3_1_1, client, "A0 ( 0008 s'a' )", malformed,
            "MQTT-3.10.1-1"),
        bad("UNSUBSCRIBE 5: DUP", v5, client, "AA ( 0008 00 s'a' )", malformed, "MQTT-3.10.1-1"),
        bad("UNSUBSCRIBE 5: subscription identifier", v5, client, "A2 ( 0008 ( 0B 01 ) s'a' )",
            malformed, "property does not belong in this packet"),
        bad("UNSUBACK 3.1.1: with a code", v3_1_1, server, "B0 03 0008 00", malformed,
            "bytes behind the last field"),
        bad("UNSUBACK 5: no code", v5, server, "B0 03 0008 00", protocol_error,
            "acknowledgement without a reason code"),
        bad("UNSUBACK 5: reason out of the table", v5, server, "B0 04 0008 00 97", protocol_error,
            "MQTT-3.11.3-2"),
        bad("UNSUBACK from a client", v3_1_1, client, "B0 02 0008", protocol_error,
            "packet goes the other way only"),
    };
}

}  // namespace spoke::test
