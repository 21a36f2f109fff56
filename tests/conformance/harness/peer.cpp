#include "tests/conformance/harness/peer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <stdexcept>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::test {

namespace {

constexpr std::uint32_t kAnySize = mqtt::kVariableByteIntegerMax + 5;
constexpr std::uint16_t kMarkerId = 65'432;  // of the SUBSCRIBE for a marker

std::string at(std::source_location where) {
    return fmt::format("{}:{}", std::filesystem::path{where.file_name()}.filename().string(),
                       where.line());
}

std::string new_marker() {
    static int count = 0;
    return fmt::format("marker/{}/{}", static_cast<int>(::getpid()), ++count);
}

}  // namespace

Peer::Peer(Endpoint endpoint, std::string client_id)
    : endpoint_(std::move(endpoint)), client_id_(std::move(client_id)) {}

Peer& Peer::opens() {
    socket_ = Socket{endpoint_};
    check_ = {};
    input_.clear();
    done_ = 0;
    speaks(version_);
    return *this;
}

Peer& Peer::speaks(mqtt::Version version) {
    version_ = version;
    mqtt::Connect connect;
    connect.version = version;
    check_.on_sent(connect);
    return *this;
}

Buffer Peer::prepared(ConnectBuilder const& connect) {
    if (!is_open()) opens();
    auto packet = connect.packet();
    if (!connect.id_given()) packet.client_id = client_id_;
    version_ = packet.version;
    check_.on_sent(packet);
    Buffer bytes;
    mqtt::encode(packet, bytes);
    return bytes;
}

Buffer Peer::prepared(mqtt::Packet const& packet) {
    check_.on_sent(packet);
    Buffer bytes;
    mqtt::encode(packet, version_, bytes);
    return bytes;
}

Peer& Peer::sends(ConnectBuilder const& connect) {
    return sends_bytes(prepared(connect));
}

Peer& Peer::sends_bytes(Bytes bytes) {
    if (!is_open()) opens();
    socket_.send(bytes);
    return *this;
}

std::optional<mqtt::Packet> Peer::next(Where where) {
    if (!is_open()) fail("has no connection", where);
    for (;;) {
        Bytes rest = Bytes{input_}.subspan(done_);
        auto header = mqtt::read_fixed_header(rest, kAnySize);
        if (!header) fail(fmt::format("got bytes that break {}", header.error().rule), where);
        if (*header && (*header)->packet_size() <= rest.size()) {
            auto frame = rest.first((*header)->packet_size());
            done_ += frame.size();
            last_frame_.assign(frame.begin(), frame.end());
            auto packet = mqtt::decode(last_frame_, version_, mqtt::Sender::server);
            if (!packet)
                fail(fmt::format("got a packet that breaks {}", packet.error().rule), where);
            auto wrong = check_.on_received(*packet, last_frame_);
            if (!wrong.empty()) fail("got " + describe(*packet) + ": " + wrong, where);
            return std::move(*packet);
        }
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(done_));
        done_ = 0;
        std::size_t held = input_.size();
        input_.resize(held + 64 * 1024);
        std::size_t size = 0;
        try {
            size = socket_.receive(std::span{input_}.subspan(held));
        } catch (std::runtime_error const& error) {
            fail(error.what(), where);
        }
        input_.resize(held + size);
        if (size == 0) {
            if (!input_.empty()) fail("got half a packet, then the end of the stream", where);
            socket_.close();
            return std::nullopt;
        }
    }
}

mqtt::Packet Peer::takes_any(Where where) {
    auto packet = next(where);
    if (!packet) fail("wanted a packet, the stream ended", where);
    return std::move(*packet);
}

Peer& Peer::expects(Expected const& expected, Where where) {
    auto packet = next(where);
    if (!packet) fail("wanted " + expected.text + ", the stream ended", where);
    if (!expected.matches(*packet)) fail(expected.text, *packet, where);
    return *this;
}

Peer& Peer::expects_both(Expected const& one, Expected const& other, Where where) {
    auto packet = takes_any(where);
    bool first = one.matches(packet);
    if (!first && !other.matches(packet)) fail(one.text + " or " + other.text, packet, where);
    return expects(first ? other : one, where);
}

