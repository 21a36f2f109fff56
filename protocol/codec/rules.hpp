#pragma once

#include <string_view>

#include "protocol/packet/basics.hpp"

namespace spoke::mqtt {

/// What a rule is called in each of the two texts: they number differently.
struct Rule {
    std::string_view v3_1_1;
    std::string_view v5;

    constexpr Rule(std::string_view both) noexcept : v3_1_1(both), v5(both) {}
    constexpr Rule(std::string_view in_v3_1_1, std::string_view in_v5) noexcept
        : v3_1_1(in_v3_1_1), v5(in_v5) {}
    [[nodiscard]] constexpr std::string_view in(Version version) const noexcept {
        return version == Version::v5 ? v5 : v3_1_1;
    }
};

/// The rules a decoder can find broken; words where the texts have no number.
namespace rule {

inline constexpr Rule kFieldCut{"field runs past the end"};
inline constexpr Rule kLeftover{"bytes behind the last field"};
inline constexpr Rule kFrameSize{"packet is not as long as it says"};
inline constexpr Rule kUtf8{"MQTT-1.5.3-1", "MQTT-1.5.4-1"};
inline constexpr Rule kNul{"MQTT-1.5.3-2", "MQTT-1.5.4-2"};
inline constexpr Rule kVariableByteInteger{"MQTT-1.5.5-1"};
inline constexpr Rule kPacketType{"packet type 0"};
inline constexpr Rule kAuthIsVersion5{"packet type 15 in 3.1.1"};
inline constexpr Rule kFlags{"MQTT-2.2.2-2", "MQTT-2.1.3-1"};
inline constexpr Rule kPubRelFlags{"MQTT-3.6.1-1"};
inline constexpr Rule kSubscribeFlags{"MQTT-3.8.1-1"};
inline constexpr Rule kUnsubscribeFlags{"MQTT-3.10.1-1"};
inline constexpr Rule kDisconnectFlags{"MQTT-3.14.1-1"};
inline constexpr Rule kAuthFlags{"MQTT-3.15.1-1"};
inline constexpr Rule kDupWithQos0{"MQTT-3.3.1-2"};
inline constexpr Rule kPublishQos{"MQTT-3.3.1-4"};
inline constexpr Rule kPacketTooLarge{"packet is larger than the limit", "MQTT-3.2.2-15"};
inline constexpr Rule kPacketId{"MQTT-2.3.1-1", "MQTT-2.2.1-3"};
inline constexpr Rule kWrongSender{"packet goes the other way only"};

inline constexpr Rule kProtocolName{"MQTT-3.1.2-1"};
inline constexpr Rule kProtocolLevel{"MQTT-3.1.2-2"};
inline constexpr Rule kConnectFlagReserved{"MQTT-3.1.2-3"};
inline constexpr Rule kNoWillQos{"MQTT-3.1.2-13", "MQTT-3.1.2-11"};
inline constexpr Rule kNoWillRetain{"MQTT-3.1.2-15", "MQTT-3.1.2-13"};
inline constexpr Rule kWillQos{"MQTT-3.1.2-14", "MQTT-3.1.2-12"};
inline constexpr Rule kPasswordNeedsUserName{"MQTT-3.1.2-22"};
inline constexpr Rule kDataNeedsMethod{"authentication data without method"};

inline constexpr Rule kConnAckFlags{"acknowledge flags 7 to 1 are not 0", "MQTT-3.2.2-1"};
inline constexpr Rule kSessionPresent{"MQTT-3.2.2-4", "MQTT-3.2.2-6"};
inline constexpr Rule kConnAckReason{"return code above 5", "MQTT-3.2.2-8"};
inline constexpr Rule kPubAckReason{"MQTT-3.4.2-1"};
inline constexpr Rule kPubRecReason{"MQTT-3.5.2-1"};
inline constexpr Rule kPubRelReason{"MQTT-3.6.2-1"};
inline constexpr Rule kPubCompReason{"MQTT-3.7.2-1"};
inline constexpr Rule kSubAckReason{"MQTT-3.9.3-2"};
inline constexpr Rule kUnsubAckReason{"MQTT-3.11.3-2"};
inline constexpr Rule kDisconnectReason{"MQTT-3.14.2-1"};
inline constexpr Rule kAuthReason{"MQTT-3.15.2-1"};
inline constexpr Rule kAuthMethod{"AUTH without method"};

inline constexpr Rule kTopicEmpty{"MQTT-4.7.3-1"};
inline constexpr Rule kTopicWildcard{"MQTT-4.7.1-1", "MQTT-4.7.0-1"};
inline constexpr Rule kPublishTopicWildcard{"MQTT-3.3.2-2"};

inline constexpr Rule kNoSubscription{"MQTT-3.8.3-3", "MQTT-3.8.3-2"};
inline constexpr Rule kSubscribeOptions{"MQTT-3.8.3-4", "MQTT-3.8.3-5"};
inline constexpr Rule kSubscribeQos{"MQTT-3.8.3-4", "subscription QoS 3"};
inline constexpr Rule kRetainHandling{"retain handling 3"};
inline constexpr Rule kNoLocalShared{"MQTT-3.8.3-4"};
inline constexpr Rule kNoFilter{"MQTT-3.10.3-2"};
inline constexpr Rule kNoReasons{"acknowledgement without a reason code"};

inline constexpr Rule kNoProperties{"MQTT-2.2.2-1"};
inline constexpr Rule kPropertyUnknown{"unknown property"};
inline constexpr Rule kPropertyMisplaced{"property does not belong in this packet"};
inline constexpr Rule kPropertyTwice{"property given twice"};
inline constexpr Rule kPropertyValue{"property value out of range"};
inline constexpr Rule kPropertySender{"property goes the other way only"};

}  // namespace rule
}  // namespace spoke::mqtt
