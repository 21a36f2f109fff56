#include "device-sim/load/publish_template.hpp"

#include "protocol/base/assert.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::sim::load {
namespace {

constexpr mqtt::PacketId kAnyId{0x7FFF};

mqtt::Publish sample_of(PublishShape const& shape) {
    mqtt::Publish publish;
    publish.topic = shape.topic;
    publish.qos = shape.qos;
    publish.retain = shape.retain;
    publish.payload.assign(shape.payload_size, std::byte{'.'});
    if (shape.qos != mqtt::Qos::at_most_once) publish.id = kAnyId;
    return publish;
}

}  // namespace

PublishTemplate::PublishTemplate(PublishShape const& shape) {
    MQ_ASSERT(shape.payload_size >= sizeof(PayloadHead));
    mqtt::encode(sample_of(shape), shape.version, bytes_);
    bytes_.shrink_to_fit();
    payload_at_ = static_cast<std::uint32_t>(bytes_.size() - shape.payload_size);
    topic_size_ = static_cast<std::uint32_t>(shape.topic.size());
    auto property_size = shape.version == mqtt::Version::v5 ? 1U : 0U;
    auto id_size = shape.qos == mqtt::Qos::at_most_once ? 0U : 2U;
    topic_at_ = payload_at_ - property_size - id_size - topic_size_;
    if (id_size != 0) id_at_ = topic_at_ + topic_size_;
}

void PublishTemplate::append(Buffer& out, mqtt::PacketId id, PayloadHead const& head) const {
    auto at = out.size();
    out.insert(out.end(), bytes_.begin(), bytes_.end());
    auto* message = out.data() + at;
    if (id_at_ != 0) {
        message[id_at_] = static_cast<std::byte>(id.value >> 8);
        message[id_at_ + 1] = static_cast<std::byte>(id.value & 0xFF);
    }
    std::memcpy(message + payload_at_, &head, sizeof head);
}

}  // namespace spoke::sim::load
