#include "device-sim/load/answering_devices.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "protocol/codec/encode.hpp"

namespace spoke::sim::load {
namespace {

constexpr std::uint32_t kIdsPerDevice = 64;
constexpr std::string_view kWord = "d";

/// The value of a member whose text holds no escapes, as ids and numbers of orders do.
std::optional<std::string_view> member(std::string_view json, std::string_view key,
                                       std::string_view end) {
    auto at = json.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    auto value = json.substr(at + key.size());
    auto size = value.find_first_of(end);
    if (size == std::string_view::npos) return std::nullopt;
    return value.substr(0, size);
}

}  // namespace

std::string AnsweringDevices::id_of(std::string_view run_id, std::uint32_t number) {
    return fmt::format("load-{}-{}-{}", run_id, kWord, number);
}

Outcome AnsweringDevices::run() {
    auto group = connect({.word = kWord, .count = settings_.peers});
    for (auto* client : group) {
        devices_.push_back({id_of(settings_.run_id, client->tag()), PacketIds{kIdsPerDevice}});
    }
    subscribe(group, [&](std::uint32_t tag) { return fmt::format("d/{}/cmd", devices_[tag].id); });
    for (auto* client : group)
        give_birth(*client, devices_[client->tag()].id, devices_[client->tag()]);
    auto all = [&] { return acknowledged_ >= 2ULL * group.size(); };
    wait_for("births", all, [&] { return acknowledged_; });
    bear_unconnected(group);
    std::puts(R"({"ready":true})");
    std::fflush(stdout);
    run_until(length_of(settings_.seconds), [&] { return disconnects_ != 0; });

    Outcome outcome{.report = new_report(), .is_sound = disconnects_ == 0 && not_understood_ == 0};
    outcome.report.add("orders", orders_).add("not_understood", not_understood_);
    outcome.report.add("disconnects", disconnects_);
    if (!first_failure_.empty()) outcome.report.add("failure", first_failure_);
    leave(group);
    return outcome;
}

/// What is written outside a turn leaves at the end of the next one, which waits for something to
/// happen first: so births are given at the end of turns.
void AnsweringDevices::bear_unconnected(Group const& group) {
    midwife_ = group[0];
    unborn_ = settings_.known;
    births_.resize(kIdsPerDevice + 1);
    wait_for(
        "births of devices that are away",
        [&] { return unborn_ == 0 && refused_.empty() && published_ == acknowledged_; },
        [&] { return acknowledged_; });
}

void AnsweringDevices::on_turn_end() {
    constexpr std::uint64_t kOnTheWayMax = kIdsPerDevice - 2;  // a birth is two messages
    while (unborn_ + refused_.size() > 0 && published_ - acknowledged_ <= kOnTheWayMax) {
        if (refused_.empty()) {
            birth_ = unborn_--;
        } else {
            birth_ = refused_.back();
            refused_.pop_back();
        }
        give_birth(*midwife_, id_of(settings_.run_id, settings_.peers + birth_ - 1), devices_[0]);
        birth_ = 0;
    }
}

void AnsweringDevices::give_birth(Client& through, std::string const& id, Device& sender) {
    auto birth = std::string_view{
        R"({"on":true,"boot":7,"up":1830,"fw":"2.4.1","hw":"OC33","proto":5,"jrn":8})"};
    auto state = std::string_view{
        R"({"boot":7,"up":1830,"last_n":{"lock":0,"info":0},"lock":"locked","ride":null,)"
        R"("batt":{"v":3.96,"pct":86,"chg":0,"solar":1},"pos":{"lat":31.23041,"lon":121.4737,)"
        R"("acc":6,"age":4,"sat":9},"net":{"rssi":-87,"rat":"LTE-M","cell":"460-00-1234-5678"},)"
        R"("speed":0,"alarm":false,"fw":"2.4.1","cfg_v":12,"jrn":[]})"};
    publish(through, sender, fmt::format("d/{}/up", id), birth, true);
    publish(through, sender, fmt::format("d/{}/state", id), state, true);
}

void AnsweringDevices::publish(Client& client, Device& sender, std::string topic,
                               std::string_view payload, bool retain) {
    if (!sender.ids.has_free()) {
        // Only answers can meet this: births are awaited.
        sender.waiting.emplace_back(payload);
        return;
    }
    mqtt::Publish message;
    message.topic = std::move(topic);
    message.payload = to_buffer(payload);
    message.qos = mqtt::Qos::at_least_once;
    message.retain = retain;
    message.id = sender.ids.take();
    if (birth_ != 0) births_[message.id.value] = birth_;
    ++published_;
    mqtt::encode(message, client.version(), client.outbound());
    client.touch();
}

void AnsweringDevices::on_delivery(Client& client, Delivery const& delivery) {
    ++orders_;
    auto order = as_text(delivery.payload);
    auto id = member(order, R"("id":")", "\"");
    auto n = member(order, R"("n":)", ",}");
    if (!id || !n) {
        ++not_understood_;
        return;
    }
    auto answer = fmt::format(
        R"({{"id":"{}","n":{},"r":"ok","took":0,"lock":"unlocked","rssi":-87}})", *id, *n);
    auto& device = devices_[client.tag()];
    publish(client, device, fmt::format("d/{}/ans", device.id), answer, false);
}

void AnsweringDevices::on_acknowledged(Client& client, Acknowledgement const& acknowledgement) {
    ++acknowledged_;
    // A receiver's queue was full: whoever reads more slowly than births are given has not got it.
    auto birth = &client == midwife_ ? std::exchange(births_[acknowledgement.id.value], 0) : 0;
    if (birth != 0 && acknowledgement.is_error()) refused_.push_back(birth);
    auto& device = devices_[client.tag()];
    if (!device.ids.release(acknowledgement.id) || device.waiting.empty()) return;
    auto answer = std::move(device.waiting.back());
    device.waiting.pop_back();
    publish(client, device, fmt::format("d/{}/ans", device.id), answer, false);
}

}  // namespace spoke::sim::load
