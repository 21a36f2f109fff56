#include "broker/core/message.hpp"

#include <algorithm>
#include <new>

#include "protocol/base/assert.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::broker {

namespace {

std::byte* put_u16(std::byte* out, std::size_t number) noexcept {
    *out++ = static_cast<std::byte>(number >> 8);
    *out++ = static_cast<std::byte>(number);
    return out;
}

std::uint16_t u16_at(std::byte const* in) noexcept {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(in[0]) << 8 |
                                      std::to_integer<unsigned>(in[1]));
}

std::size_t size_of(ReceiptRequest const& request) noexcept {
    return request.topic.empty() ? 0 : 4 + request.topic.size();
}

}  // namespace

Message* Message::allocate(std::size_t topic_size, std::size_t properties_size,
                           std::size_t payload_size, std::size_t request_size) {
    MQ_ASSERT(topic_size <= UINT16_MAX);
    MQ_ASSERT(properties_size <= UINT32_MAX && payload_size <= UINT32_MAX);
    auto size = sizeof(Message) + 2 + topic_size + properties_size + payload_size + request_size;
    auto* message = new (::operator new(size)) Message;
    message->topic_size_ = static_cast<std::uint16_t>(topic_size);
    message->properties_size_ = static_cast<std::uint32_t>(properties_size);
    message->payload_size_ = static_cast<std::uint32_t>(payload_size);
    return message;
}

MessagePtr Message::make(mqtt::PublishView const& publish, std::string_view topic,
                         Deadline deadline) {
    auto* message = allocate(topic.size(), publish.forwarded_size, publish.payload.size());
    message->deadline_ = deadline;
    message->qos_ = publish.qos;
    message->retain_ = publish.retain;
    auto* out = message->write_topic(topic);
    auto* payload = mqtt::copy_forwarded_properties(publish, out);
    MQ_ASSERT(payload == out + publish.forwarded_size);
    std::copy(publish.payload.begin(), publish.payload.end(), payload);
    return MessagePtr::adopt(message);
}

MessagePtr Message::make(MessageParts const& parts) {
    auto const& properties = parts.forwarded_properties;
    auto const& request = parts.receipt;
    MQ_ASSERT(request.topic.size() <= UINT16_MAX);
    auto* message =
        allocate(parts.topic.size(), properties.size(), parts.payload.size(), size_of(request));
    message->deadline_ = parts.deadline;
    message->qos_ = parts.qos;
    message->retain_ = parts.retain;
    auto* out = message->write_topic(parts.topic);
    out = std::copy(properties.begin(), properties.end(), out);
    out = std::copy(parts.payload.begin(), parts.payload.end(), out);
    if (!request.topic.empty()) {
        message->wants_receipt_ = true;
        out = put_u16(put_u16(out, request.mount_size), request.topic.size());
        auto name = as_bytes(request.topic);
        std::copy(name.begin(), name.end(), out);
    }
    return MessagePtr::adopt(message);
}

ReceiptRequest Message::receipt_request() const noexcept {
    if (!wants_receipt_) return {};
    auto const* at = payload().data() + payload_size_;
    return {as_text({at + 4, u16_at(at + 2)}), u16_at(at)};
}

std::byte* Message::write_topic(std::string_view topic) noexcept {
    auto* out = put_u16(const_cast<std::byte*>(data()), topic.size());
    auto name = as_bytes(topic);
    return std::copy(name.begin(), name.end(), out);
}

MessagePtr Message::make(mqtt::Publish const& publish, Deadline deadline) {
    // Only the codec knows how properties are written, so it writes a PUBLISH with nothing else in
    // it.
    mqtt::Publish bare{.topic = publish.topic, .properties = publish.properties};
    Buffer frame;
    mqtt::encode(bare, mqtt::Version::v5, frame);
    auto view = mqtt::decode_publish(frame, mqtt::Version::v5, mqtt::Sender::server);
    MQ_ASSERT(view.has_value());
    view->payload = publish.payload;
    view->qos = publish.qos;
    view->retain = publish.retain;
    return make(*view, publish.topic, deadline);
}

void MessagePtr::drop(Message* message) noexcept {
    if (!message) return;
    // Whoever holds the only reference need not pay for an atomic subtraction: nobody else can make
    // a second one out of it.
    if (message->references_.load(std::memory_order_acquire) != 1 &&
        message->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
        return;
    }
    message->~Message();
    ::operator delete(message);
}

}  // namespace spoke::broker