std::uint16_t Peer::holds(PublishBuilder const& wanted, Where where) {
    auto got = takes<mqtt::Publish>(where);
    auto with_its_id = wanted.value();
    with_its_id.id = got.id;
    if (got != with_its_id) fail(describe(wanted.packet()), got, where);
    return got.id.value;
}

Peer& Peer::receives(PublishBuilder const& wanted, Where where) {
    auto id = holds(wanted, where);
    if (wanted.value().qos == qos1) sends(puback(id));
    if (wanted.value().qos == qos2) sends(pubrec(id)).gets(pubrel(id), where).sends(pubcomp(id));
    return *this;
}

Peer& Peer::gets_hex(std::string_view text, Where where) {
    auto packet = next(where);
    if (!packet) fail(fmt::format("wanted {}, the stream ended", text), where);
    if (last_frame_ != bytes_of(text)) {
        fail(std::string{text}, *packet, where);
    }
    return *this;
}

Peer& Peer::gets_nothing(Where where) {
    return sends(pingreq()).gets(pingresp(), where);
}

Peer& Peer::gets_nothing_of(Peer& publisher, Where where) {
    auto marker = new_marker();
    sends(subscribe(kMarkerId, marker)).gets(suback(kMarkerId), where);
    if (!publisher.is_open()) {
        publisher.sends(connect(publisher.version()).resume());
        (void)publisher.takes<mqtt::ConnAck>(where);
    }
    publisher.sends(publish(marker, "marker"));
    gets(publish(marker, "marker"), where);
    return sends(unsubscribe(kMarkerId, {marker})).gets(unsuback(kMarkerId), where);
}

Peer& Peer::closes(Where where) {
    if (auto packet = next(where)) fail("the end of the stream", *packet, where);
    return *this;
}

Peer& Peer::is_cut(mqtt::ReasonCode reason, Where where) {
    auto packet = next(where);
    bool must = version_ == mqtt::Version::v5 && is_own_broker();
    if (!packet) {
        if (must) fail("wanted DISCONNECT, the stream ended", where);
        return *this;
    }
    auto* disconnect = std::get_if<mqtt::Disconnect>(&*packet);
    bool fits = disconnect && (is_own_broker() ? disconnect->reason == reason
                                               : mqtt::is_error(disconnect->reason));
    if (!fits) fail(fmt::format("DISCONNECT 0x{:02X}", static_cast<int>(reason)), *packet, where);
    return closes(where);
}

Peer& Peer::is_refused(mqtt::ReasonCode reason, Where where) {
    auto packet = next(where);
    bool v5 = version_ == mqtt::Version::v5;
    auto code = mqtt::connect_return_code(reason);
    bool must = v5 ? is_own_broker() : code.has_value();
    if (!packet) {
        if (must) fail("wanted CONNACK, the stream ended", where);
        return *this;
    }
    auto* connack = std::get_if<mqtt::ConnAck>(&*packet);
    bool fits = connack && !connack->session_present &&
                (v5 && !is_own_broker() ? mqtt::is_error(connack->reason)
                 : v5                   ? connack->reason == reason
                      : code && connack->reason == mqtt::reason_of_return_code(*code));
    if (!fits) fail(fmt::format("CONNACK for 0x{:02X}", static_cast<int>(reason)), *packet, where);
    return closes(where);
}

Peer& Peer::is_turned_away(Where where) {
    Buffer answer;
    Buffer room(256);
    while (auto size = socket_.receive(room)) {
        answer.insert(answer.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
    }
    socket_.close();
    if (!answer.empty() &&
        (answer.size() < 4 || answer[0] != std::byte{0x20} || answer[3] == std::byte{0})) {
        fail("wanted a refusal", where);
    }
    return *this;
}

Peer& Peer::drops() {
    if (!is_open()) return *this;
    socket_.shut_down();
    Buffer room(4096);
    while (socket_.receive(room) > 0) {
    }
    socket_.close();
    return *this;
}

Peer& Peer::leaves(Where where) {
    return sends(disconnect()).closes(where);
}

void Peer::fail(std::string const& wanted, mqtt::Packet const& packet, Where where) const {
    fail("wanted " + wanted + ", got " + describe(packet), where);
}

void Peer::fail(std::string const& what, Where where) const {
    FAIL(fmt::format("{}: {} {}", at(where), client_id_, what));
    throw std::logic_error("not reached");
}

}  // namespace spoke::test
