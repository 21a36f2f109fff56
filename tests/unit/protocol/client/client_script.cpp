#include "tests/unit/protocol/client/client_script.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "protocol/codec/framing.hpp"

namespace spoke::test {

using namespace mqtt;

void Application::react() {
    if (auto reaction = std::exchange(then, nullptr)) reaction();
}

void Application::on_connected(ConnAck const& packet) {
    connacks.push_back(packet);
    react();
}

Acknowledge Application::on_message(ReceivedMessage const& received) {
    auto packet = received.to_publish();
    messages.push_back({packet, received.token});
    react();
    REQUIRE(received.to_publish() == packet);  // its views live to the end of the event
    return acknowledges;
}

void Application::on_published(PublishToken token, PublishOutcome const& outcome) {
    outcomes.push_back({token.value, outcome.status, outcome.cause, outcome.reason,
                        std::string{outcome.reason_string}});
    react();
}

void Application::on_subscribed(RequestToken token, SubAck const& packet) {
    subacks.emplace_back(token.value, packet);
    react();
}

void Application::on_unsubscribed(RequestToken token, UnsubAck const& packet) {
    unsubacks.emplace_back(token.value, packet);
    react();
}

void Application::on_request_failed(RequestToken token, RequestFailure why) {
    failures.emplace_back(token.value, why);
    react();
}

void Application::on_auth(Auth const& packet) {
    auths.push_back(packet);
    react();
}

void Application::on_closed(Closed const& end) {
    REQUIRE_FALSE(closed);  // once per connection
    closed = end;
    react();
}

ClientScript::ClientScript(Version v, ClientOptions options) : version(v), machine(options, app) {
    connect.version = v;
    connect.client_id = "bike-7";
    connect.clean_start = false;
}

void ClientScript::connects(ConnAck const& connack) {
    app.closed.reset();
    opens();
    auto packets = takes();
    REQUIRE(packets.size() == 1);
    REQUIRE(std::holds_alternative<Connect>(packets[0]));
    gives(connack);
}

void ClientScript::gives(Packet const& packet) {
    Buffer bytes;
    encode(packet, version, bytes);
    machine.on_bytes(bytes, now);
}

std::vector<Packet> ClientScript::takes() {
    auto packets = takes_unwritten();
    machine.on_written();
    return packets;
}

std::vector<Packet> ClientScript::takes_unwritten() {
    Buffer bytes;
    bool promised = machine.has_output();
    machine.take_output(bytes, now);
    if (!bytes.empty()) REQUIRE(promised);
    std::vector<Packet> packets;
    auto rest = Bytes{bytes};
    while (!rest.empty()) {
        auto header = read_fixed_header(rest, kVariableByteIntegerMax);
        REQUIRE(header.has_value());
        REQUIRE(header->has_value());
        auto size = (*header)->packet_size();
        REQUIRE(size <= rest.size());
        auto packet = decode(rest.first(size), version, Sender::client);
        REQUIRE(packet.has_value());
        packets.push_back(*packet);
        rest = rest.subspan(size);
    }
    return packets;
}

void ClientScript::passes(std::chrono::milliseconds time) {
    now.steady += time;
    now.wall += time;
}

void ClientScript::publish(Publish const& packet, std::uint64_t token, PublishScope scope,
                           std::optional<SteadyTime> deadline) {
    PublishOptions options{.token = PublishToken{token}, .scope = scope, .deadline = deadline};
    machine.publish(packet, options, now);
}

Publish message(std::string topic, std::string_view payload, Qos qos, std::uint16_t id) {
    Publish packet;
    packet.topic = std::move(topic);
    packet.payload = to_buffer(payload);
    packet.qos = qos;
    packet.id = PacketId{id};
    return packet;
}

Publish with_dup(Publish packet) {
    packet.dup = true;
    return packet;
}

namespace {

struct Line {
    std::string operator()(Publish const& packet) const {
        auto line = fmt::format("PUBLISH {} {}", packet.topic.empty() ? "-" : packet.topic,
                                as_text(packet.payload));
        if (packet.qos != kQos0) {
            line += fmt::format(" qos{} id{}", static_cast<int>(packet.qos), packet.id.value);
        }
        if (packet.dup) line += " dup";
        if (packet.topic_alias) line += fmt::format(" alias{}", *packet.topic_alias);
        if (auto expiry = packet.properties.message_expiry_interval) {
            line += fmt::format(" expiry{}", *expiry);
        }
        return line;
    }
    std::string operator()(Connect const&) const { return "CONNECT"; }
    std::string operator()(ConnAck const&) const { return "CONNACK"; }
    std::string operator()(PubAck const& packet) const { return answer("PUBACK", packet); }
    std::string operator()(PubRec const& packet) const { return answer("PUBREC", packet); }
    std::string operator()(PubRel const& packet) const { return answer("PUBREL", packet); }
    std::string operator()(PubComp const& packet) const { return answer("PUBCOMP", packet); }
    std::string operator()(Subscribe const& packet) const {
        return fmt::format("SUBSCRIBE {}", packet.id.value);
    }
    std::string operator()(SubAck const&) const { return "SUBACK"; }
    std::string operator()(Unsubscribe const& packet) const {
        return fmt::format("UNSUBSCRIBE {}", packet.id.value);
    }
    std::string operator()(UnsubAck const&) const { return "UNSUBACK"; }
    std::string operator()(PingReq) const { return "PINGREQ"; }
    std::string operator()(PingResp) const { return "PINGRESP"; }
    std::string operator()(Disconnect const& packet) const {
        return fmt::format("DISCONNECT 0x{:02X}", static_cast<int>(packet.reason));
    }
    std::string operator()(Auth const& packet) const {
        return fmt::format("AUTH 0x{:02X}", static_cast<int>(packet.reason));
    }
    template <class T>
    static std::string answer(char const* name, T const& packet) {
        auto line = fmt::format("{} {}", name, packet.id.value);
        if (packet.reason != ReasonCode::success) {
            line += fmt::format(" 0x{:02X}", static_cast<int>(packet.reason));
        }
        return line;
    }
};

}  // namespace

std::string line_of(Packet const& packet) {
    return std::visit(Line{}, packet);
}

Lines lines_of(std::vector<Packet> const& packets) {
    Lines lines;
    for (auto const& packet : packets) lines.push_back(line_of(packet));
    return lines;
}

}  // namespace spoke::test
