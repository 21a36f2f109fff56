#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::mqtt {

/// PUBLISH without a copy: every view points into the frame it was decoded from.
struct PublishView {
    std::string_view topic;  // empty only with a topic alias
    Bytes payload{};
    Bytes properties{};  // v5: the whole property field behind its length, checked
    Qos qos = Qos::at_most_once;
    bool retain = false;
    bool dup = false;
    PacketId id{};  // 0 for QoS 0
    std::optional<std::uint16_t> topic_alias{};
    std::optional<std::uint32_t> message_expiry_interval{};  // seconds
    std::uint32_t forwarded_size = 0;  // bytes of `properties` that a receiver gets unchanged
};

/// Decodes a PUBLISH in place; makes the same checks as decode().
/// Cost  O(frame), no allocation.
[[nodiscard]] Result<PublishView> decode_publish(Bytes frame, Version version, Sender sender);

/// Copies the properties that go on to receivers unchanged and in order: 0x01, 0x03, 0x08, 0x09,
/// 0x26. (Left out: message expiry, topic alias and subscription identifiers, which each hop writes
/// anew.) In      `out`: room for `publish.forwarded_size` bytes. Out     one past the last byte
/// written.
std::byte* copy_forwarded_properties(PublishView const& publish, std::byte* out) noexcept;

/// Appends what copy_forwarded_properties() copies, without the user properties called `name`.
void append_forwarded_without(PublishView const& publish, std::string_view name, Buffer& out);

/// The correlation data in a checked property field, or nullopt.
[[nodiscard]] std::optional<Bytes> find_correlation_data(Bytes properties) noexcept;

/// The value of the first user property `name` in a checked property field, or nullopt.
[[nodiscard]] std::optional<std::string_view> find_user_property(Bytes properties,
                                                                 std::string_view name) noexcept;

}  // namespace spoke::mqtt
