#include "bridge/command/receipt.hpp"

#include <array>
#include <boost/json.hpp>
#include <cstring>

#include "protocol/base/base64.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

std::optional<json::object> parse_object(std::string_view payload) {
    json::error_code error;
    auto value = json::parse(payload, error);
    if (error.failed() || !value.is_object()) return std::nullopt;
    return std::move(value.as_object());
}

std::optional<std::string> text_in(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    auto const* text = value == nullptr ? nullptr : value->if_string();
    if (text == nullptr) return std::nullopt;
    return std::string{text->data(), text->size()};
}

template <class Number>
std::optional<Number> number_in(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    json::error_code error;
    auto number = value->to_number<Number>(error);
    if (error.failed()) return std::nullopt;
    return number;
}

std::optional<ReceiptStep> step_of(std::string_view word) {
    if (word == "sent") return ReceiptStep::sent;
    if (word == "acked") return ReceiptStep::acked;
    if (word == "refused") return ReceiptStep::refused;
    if (word == "expired") return ReceiptStep::expired;
    if (word == "dropped") return ReceiptStep::dropped;
    return std::nullopt;
}

/// The correlation data of an order.
std::optional<CommandId> id_of(std::string_view text) {
    auto bytes = from_base64(text);
    std::array<std::byte, CommandId::kSize> raw{};
    if (!bytes || bytes->size() != raw.size()) return std::nullopt;
    std::memcpy(raw.data(), bytes->data(), raw.size());
    return CommandId{raw};
}

/// Null where the session was gone before the broker knew whose it was.
std::optional<std::string> receiver_in(json::object const& object) {
    auto const* value = object.if_contains("client");
    if (value != nullptr && value->is_null()) return std::string{};
    return text_in(object, "client");
}

}  // namespace

std::optional<Receipt> parse_receipt(std::string_view payload) {
    auto object = parse_object(payload);
    if (!object) return std::nullopt;
    auto step = step_of(text_in(*object, "step").value_or(""));
    auto client = receiver_in(*object);
    auto id = id_of(text_in(*object, "id").value_or(""));
    auto at = number_in<std::int64_t>(*object, "at_us");
    if (!step || !client || !id || !at) return std::nullopt;
    Receipt receipt;
    receipt.id = *id;
    receipt.step = *step;
    receipt.client = std::move(*client);
    receipt.at_us = *at;
    receipt.reason = number_in<std::uint8_t>(*object, "reason").value_or(0);
    receipt.why = text_in(*object, "why").value_or("");
    auto const* sent = object->if_contains("sent");
    receipt.was_sent_before = sent != nullptr && sent->is_bool() && sent->get_bool();
    return receipt;
}

std::optional<ClientEvent> parse_client_event(std::string_view payload, bool connected) {
    auto object = parse_object(payload);
    if (!object) return std::nullopt;
    auto client = text_in(*object, "client");
    auto connection = number_in<std::uint64_t>(*object, "connection");
    if (!client || !connection) return std::nullopt;
    ClientEvent event;
    event.client = std::move(*client);
    event.connected = connected;
    event.connection = *connection;
    event.keep_alive =
        std::chrono::seconds{number_in<std::uint16_t>(*object, "keep_alive").value_or(0)};
    return event;
}

}  // namespace spoke::bridge
