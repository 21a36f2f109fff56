#include "bridge/command/receipt.hpp"

#include <array>
#include <boost/json.hpp>

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

/// The correlation data of an order in base64 (RFC 4648, 4): 16 bytes are 22 digits and "==".
std::optional<CommandId> id_of(std::string_view text) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    constexpr std::size_t kLength = 24;
    if (text.size() != kLength || !text.ends_with("==")) return std::nullopt;
    std::array<std::byte, CommandId::kSize> raw{};
    unsigned pending = 0;
    unsigned bits = 0;
    std::size_t at = 0;
    for (auto c : text.substr(0, kLength - 2)) {
        auto digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        pending = (pending << 6 | static_cast<unsigned>(digit)) & 0x3FFF;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        raw[at++] = static_cast<std::byte>(pending >> bits);
    }
    return CommandId{raw};
}

}  // namespace

std::optional<Receipt> parse_receipt(std::string_view payload) {
    auto object = parse_object(payload);
    if (!object) return std::nullopt;
    auto step = step_of(text_in(*object, "step").value_or(""));
    auto client = text_in(*object, "client");
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
