#include "bridge/app/mqtt_uplink.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <charconv>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "bridge/service/service.hpp"

namespace spoke::bridge {
namespace {

/// Messages which the broker may give us before the first of them is committed and acknowledged.
constexpr std::uint16_t kUnacknowledgedMax = 8'192;

/// Retained births and states come behind SUBACK, and nothing says which is the last: it was when
/// none has come for so long. Whoever keeps on being told is ready after `kReadingMax`.
constexpr std::chrono::milliseconds kReadingPause{150};
constexpr std::chrono::milliseconds kReadingMax{10'000};

constexpr std::string_view kReceipts = "spoke-receipts";
constexpr std::string_view kDeliveries = "spoke-deliveries";

bool grants(mqtt::ConnAck const& packet, std::string_view skill) {
    return std::ranges::any_of(packet.user_properties, [&](mqtt::UserProperty const& property) {
        return property.name == skill && property.value == "1";
    });
}

/// 16 hexadecimal digits; 0: it is none.
std::uint64_t read_delivery(std::string_view text) {
    std::uint64_t out = 0;
    auto const* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, out, 16);
    return error == std::errc{} && stop == end ? out : 0;
}

std::optional<Buffer> read_password(std::string const& file) {
    if (file.empty()) return std::nullopt;
    std::ifstream in{file};
    std::string line;
    if (!in || !std::getline(in, line)) {
        throw std::runtime_error("cannot read broker.password_file " + file);
    }
    return to_buffer(line);
}

std::shared_ptr<mqtt::LinkOptions const> link_options(BrokerConfig const& config) {
    auto options = std::make_shared<mqtt::LinkOptions>();
    options->host = config.address;
    options->port = config.port;
    options->connect_timeout = config.connect_timeout;
    options->reconnect.delay_min = config.reconnect_delay_min;
    options->reconnect.delay_max = config.reconnect_delay_max;
    options->client.connect_timeout = config.connect_timeout;
    options->client.may_inherit_session = true;  // that of the process before this one
    return options;
}

}  // namespace

MqttUplink::MqttUplink(boost::asio::io_context& context, BrokerConfig const& config,
                       std::uint64_t seed)
    : context_(context),
      config_(config),
      password_(read_password(config.password_file)),
      hub_(context, seed),
      reading_(context),
      link_(std::make_unique<mqtt::Link>(hub_, link_options(config),
                                         static_cast<mqtt::LinkObserver&>(*this))) {}

MqttUplink::~MqttUplink() = default;

void MqttUplink::start(Service& service) {
    service_ = &service;
    spdlog::info("connecting to the broker at {} as {:?}", address(), config_.client_id);
    link_->start();
}

void MqttUplink::stop(std::function<void()> stopped) {
    stopped_ = std::move(stopped);
    link_->stop();
}

mqtt::NotSent MqttUplink::publish(mqtt::Publish const& message, std::optional<SteadyTime> deadline,
                                  Done done) {
    auto token = ++last_token_;
    mqtt::PublishOptions options;
    options.token = mqtt::PublishToken{token};
    options.scope = mqtt::PublishScope::this_connection;
    options.deadline = deadline;
    publishing_ = token;
    early_.reset();
    link_->publish(message, options);
    publishing_.reset();
    if (!early_) {
        publishes_.emplace(token, std::move(done));
        return mqtt::NotSent::none;
    }
    if (early_->outcome.status == mqtt::PublishStatus::not_sent) return early_->outcome.cause;
    boost::asio::post(context_, [done = std::move(done), early = std::move(*early_)] {
        auto outcome = early.outcome;
        outcome.reason_string = early.reason_string;
        done(outcome);
    });
    return mqtt::NotSent::none;
}

void MqttUplink::subscribe(std::string const& filter, Subscribed done) {
    auto token = ++last_request_;
    subscribes_.emplace(token, std::move(done));
    mqtt::Subscribe packet;
    packet.subscriptions = {
        {filter,
         {.qos = mqtt::Qos::at_least_once, .retain_handling = mqtt::RetainHandling::do_not_send}}};
    link_->subscribe(packet, mqtt::RequestToken{token});
}

void MqttUplink::unsubscribe(std::string const& filter) {
    mqtt::Unsubscribe packet;
    packet.filters = {filter};
    link_->unsubscribe(packet, mqtt::RequestToken{++last_request_});
}

mqtt::Connect MqttUplink::make_connect() {
    mqtt::Connect connect;
    connect.client_id = config_.client_id;
    connect.clean_start = false;
    connect.keep_alive = static_cast<std::uint16_t>(config_.keep_alive.count());
    connect.receive_maximum = kUnacknowledgedMax;
    connect.session_expiry_interval = static_cast<std::uint32_t>(config_.session_expiry.count());
    if (!config_.user_name.empty()) connect.user_name = config_.user_name;
    connect.password = password_;
    connect.user_properties.push_back({std::string{kDeliveries}, "1"});
    return connect;
}

void MqttUplink::on_link(mqtt::LinkStatus const& status) {
    if (status.state == mqtt::LinkState::waiting) lost(status.why);
    if (status.state == mqtt::LinkState::stopped && stopped_) std::exchange(stopped_, {})();
}

void MqttUplink::on_connected(mqtt::ConnAck const& packet) {
    spdlog::info("broker {}: connected, session {}", address(),
                 packet.session_present ? "resumed" : "new");
    told_.clear();
    service_->on_session(packet.session_present);
    receipts_ = grants(packet, kReceipts);
    names_deliveries_ = grants(packet, kDeliveries);
    mqtt::Subscribe subscribe;
    subscribe.subscriptions = Service::subscriptions();
    std::ranges::move(service_->more_subscriptions(), std::back_inserter(subscribe.subscriptions));
    link_->subscribe(subscribe, {});
}

void MqttUplink::on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) {
    if (token.value == 0) return on_standing(packet);
    auto request = subscribes_.extract(token.value);
    if (request.empty()) return;
    auto reason = packet.reasons.empty() ? mqtt::ReasonCode::unspecified_error : packet.reasons[0];
    request.mapped()(mqtt::is_error(reason) ? mqtt::name_of(reason) : "");
}

