#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/storage/reference_store.hpp"
#include "tests/support/script.hpp"

namespace spoke::test {

/// A field of a receipt as it stands in its JSON, "" if there is none.
[[nodiscard]] inline std::string field(std::string_view json, std::string_view name) {
    auto key = fmt::format("\"{}\":", name);
    auto at = json.find(key);
    if (at == std::string_view::npos) return "";
    auto rest = json.substr(at + key.size());
    return std::string{rest.substr(0, rest.find_first_of(",}"))};
}

/// "dropped b queue_full sent=false": step, client and what explains it.
[[nodiscard]] inline std::string in_short(mqtt::Publish const& receipt) {
    auto json = as_text(receipt.payload);
    auto bare = [&](std::string_view name) {
        auto text = field(json, name);
        std::erase(text, '"');
        return text;
    };
    auto text = bare("step") + " " + bare("client");
    if (auto why = bare("why"); !why.empty()) text += " " + why;
    if (auto sent = bare("sent"); !sent.empty()) text += " sent=" + sent;
    if (!bare("dup").empty()) text += " dup";
    if (auto reason = bare("reason"); !reason.empty()) text += " reason=" + reason;
    return text;
}

using Steps = std::vector<std::string>;

/// A broker with "bridge", who may ask for receipts and gets them on topic "r", and a store that
/// outlives it.
class ReceiptBench {
public:
    explicit ReceiptBench(ScriptOptions options = {}) : options_(std::move(options)) {
        options_.settings.receipts.clients = {"bridge"};
        options_.store = &store_;
        start();
    }

    [[nodiscard]] ScriptLink& link(std::string const& name) { return script_->link(name); }
    [[nodiscard]] ScriptLink& bridge() { return link("bridge"); }
    Script* operator->() noexcept { return script_.get(); }
    [[nodiscard]] broker::ReferenceStore& store() noexcept { return store_; }

    /// A client that is subscribed to "t".
    ScriptLink& subscriber(std::string const& name, ConnectBuilder const& builder,
                           mqtt::Qos qos = qos2, std::string const& filter = "t") {
        link(name).sends(builder).gets(connack()).sends(subscribe(1, filter, qos));
        return link(name).gets(suback(1));
    }

    /// A message that asks for receipts.
    [[nodiscard]] static PublishBuilder asking(std::string_view payload, mqtt::Qos qos,
                                               std::uint16_t id = 1,
                                               std::string const& topic = "t") {
        mqtt::MessageProperties properties;
        properties.user_properties = {{"spoke-receipt", "r"}};
        properties.correlation_data = to_buffer(payload);
        return publish(topic, payload, qos, id).properties(std::move(properties));
    }
    /// The bridge publishes and takes what answers it; gives the reason.
    mqtt::ReasonCode publishes(std::string_view payload, mqtt::Qos qos) {
        return publishes(asking(payload, qos, ++last_id_));
    }
    mqtt::ReasonCode publishes(PublishBuilder const& message) {
        bridge().sends(message);
        auto qos = message.value().qos;
        if (qos == qos0) return mqtt::ReasonCode::success;
        if (qos == qos1) return take_answer<mqtt::PubAck>();
        auto reason = take_answer<mqtt::PubRec>();
        if (mqtt::is_error(reason)) return reason;
        bridge().sends(pubrel(message.value().id.value));
        (void)take_answer<mqtt::PubComp>();
        return reason;
    }
    /// The receipts that have come, in short.
    [[nodiscard]] Steps steps() {
        take_receipts();
        Steps all;
        for (auto const& receipt : std::exchange(receipts_, {})) all.push_back(in_short(receipt));
        return all;
    }
    [[nodiscard]] std::vector<mqtt::Publish> receipts() {
        take_receipts();
        return std::exchange(receipts_, {});
    }

    /// The broker is killed and started again `later`; the bridge is back.
    void restarts(std::chrono::milliseconds later = {}) {
        options_.start = script_->now();
        options_.start.steady += later;
        options_.start.wall += later;
        script_.reset();
        store_.crash();
        start();
    }

private:
    void start() {
        script_ = std::make_unique<Script>(options_);
        bridge().sends(connect(mqtt::Version::v5)).gets(connack());
        bridge().sends(subscribe(1, "r")).gets(suback(1));
    }
    template <class Answer>
    mqtt::ReasonCode take_answer() {
        for (;;) {
            auto packet = bridge().takes_any();
            if (auto* answer = std::get_if<Answer>(&packet)) return answer->reason;
            receipts_.push_back(std::get<mqtt::Publish>(packet));
        }
    }
    void take_receipts() {
        for (auto& receipt : bridge().takes_all<mqtt::Publish>())
            receipts_.push_back(std::move(receipt));
    }

    ScriptOptions options_;
    broker::ReferenceStore store_;
    std::unique_ptr<Script> script_;
    std::vector<mqtt::Publish> receipts_;
    std::uint16_t last_id_ = 0;
};

}  // namespace spoke::test
