// SUBSCRIBE and UNSUBSCRIBE and their answers.
#include <algorithm>
#include <type_traits>

#include "protocol/client/client_machine.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::mqtt {
namespace {

bool is_filter(std::string_view filter) noexcept {
    return is_valid_topic_filter(filter) && is_valid_utf8(filter);
}

bool is_subscription(Subscription const& subscription, Version version) noexcept {
    if (!is_filter(subscription.filter)) return false;
    if (version != Version::v5 || !is_shared(subscription.filter)) return true;
    bool is_well_formed = parse_shared(subscription.filter).has_value();  // [MQTT-4.8.2-1]
    return is_well_formed && !subscription.options.no_local;              // [MQTT-3.8.3-4]
}

bool has_wildcard(std::string_view filter) noexcept {
    return filter.find_first_of("+#") != std::string_view::npos;
}

bool is_supported(Subscribe const& packet, ServerLimits const& server) noexcept {
    if (packet.subscription_identifier && !server.subscription_identifiers_available) return false;
    return std::ranges::all_of(packet.subscriptions, [&](Subscription const& subscription) {
        if (!server.wildcard_subscription_available && has_wildcard(subscription.filter))
            return false;
        return server.shared_subscription_available || !is_shared(subscription.filter);
    });
}

}  // namespace

void ClientMachine::subscribe(Subscribe const& packet, RequestToken token, Now) {
    if (!can_request(token)) return;
    auto is_sound = [&](auto const& each) { return is_subscription(each, wire_.version); };
    bool are_sound =
        !packet.subscriptions.empty() && std::ranges::all_of(packet.subscriptions, is_sound);
    if (!are_sound) return events_.on_request_failed(token, RequestFailure::filter_invalid);
    if (wire_.version == Version::v5 && !is_supported(packet, wire_.server)) {
        return events_.on_request_failed(token, RequestFailure::not_supported);
    }
    send_request(packet, token, packet.subscriptions.size());
}

void ClientMachine::unsubscribe(Unsubscribe const& packet, RequestToken token, Now) {
    if (!can_request(token)) return;
    bool are_filters = !packet.filters.empty() && std::ranges::all_of(packet.filters, is_filter);
    if (!are_filters) return events_.on_request_failed(token, RequestFailure::filter_invalid);
    send_request(packet, token, packet.filters.size());
}

bool ClientMachine::can_request(RequestToken token) {
    if (!is_connected()) {
        events_.on_request_failed(token, RequestFailure::not_connected);
        return false;
    }
    if (requests_.size() >= options_.requests_max) {
        events_.on_request_failed(token, RequestFailure::too_many);
        return false;
    }
    return true;
}

template <class Packet>
void ClientMachine::send_request(Packet packet, RequestToken token, std::size_t filters) {
    packet.id = wire_.ids.take(nullptr);
    auto begin = wire_.outbox.size();
    wire_.send(packet);
    if (wire_.outbox.size() - begin > wire_.server.packet_size_max) {
        wire_.outbox.resize(begin);
        wire_.ids.free(packet.id);
        return events_.on_request_failed(token, RequestFailure::too_large);
    }
    requests_.push_back({.token = token,
                         .id = packet.id,
                         .is_subscribe = std::is_same_v<Packet, Subscribe>,
                         .filters = static_cast<std::uint32_t>(filters)});
}

ClientMachine::Request* ClientMachine::find_request(PacketId id, bool is_subscribe) noexcept {
    auto found = std::ranges::find(requests_, id, &Request::id);
    return found == requests_.end() || found->is_subscribe != is_subscribe ? nullptr : &*found;
}

RequestToken ClientMachine::take(Request& request) {
    auto token = request.token;
    wire_.ids.free(request.id);
    requests_.erase(requests_.begin() + (&request - requests_.data()));
    if (requests_.empty()) requests_ = std::vector<Request>{};
    return token;
}

void ClientMachine::handle(SubAck const& packet, Now) {
    auto* request = find_request(packet.id, true);
    if (request == nullptr || packet.reasons.size() != request->filters) {
        return break_off(ReasonCode::protocol_error, "SUBACK that fits no SUBSCRIBE");
    }
    events_.on_subscribed(take(*request), packet);
}

void ClientMachine::handle(UnsubAck const& packet, Now) {
    auto* request = find_request(packet.id, false);
    bool has_reasons = wire_.version == Version::v5;
    if (request == nullptr || (has_reasons && packet.reasons.size() != request->filters)) {
        return break_off(ReasonCode::protocol_error, "UNSUBACK that fits no UNSUBSCRIBE");
    }
    events_.on_unsubscribed(take(*request), packet);
}

}  // namespace spoke::mqtt
