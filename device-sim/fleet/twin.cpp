#include "device-sim/fleet/twin.hpp"

#include <utility>

#include "protocol/packet/packet.hpp"

namespace spoke::sim {

Twin::Twin(mqtt::LinkHub& hub, std::shared_ptr<mqtt::LinkOptions const> options,
           mqtt::Connect connect)
    : connect_(std::move(connect)), link_(hub, std::move(options), *this) {
    connect_.will.reset();
}

void Twin::on_connected(mqtt::ConnAck const&) {
    mqtt::Subscribe packet;
    mqtt::Subscription subscription;
    subscription.filter = "d/" + connect_.client_id + "/cmd";
    subscription.options.qos = mqtt::Qos::at_least_once;
    packet.subscriptions.push_back(std::move(subscription));
    link_.subscribe(packet, mqtt::RequestToken{});
}

}  // namespace spoke::sim
