#include "tests/conformance/harness/wire_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <variant>

#include "protocol/packet/reason_code.hpp"

namespace spoke::test {

namespace {

using mqtt::Packet;
using mqtt::ReasonCode;
using mqtt::Version;

bool is_one_of(ReasonCode reason, std::initializer_list<int> codes) {
    return std::find(codes.begin(), codes.end(), static_cast<int>(reason)) != codes.end();
}

std::string wrong_reason(ReasonCode reason, std::string_view statement) {
    return fmt::format("reason 0x{:02X} is out of the table ({})", static_cast<int>(reason),
                       statement);
}

/// Reason codes that a server may send, MQTT 5.
struct ReasonTables {
    std::string operator()(mqtt::ConnAck const& packet) const {
        return check(packet.reason, "MQTT-3.2.2-8",
                     {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                      0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F});
    }
    std::string operator()(mqtt::PubAck const& packet) const {
        return check(packet.reason, "MQTT-3.4.2-1", kPublished);
    }
    std::string operator()(mqtt::PubRec const& packet) const {
        return check(packet.reason, "MQTT-3.5.2-1", kPublished);
    }
    std::string operator()(mqtt::PubRel const& packet) const {
        return check(packet.reason, "MQTT-3.6.2-1", {0x00, 0x92});
    }
    std::string operator()(mqtt::PubComp const& packet) const {
        return check(packet.reason, "MQTT-3.7.2-1", {0x00, 0x92});
    }
    std::string operator()(mqtt::SubAck const& packet) const {
        return check_all(packet.reasons, "MQTT-3.9.3-2",
                         {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2});
    }
    std::string operator()(mqtt::UnsubAck const& packet) const {
        return check_all(packet.reasons, "MQTT-3.11.3-2",
                         {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91});
    }
    std::string operator()(mqtt::Disconnect const& packet) const {
        if (packet.session_expiry_interval) return "DISCONNECT with an expiry (MQTT-3.14.2-2)";
        return check(
            packet.reason, "MQTT-3.14.2-1",
            {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
             0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2});
    }
    std::string operator()(mqtt::Auth const& packet) const {
        return check(packet.reason, "MQTT-3.15.2-1", {0x00, 0x18});
    }
    std::string operator()(auto const&) const { return {}; }

