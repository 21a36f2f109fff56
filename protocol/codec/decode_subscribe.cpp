#include "protocol/codec/decode_body.hpp"
#include "protocol/codec/decode_properties.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::mqtt {
namespace {

/// Subscription options (MQTT 5, 3.8.3.1). In 3.1.1 all but the QoS is reserved.
constexpr std::uint8_t kNoLocal = 0x04;
constexpr std::uint8_t kRetainAsPublished = 0x08;
constexpr std::uint8_t kReservedIn5 = 0xC0;
constexpr std::uint8_t kReservedIn3_1_1 = 0xFC;

constexpr std::uint8_t qos_of(std::uint8_t options) noexcept {
    return options & 3;
}
constexpr std::uint8_t retain_handling_of(std::uint8_t options) noexcept {
    return options >> 4 & 3;
}

SubscriptionOptions read_options(Reader& reader) {
    auto const* field = reader.position();
    auto options = reader.u8();
    auto is_v5 = reader.version() == Version::v5;
    auto refuse_if = [&](bool bad, ReasonCode reason, Rule const& broken) {
        if (bad) reader.fail(reason, broken, field);
    };
    refuse_if((options & (is_v5 ? kReservedIn5 : kReservedIn3_1_1)) != 0,
              ReasonCode::malformed_packet, rule::kSubscribeOptions);
    // 3.1.1 has no word for the difference; there a wrong QoS is a malformed packet like the rest
    // of the byte.
    refuse_if(qos_of(options) == 3,
              is_v5 ? ReasonCode::protocol_error : ReasonCode::malformed_packet,
              rule::kSubscribeQos);
    refuse_if(retain_handling_of(options) == 3, ReasonCode::protocol_error, rule::kRetainHandling);
    return {Qos{qos_of(options)}, (options & kNoLocal) != 0, (options & kRetainAsPublished) != 0,
            RetainHandling{retain_handling_of(options)}};
}

Subscription read_subscription(Reader& reader) {
    auto const* field = reader.position();
    Subscription subscription{std::string{reader.utf8()}, {}};
    subscription.options = read_options(reader);
    if (subscription.options.no_local && is_shared(subscription.filter)) {
        reader.fail(ReasonCode::protocol_error, rule::kNoLocalShared, field);  // [MQTT-3.8.3-4]
    }
    return subscription;
}

}  // namespace

void read_body(Reader& reader, Subscribe& packet) {
    packet.id = reader.packet_id();
    if (reader.version() == Version::v5) read_properties(reader, Place::subscribe, packet);
    if (reader.at_end()) {
        reader.fail(ReasonCode::protocol_error, rule::kNoSubscription, reader.position());
    }
    while (!reader.at_end()) packet.subscriptions.push_back(read_subscription(reader));
}

}  // namespace spoke::mqtt
