#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/codec/publish_view.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::broker {

/// When a message expires, in wall-clock milliseconds since 1970; kNever if it does not.
using Deadline = std::int64_t;
inline constexpr Deadline kNever = INT64_MAX;

/// That the publisher of a message wants to be told what becomes of it, and where.
struct ReceiptRequest {
    std::string_view topic{};      // whole, with mount point; empty: it does not
    std::uint16_t mount_size = 0;  // bytes of `topic` that are the mount point of the publisher
};

/// What a message consists of; views.
struct MessageParts {
    std::string_view topic{};
    Bytes forwarded_properties{};  // checked, encoded as in MQTT 5
    Bytes payload{};
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool retain = false;
    Deadline deadline = kNever;
    ReceiptRequest receipt{};
};

/// An application message: immutable, reference counted, one allocation that holds this header and
/// behind it the bytes as they stand on the wire:
///   topic length (2 bytes) · topic · forwarded properties · payload
/// and, if receipts were asked for, mount size (2 bytes) · receipt topic length (2) · receipt
/// topic. Shared by every session and shard that holds it; the count is atomic, nothing else is
/// written after make().
class Message {
public:
    /// Copies what `publish` shows. `topic` is given apart, because an alias may stand for it.
    [[nodiscard]] static class MessagePtr make(mqtt::PublishView const& publish,
                                               std::string_view topic, Deadline deadline);
    /// From a packet that owns its bytes: wills and what the broker says itself.
    [[nodiscard]] static class MessagePtr make(mqtt::Publish const& publish, Deadline deadline);
    /// Copies the parts of a message, as they were read from one.
    [[nodiscard]] static class MessagePtr make(MessageParts const& parts);

    Message(Message const&) = delete;
    Message& operator=(Message const&) = delete;

    [[nodiscard]] std::string_view topic() const noexcept {
        return as_text(encoded_topic().subspan(2));
    }
    /// Topic with its two length bytes.
    [[nodiscard]] Bytes encoded_topic() const noexcept { return {data(), 2u + topic_size_}; }
    /// Properties 0x01, 0x03, 0x08, 0x09, 0x26 as they came.
    [[nodiscard]] Bytes forwarded_properties() const noexcept {
        return {data() + 2 + topic_size_, properties_size_};
    }
    [[nodiscard]] Bytes payload() const noexcept {
        return {data() + 2 + topic_size_ + properties_size_, payload_size_};
    }
    [[nodiscard]] mqtt::Qos qos() const noexcept { return qos_; }
    /// The RETAIN flag it was published with.
    [[nodiscard]] bool retain() const noexcept { return retain_; }
    [[nodiscard]] Deadline deadline() const noexcept { return deadline_; }
    [[nodiscard]] bool wants_receipt() const noexcept { return wants_receipt_; }
    [[nodiscard]] ReceiptRequest receipt_request() const noexcept;
    [[nodiscard]] bool has_expired(WallTime now) const noexcept {
        return deadline_ <= now.time_since_epoch().count();
    }
    /// What it costs in memory, for limits in bytes.
    [[nodiscard]] std::size_t footprint() const noexcept {
        auto size = sizeof(Message) + 2u + topic_size_ + properties_size_ + payload_size_;
        return wants_receipt_ ? size + 4 + receipt_request().topic.size() : size;
    }

    /// What make() was given.
    [[nodiscard]] MessageParts parts() const noexcept {
        return {topic(),   forwarded_properties(), payload(), qos_, retain_,
                deadline_, receipt_request()};
    }

private:
    friend class MessagePtr;
    Message() = default;
    ~Message() = default;
    [[nodiscard]] std::byte const* data() const noexcept {
        return reinterpret_cast<std::byte const*>(this + 1);
    }
    static Message* allocate(std::size_t topic_size, std::size_t properties_size,
                             std::size_t payload_size, std::size_t request_size = 0);
    /// Gives where it ends.
    std::byte* write_topic(std::string_view topic) noexcept;

    Deadline deadline_ = kNever;
    mutable std::atomic<std::uint32_t> references_{1};
    std::uint32_t properties_size_ = 0;
    std::uint32_t payload_size_ = 0;
    std::uint16_t topic_size_ = 0;
    mqtt::Qos qos_ = mqtt::Qos::at_most_once;
    bool retain_ : 1 = false;
    bool wants_receipt_ : 1 = false;
};

/// Whole seconds left, as the message expiry interval on the wire: what was received less the whole
/// seconds waited [MQTT-3.3.2-6], so rounded up. Not for messages that have expired or never do.
[[nodiscard]] inline std::uint32_t remaining_expiry(Deadline deadline, WallTime now) noexcept {
    auto left = deadline - now.time_since_epoch().count();
    return left <= 0 ? 0 : static_cast<std::uint32_t>((left + 999) / 1000);
}

/// A counted reference to a Message; null when default made or moved from.
class MessagePtr {
public:
    MessagePtr() = default;
    MessagePtr(std::nullptr_t) noexcept {}
    MessagePtr(MessagePtr const& other) noexcept : message_(other.message_) { retain(message_); }
    MessagePtr(MessagePtr&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    MessagePtr& operator=(MessagePtr other) noexcept {
        std::swap(message_, other.message_);
        return *this;
    }
    ~MessagePtr() { drop(message_); }

    [[nodiscard]] static MessagePtr adopt(Message* message) noexcept {
        MessagePtr pointer;
        pointer.message_ = message;
        return pointer;
    }
    /// Gives up the reference without dropping it; the caller owns one count.
    [[nodiscard]] Message* release() noexcept { return std::exchange(message_, nullptr); }

    static void retain(Message const* message) noexcept {
        if (message) message->references_.fetch_add(1, std::memory_order_relaxed);
    }
    static void drop(Message* message) noexcept;

    [[nodiscard]] Message const* get() const noexcept { return message_; }
    [[nodiscard]] Message const* operator->() const noexcept { return message_; }
    [[nodiscard]] Message const& operator*() const noexcept { return *message_; }
    [[nodiscard]] explicit operator bool() const noexcept { return message_ != nullptr; }
    friend bool operator==(MessagePtr const& a, MessagePtr const& b) = default;

private:
    Message* message_ = nullptr;
};

}  // namespace spoke::broker