    static constexpr std::initializer_list<int> kPublished = {0x00, 0x10, 0x80, 0x83, 0x87,
                                                              0x90, 0x91, 0x97, 0x99};
    static std::string check(ReasonCode reason, std::string_view statement,
                             std::initializer_list<int> codes) {
        return is_one_of(reason, codes) ? "" : wrong_reason(reason, statement);
    }
    static std::string check_all(std::vector<ReasonCode> const& reasons, std::string_view statement,
                                 std::initializer_list<int> codes) {
        for (auto reason : reasons) {
            if (!is_one_of(reason, codes)) return wrong_reason(reason, statement);
        }
        return {};
    }
};

int flags_of(Packet const& packet, int came) {
    if (std::holds_alternative<mqtt::Publish>(packet)) return came;
    return std::holds_alternative<mqtt::PubRel>(packet) ? 2 : 0;
}

bool explains_itself(Packet const& packet) {
    return std::visit(
        [](auto const& value) {
            bool explains = false;
            if constexpr (requires { value.reason_string; })
                explains |= value.reason_string.has_value();
            if constexpr (requires { value.user_properties; })
                explains |= !value.user_properties.empty();
            return explains;
        },
        packet);
}

}  // namespace

void WireCheck::on_sent(mqtt::Connect const& packet) {
    connect_ = packet;
}

void WireCheck::on_sent(Packet const& packet) {
    if (auto* puback = std::get_if<mqtt::PubAck>(&packet)) settle(puback->id.value);
    if (auto* pubcomp = std::get_if<mqtt::PubComp>(&packet)) settle(pubcomp->id.value);
    if (auto* pubrec = std::get_if<mqtt::PubRec>(&packet); pubrec && mqtt::is_error(pubrec->reason))
        settle(pubrec->id.value);
}

std::string WireCheck::on_received(Packet const& packet, Bytes frame) {
    for (auto const& wrong : {check_frame(packet, frame), check_reasons(packet),
                              check_problem_information(packet), check_order(packet)}) {
        if (!wrong.empty()) return wrong;
    }
    if (auto* publish = std::get_if<mqtt::Publish>(&packet)) return check_publish(*publish);
    return {};
}

std::string WireCheck::check_frame(Packet const& packet, Bytes frame) const {
    int flags = std::to_integer<int>(frame[0]) & 0x0F;
    if (flags != flags_of(packet, flags)) {
        return "reserved flags are not as fixed (v3.1.1 MQTT-2.2.2-1, v5 MQTT-2.1.3-1)";
    }
    if (connect_.maximum_packet_size && frame.size() > *connect_.maximum_packet_size) {
        return fmt::format("{} bytes are above the client's maximum packet size (MQTT-3.1.2-24)",
                           frame.size());
    }
    return {};
}

std::string WireCheck::check_reasons(Packet const& packet) const {
    if (connect_.version == Version::v5) return std::visit(ReasonTables{}, packet);
    if (std::holds_alternative<mqtt::Disconnect>(packet) ||
        std::holds_alternative<mqtt::Auth>(packet)) {
        return "a packet which servers do not send in this version";
    }
    if (auto* suback = std::get_if<mqtt::SubAck>(&packet)) {
        for (auto reason : suback->reasons) {
            if (!is_one_of(reason, {0x00, 0x01, 0x02, 0x80})) {
                return wrong_reason(reason, "MQTT-3.9.3-2");
            }
        }
    }
    return {};
}

std::string WireCheck::check_problem_information(Packet const& packet) const {
    if (connect_.request_problem_information.value_or(true)) return {};
    bool may = std::holds_alternative<mqtt::Publish>(packet) ||
               std::holds_alternative<mqtt::ConnAck>(packet) ||
               std::holds_alternative<mqtt::Disconnect>(packet);
    return may || !explains_itself(packet) ? "" : "explained unasked (MQTT-3.1.2-29)";
}

std::string WireCheck::check_order(Packet const& packet) {
    if (got_disconnect_) return "a packet behind DISCONNECT (MQTT-3.14.4-1)";
    bool v5 = connect_.version == Version::v5;
    if (std::holds_alternative<mqtt::ConnAck>(packet)) {
        if (got_connack_) return "a second CONNACK (MQTT-3.2.0-2)";
        got_connack_ = true;
    } else if (!got_connack_ && !(v5 && std::holds_alternative<mqtt::Auth>(packet))) {
        return std::holds_alternative<mqtt::Disconnect>(packet)
                   ? "DISCONNECT before CONNACK (MQTT-3.14.0-1)"
                   : "a packet before CONNACK (MQTT-3.2.0-1)";
    }
    got_disconnect_ = std::holds_alternative<mqtt::Disconnect>(packet);
    auto* auth = std::get_if<mqtt::Auth>(&packet);
    if (auth && !connect_.authentication_method) return "AUTH unasked (MQTT-4.12.0-6)";
    if (auth && auth->authentication_method != connect_.authentication_method) {
        return "AUTH with another method (MQTT-4.12.0-5)";
    }
    return {};
}

std::string WireCheck::check_publish(mqtt::Publish const& packet) {
    if (packet.topic_alias) {
        if (*packet.topic_alias == 0) return "topic alias 0 (MQTT-3.3.2-8)";
        if (*packet.topic_alias > connect_.topic_alias_maximum.value_or(0)) {
            return "topic alias above the client's maximum (MQTT-3.3.2-11)";
        }
        if (!packet.topic.empty()) aliases_.insert(*packet.topic_alias);
        if (!aliases_.contains(*packet.topic_alias)) return "unknown topic alias (MQTT-3.3.2-7)";
    }
    if (packet.qos == mqtt::Qos::at_most_once) {
        return packet.dup ? "DUP at QoS 0 (MQTT-3.3.1-2)" : "";
    }
    if (packet.id.value == 0) return "packet id 0 (v3.1.1 MQTT-2.3.1-1, v5 MQTT-2.2.1-4)";
    if (!open_.insert(packet.id.value).second) {
        return "a packet id that is in use (v3.1.1 MQTT-2.3.1-4, v5 MQTT-2.2.1-4)";
    }
    if (open_.size() > connect_.receive_maximum.value_or(65'535)) {
        return "above the client's receive maximum (MQTT-3.3.4-9)";
    }
    return {};
}

}  // namespace spoke::test