/// Without the subscriptions to devices the bridge is no use; without the others it knows less.
void MqttUplink::on_standing(mqtt::SubAck const& packet) {
    auto filters = Service::subscriptions();
    auto needed = filters.size();
    std::ranges::move(service_->more_subscriptions(), std::back_inserter(filters));
    for (std::size_t i = 0; i < std::min(filters.size(), packet.reasons.size()); ++i) {
        if (!mqtt::is_error(packet.reasons[i])) continue;
        auto why = fmt::format("the broker refuses the subscription to {}: {}", filters[i].filter,
                               mqtt::name_of(packet.reasons[i]));
        if (i < needed) {
            spdlog::error("broker {}: {}", address(), why);
            return service_->on_broker(false, why);
        }
        spdlog::warn("broker {}: {}", address(), why);
    }
    subscribed_ = true;
    begin_reading();
}

/// Before it knows which devices there are the bridge would call them unknown.
void MqttUplink::begin_reading() {
    service_->on_broker(false, "the list of devices is being read from the broker");
    reading_since_ = last_retained_ = read_clocks().steady;
    await_end_of_reading();
}

void MqttUplink::await_end_of_reading() {
    reading_.expires_at(std::min(last_retained_ + kReadingPause, reading_since_ + kReadingMax));
    reading_.async_wait([this](boost::system::error_code error) {
        if (error || !subscribed_) return;
        auto now = read_clocks().steady;
        auto is_over = now >= last_retained_ + kReadingPause || now >= reading_since_ + kReadingMax;
        if (!is_over) return await_end_of_reading();
        spdlog::info("broker {}: subscribed, ready for orders, {} delivery receipts", address(),
                     receipts_ ? "with" : "without");
        service_->on_broker(true, {}, {.receipts = receipts_});
    });
}

void MqttUplink::on_unsubscribed(mqtt::RequestToken, mqtt::UnsubAck const&) {}

void MqttUplink::on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) {
    if (token.value != 0) {
        auto request = subscribes_.extract(token.value);
        if (request.empty()) return;
        // Perhaps out of subscribe() itself, which may not call back.
        boost::asio::post(context_,
                          [done = std::move(request.mapped()), why] { done(mqtt::name_of(why)); });
        return;
    }
    if (why == mqtt::RequestFailure::connection_lost) return;
    spdlog::error("broker {}: the subscription could not be sent", address());
    service_->on_broker(false, "the subscription could not be sent");
}

/// What a message has changed is committed before the broker may forget it: if the bridge dies in
/// between, the message comes again.
mqtt::Acknowledge MqttUplink::on_message(mqtt::ReceivedMessage const& message) {
    auto const& publish = message.publish;
    if (publish.retain) last_retained_ = read_clocks().steady;
    if (service_->wants_packet(publish.topic)) service_->on_packet(message.to_publish());
    IncomingMessage incoming{publish.topic, as_text(publish.payload), publish.retain, !subscribed_};
    auto property = [&](std::string_view name) {
        return mqtt::find_user_property(publish.properties, name).value_or(std::string_view{});
    };
    incoming.trace = property("traceparent");
    incoming.type = property("type");
    incoming.key = property("key");
    incoming.collapse = property("collapse");
    incoming.event_id = property("id");
    incoming.packet_id = publish.id.value;
    incoming.dup = publish.dup;
    // The broker's stands before one that the publisher may have set.
    if (names_deliveries_) incoming.delivery = read_delivery(property("spoke-delivery"));
    if (auto seconds = publish.message_expiry_interval) {
        incoming.expires_in = std::chrono::seconds{*seconds};
    }
    auto acknowledge = [this, alive = std::weak_ptr{alive_}, token = message.token] {
        if (!alive.expired()) link_->acknowledge(token);
    };
    auto is_held = service_->on_message(incoming, std::move(acknowledge));
    return is_held ? mqtt::Acknowledge::later : mqtt::Acknowledge::now;
}

void MqttUplink::on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) {
    if (publishing_ == token.value) {
        early_ = Early{outcome, std::string{outcome.reason_string}};
        return;
    }
    auto found = publishes_.find(token.value);
    if (found == publishes_.end()) return;
    auto done = std::move(found->second);
    publishes_.erase(found);
    done(outcome);
}

void MqttUplink::on_closed(mqtt::Closed const& closed) {
    lost(closed.text);
}

/// One line when trouble begins or changes, not one for each attempt.
void MqttUplink::lost(std::string_view why) {
    subscribed_ = false;
    reading_.cancel();
    if (stopped_) return;
    // Failures of the transport name the address themselves.
    auto text = why.starts_with(address()) ? fmt::format("broker {}", why)
                                           : fmt::format("broker {}: {}", address(), why);
    if (text != told_) {
        spdlog::warn("{}; trying again until it answers", text);
        told_ = text;
    }
    service_->on_broker(false, std::move(text));
}

std::string MqttUplink::address() const {
    return fmt::format("{}:{}", config_.address, config_.port);
}

}  // namespace spoke::bridge
