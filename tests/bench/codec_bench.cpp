// What the codec costs, in nanoseconds and allocations per call on one thread. It is built by name,
// as all that is measured, with optimisation: `cmake --preset release -DSPOKE_TESTS=ON`, `ninja
// codec_bench`.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"
#include "protocol/codec/publish_view.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads): counted here, freed by the usual delete, which is free().
void* operator new(std::size_t size) {
    ++allocations;
    if (auto* memory = std::malloc(size)) return memory;
    std::abort();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
// NOLINTEND(misc-new-delete-overloads)

namespace {

using namespace spoke;
using namespace spoke::mqtt;

/// Makes the compiler believe that `value` is used and changed.
template <class T>
void keep(T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

/// Prints the best of several rounds, because what else runs on the machine only ever adds.
template <class Act>
void measure(std::string_view name, Act act) {
    constexpr auto kRounds = 15;
    constexpr auto kCalls = 100'000;
    auto best = std::chrono::nanoseconds::max();
    std::size_t allocated = 0;
    for (auto round = 0; round < kRounds; ++round) {
        auto allocations_before = allocations;
        auto begin = std::chrono::steady_clock::now();
        for (auto call = 0; call < kCalls; ++call) act();
        auto took = std::chrono::steady_clock::now() - begin;
        best = std::min<std::chrono::nanoseconds>(best, took);
        allocated = allocations - allocations_before;
    }
    fmt::print("{:<52} {:7.1f} ns {:6.2f} allocations\n", name,
               static_cast<double>(best.count()) / kCalls, static_cast<double>(allocated) / kCalls);
}

Publish publish_of(Qos qos) {
    Publish packet{.topic = "fleet/berlin/bikes/4711/cmd", .payload = Buffer(64), .qos = qos};
    if (qos != Qos::at_most_once) packet.id = PacketId{7};
    return packet;
}

Publish publish_with_properties() {
    auto packet = publish_of(Qos::at_least_once);
    packet.properties = {.message_expiry_interval = 60,
                         .content_type = "application/json",
                         .response_topic = "bridge/7/reply",
                         .correlation_data = Buffer(16),
                         .user_properties = {{"spoke-receipt", "bridge/7/receipt"}}};
    return packet;
}

Buffer encoded(Packet const& packet, Version version) {
    Buffer out;
    encode(packet, version, out);
    return out;
}

void measure_publish(std::string_view name, Publish const& packet, Version version) {
    auto frame = encoded(packet, version);
    measure(fmt::format("decode_publish {}", name), [&] {
        keep(frame);
        auto view = decode_publish(frame, version, Sender::client);
        keep(view);
    });
}

void measure_views() {
    for (auto size : {16u, 64u, 1024u}) {
        std::string text(size, 'a');
        measure(fmt::format("is_valid_utf8, {} bytes of ASCII", size), [&] {
            keep(text);
            auto valid = is_valid_utf8(text);
            keep(valid);
        });
    }
    auto small = encoded(publish_of(Qos::at_most_once), Version::v3_1_1);
    measure("read_fixed_header", [&] {
        keep(small);
        auto header = read_fixed_header(small, 1'000'000);
        keep(header);
    });
    measure_publish("3.1.1 QoS 0", publish_of(Qos::at_most_once), Version::v3_1_1);
    measure_publish("3.1.1 QoS 1", publish_of(Qos::at_least_once), Version::v3_1_1);
    measure_publish("5 QoS 0, no properties", publish_of(Qos::at_most_once), Version::v5);
    measure_publish("5 QoS 1, five properties", publish_with_properties(), Version::v5);
    auto topic_beyond_ascii = publish_of(Qos::at_most_once);
    topic_beyond_ascii.topic = "fleet/münchen/bikes/4711/cmd";
    measure_publish("5 QoS 0, topic beyond ASCII", topic_beyond_ascii, Version::v5);

    auto full = encoded(publish_with_properties(), Version::v5);
    auto view = decode_publish(full, Version::v5, Sender::client).value();
    Buffer out(view.forwarded_size);
    measure("copy_forwarded_properties, four of five", [&] {
        keep(view);
        copy_forwarded_properties(view, out.data());
        keep(out);
    });
    measure("find_user_property, the last", [&] {
        keep(view);
        auto found = find_user_property(view.properties, "spoke-receipt");
        keep(found);
    });
}

void measure_packet(std::string_view name, Packet const& packet, Version version, Sender sender) {
    auto frame = encoded(packet, version);
    measure(fmt::format("decode {}", name), [&] {
        keep(frame);
        auto result = decode(frame, version, sender);
        keep(result);
    });
    Buffer out;
    out.reserve(1000);
    measure(fmt::format("encode {}", name), [&] {
        out.clear();
        encode(packet, version, out);
        keep(out);
    });
}

void measure_packets() {
    auto const client = Sender::client;
    measure_packet("PUBLISH 3.1.1 QoS 0", publish_of(Qos::at_most_once), Version::v3_1_1, client);
    measure_packet("PUBLISH 5 QoS 1, five properties", publish_with_properties(), Version::v5,
                   client);
    measure_packet("PUBACK 3.1.1", PubAck{.id = PacketId{7}}, Version::v3_1_1, client);
    measure_packet("PUBACK 5", PubAck{.id = PacketId{7}}, Version::v5, client);
    measure_packet(
        "PUBACK 5 with reason string",
        PubAck{.id = PacketId{7}, .reason = ReasonCode::not_authorized, .reason_string = "no"},
        Version::v5, client);
    measure_packet("PINGREQ", PingReq{}, Version::v5, client);
    measure_packet(
        "SUBSCRIBE 5",
        Subscribe{.id = PacketId{7}, .subscriptions = {{"fleet/berlin/bikes/4711/#", {}}}},
        Version::v5, client);
    measure_packet(
        "CONNECT 5",
        Connect{.client_id = "bike-4711",
                .keep_alive = 60,
                .will = Will{.topic = "fleet/berlin/bikes/4711/state", .payload = Buffer(64)},
                .user_name = "bike-4711",
                .password = Buffer(32),
                .session_expiry_interval = 3600,
                .receive_maximum = std::uint16_t{20}},
        Version::v5, client);
}

}  // namespace

int main() {
    measure_views();
    measure_packets();
    return 0;
}
