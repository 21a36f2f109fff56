#include "protocol/client/client_events.hpp"

#include "protocol/base/assert.hpp"

namespace spoke::mqtt {

std::string_view name_of(NotSent cause) noexcept {
    switch (cause) {
        case NotSent::none:
            return "sent";
        case NotSent::not_connected:
            return "not connected";
        case NotSent::queue_full:
            return "queue full";
        case NotSent::expired:
            return "expired";
        case NotSent::too_large:
            return "too large for the server";
        case NotSent::qos_not_supported:
            return "QoS not supported by the server";
        case NotSent::retain_not_supported:
            return "retain not supported by the server";
        case NotSent::topic_invalid:
            return "invalid topic";
        case NotSent::property_invalid:
            return "invalid property";
        case NotSent::connection_lost:
            return "connection lost";
        case NotSent::session_lost:
            return "session lost";
        case NotSent::abandoned:
            return "abandoned";
    }
    return "unknown cause";
}

std::string_view name_of(RequestFailure why) noexcept {
    switch (why) {
        case RequestFailure::not_connected:
            return "not connected";
        case RequestFailure::filter_invalid:
            return "invalid topic filter";
        case RequestFailure::too_many:
            return "too many open requests";
        case RequestFailure::too_large:
            return "too large for the server";
        case RequestFailure::not_supported:
            return "not supported by the server";
        case RequestFailure::connection_lost:
            return "connection lost";
    }
    return "unknown cause";
}

Publish ReceivedMessage::to_publish() const {
    auto packet = decode(frame, version, Sender::server);
    MQ_ASSERT(packet && std::holds_alternative<Publish>(*packet));
    auto copy = std::get<Publish>(std::move(*packet));
    copy.topic = publish.topic;
    copy.topic_alias.reset();
    return copy;
}

void ClientEvents::on_auth(Auth const&) {}

}  // namespace spoke::mqtt
