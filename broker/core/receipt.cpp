#include "broker/core/receipt.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string>

#include "broker/core/json_text.hpp"
#include "protocol/base/base64.hpp"
#include "protocol/codec/publish_view.hpp"

namespace spoke::broker {
namespace {

std::string_view name_of(ReceiptStep step) noexcept {
    switch (step) {
        case ReceiptStep::sent:
            return "sent";
        case ReceiptStep::acked:
            return "acked";
        case ReceiptStep::refused:
            return "refused";
        case ReceiptStep::expired:
            return "expired";
        case ReceiptStep::dropped:
            return "dropped";
    }
    return "unknown";
}

void append_fate(Fate const& fate, std::string& json) {
    auto out = std::back_inserter(json);
    if (!fate.why.empty()) fmt::format_to(out, R"("why":"{}",)", fate.why);
    if (fate.step == ReceiptStep::dropped) fmt::format_to(out, R"("sent":{},)", fate.was_sent);
    if (fate.dup) json += R"("dup":true,)";
    if (fate.reason != mqtt::ReasonCode::success)
        fmt::format_to(out, R"("reason":{},)", static_cast<unsigned>(fate.reason));
}

std::string payload_of(Receipt const& receipt, std::string_view correlation_data) {
    auto const& message = receipt.message;
    std::string json;
    json.reserve(192);
    auto out = std::back_inserter(json);
    fmt::format_to(out, R"({{"step":"{}",)", name_of(receipt.fate.step));
    append_fate(receipt.fate, json);
    json += R"("client":)";
    if (receipt.client_id) {
        append_json_text(*receipt.client_id, json);
    } else {
        json += "null";
    }
    json += R"(,"topic":)";
    append_json_text(message.topic().substr(message.receipt_request().mount_size), json);
    fmt::format_to(out, R"(,"qos":{},"at_us":{},"id":"{}"}})", static_cast<unsigned>(receipt.qos),
                   receipt.at_us, to_base64(correlation_data));
    return json;
}

}  // namespace

MessagePtr make_receipt(Receipt const& receipt) {
    auto correlation_data = mqtt::find_correlation_data(receipt.message.forwarded_properties());
    auto json = payload_of(receipt, as_text(correlation_data.value_or(Bytes{})));
    auto payload = as_bytes(json);
    mqtt::Publish packet;
    packet.topic = receipt.message.receipt_request().topic;
    packet.payload.assign(payload.begin(), payload.end());
    packet.properties.content_type = "application/json";
    if (correlation_data) {
        packet.properties.correlation_data =
            Buffer(correlation_data->begin(), correlation_data->end());
    }
    return Message::make(packet, kNever);
}

}  // namespace spoke::broker
