#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "broker/core/message.hpp"
#include "broker/core/session_ref.hpp"
#include "protocol/codec/publish_view.hpp"

namespace spoke::broker {

/// A message while it is being handed out to its receivers, within one call. It begins as a view
/// into what the publisher sent; a Message is made only when some receiver must keep it. Where a
/// receiver gets the very packet that came in (same version, QoS and flags), those bytes are used
/// as they lie in the arena.
class Publication {
public:
    /// From a PUBLISH. `frame`: the whole packet in the shard's arena, or empty if it must not be
    /// changed.
    Publication(mqtt::PublishView const& view, std::string_view resolved_topic, Deadline expires,
                bool v5, std::span<std::byte> frame)
        : topic(resolved_topic),
          qos(view.qos),
          retain(view.retain),
          deadline(expires),
          view_(&view),
          v5_(v5) {
        simple_ = view.forwarded_size == view.properties.size();
        if (simple_) frame_ = frame;
    }
    /// From a message that exists: a will, a retained or queued one, one from another shard.
    explicit Publication(MessagePtr existing)
        : topic(existing->topic()),
          qos(existing->qos()),
          retain(existing->retain()),
          deadline(existing->deadline()),
          wants_receipt(existing->wants_receipt()),
          message_(std::move(existing)) {}

    /// The message; made at the first call.
    [[nodiscard]] MessagePtr const& share() {
        if (!message_) message_ = Message::make(*view_, topic, deadline);
        return message_;
    }

    struct Parts {
        std::string_view topic;
        Bytes properties;
        Bytes payload;
    };
    [[nodiscard]] Parts parts() {
        if (!message_ && simple_) return {topic, view_->properties, view_->payload};
        Message const& message = *share();
        return {topic, message.forwarded_properties(), message.payload()};
    }
    [[nodiscard]] std::size_t payload_size() const noexcept {
        return message_ ? message_->payload().size() : view_->payload.size();
    }

    /// The packet as it came, if a receiver of this kind can have it as its own; else empty. A
    /// frame of QoS 1 or 2 is given once, since its packet id is written into it.
    [[nodiscard]] std::span<std::byte> take_frame(bool v5, mqtt::Qos receiver_qos,
                                                  bool receiver_retain, mqtt::PacketId id) noexcept;

    /// A QoS 0 packet encoded before for a receiver of the same kind, so that others share it.
    struct Encoded {
        std::span<std::byte> bytes{};
        std::uint64_t round = 0;  // of the arena it lies in
    };
    [[nodiscard]] Encoded& encoded(bool v5, bool receiver_retain) noexcept {
        return encoded_[(v5 ? 2U : 0U) + (receiver_retain ? 1U : 0U)];
    }

    std::string_view topic;
    mqtt::Qos qos;
    bool retain;
    Deadline deadline;
    bool wants_receipt = false;  // then there is a message
    SessionRef publisher{};
    bool has_publisher = false;  // else `publisher` means nothing: no local does not apply

private:
    mqtt::PublishView const* view_ = nullptr;
    MessagePtr message_{};
    std::span<std::byte> frame_{};
    bool v5_ = false;
    bool simple_ = false;
    bool frame_cleared_ = false;  // its DUP and RETAIN are 0
    std::array<Encoded, 4> encoded_{};
};

}  // namespace spoke::broker
