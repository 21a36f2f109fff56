#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::sim::load {

/// What every payload begins with. Read by the process that wrote it, so in its own byte order.
struct PayloadHead {
    std::uint32_t flow = 0;
    std::uint32_t sequence = 0;
    std::int64_t sent_at = 0;  // nanoseconds of the steady clock
    friend bool operator==(PayloadHead const&, PayloadHead const&) = default;
};
static_assert(sizeof(PayloadHead) == 16);

/// The head of `payload`, or nullopt if it is too short to be ours.
[[nodiscard]] inline std::optional<PayloadHead> read_payload_head(Bytes payload) noexcept {
    if (payload.size() < sizeof(PayloadHead)) return std::nullopt;
    PayloadHead head;
    std::memcpy(&head, payload.data(), sizeof head);
    return head;
}

/// What all messages of a flow have in common.
struct PublishShape {
    std::string_view topic;
    mqtt::Version version = mqtt::Version::v3_1_1;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool retain = false;
    std::uint32_t payload_size = sizeof(PayloadHead);  // at least that
};

/// A PUBLISH encoded once; each message is a copy with packet id and payload head written over.
class PublishTemplate {
public:
    explicit PublishTemplate(PublishShape const& shape);

    /// Appends one message. `id` is ignored at QoS 0.
    void append(Buffer& out, mqtt::PacketId id, PayloadHead const& head) const;

    [[nodiscard]] std::string_view topic() const noexcept {
        return as_text(Bytes{bytes_}.subspan(topic_at_, topic_size_));
    }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }

private:
    Buffer bytes_;
    std::uint32_t topic_at_ = 0;
    std::uint32_t topic_size_ = 0;
    std::uint32_t id_at_ = 0;  // 0: QoS 0
    std::uint32_t payload_at_ = 0;
};

}  // namespace spoke::sim::load
