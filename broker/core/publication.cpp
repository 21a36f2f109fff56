#include "broker/core/publication.hpp"

namespace spoke::broker {

std::span<std::byte> Publication::take_frame(bool v5, mqtt::Qos receiver_qos, bool receiver_retain,
                                             mqtt::PacketId id) noexcept {
    if (frame_.empty() || v5 != v5_ || receiver_qos != qos || receiver_retain) return {};
    if (!frame_cleared_) {
        frame_[0] &= std::byte{0xF6};  // DUP and RETAIN of a delivery are its own [MQTT-3.3.1-3]
        frame_cleared_ = true;
    }
    if (qos == mqtt::Qos::at_most_once) return frame_;
    auto at = static_cast<std::size_t>(
        reinterpret_cast<std::byte const*>(topic.data() + topic.size()) - frame_.data());
    frame_[at] = static_cast<std::byte>(id.value >> 8);
    frame_[at + 1] = static_cast<std::byte>(id.value);
    return std::exchange(frame_, {});
}

}  // namespace spoke::broker
